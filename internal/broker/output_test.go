package broker_test

import (
	"testing"

	"github.com/keyturn/keyturn"
)

// TestOutputIsDecidedHere: what an agent or a service gets of a command's output is what
// the rules say, never more than its kind gets, and nothing where it may have chosen one of
// the values and may not see another; what it wrote is searched for those.
func TestOutputIsDecidedHere(t *testing.T) {
	guess := keyturn.MustRef("local/scratch/g")
	use := may("agents", "use", "local/**")
	use.Run = []string{"show **", "show"}
	use.Env = []string{"V1"} // the guess may stand there
	w := newWorld(t, withRules(t, use, may("agents", "write", "local/scratch/**")))
	w.store(db, map[string]string{"password": "fAkE-7kR2pQ9mZ4xLw8tBv"})
	run := func(args []string, refs ...keyturn.Ref) keyturn.RunCommand {
		op := runs(refs...)
		op.Command = append([]string{"show"}, args...)
		return op
	}
	if d := w.as(coder).must(run(nil, dbPass)).(*keyturn.Delivery); d.Output != keyturn.OutputEnd || d.Env[0].Open || d.Reserved {
		t.Errorf("%+v", d)
	}
	// The agent writes a guess, and has the command get both.
	id, err := w.as(coder).Seal(t.Context(), guess, values("value", "password=fAkE"))
	if err != nil {
		t.Fatal(err)
	}
	w.must(keyturn.PutSecret{Ref: guess, Candidate: id})
	if d := w.must(run(nil, dbPass, guess)).(*keyturn.Delivery); d.Output != keyturn.OutputStatus || d.Why == "" || !d.Env[1].Chosen {
		t.Errorf("%+v", d)
	}
	// What is generated, or what a person wrote, the agent has not chosen.
	w.must(keyturn.PutSecret{Ref: guess, Mode: keyturn.Replace, Generate: []keyturn.Generate{{Field: "value"}}})
	if d := w.must(run(nil, dbPass, guess)).(*keyturn.Delivery); d.Output == keyturn.OutputStatus || d.Env[1].Chosen {
		t.Errorf("%+v", d)
	}
	// A person's is shown as it comes.
	if d := w.as(anna).must(run(nil, dbPass)).(*keyturn.Delivery); d.Output != keyturn.OutputStream || !d.Env[0].Open {
		t.Errorf("%+v", d)
	}
	// A value in an argument is an alarm, and all compares of the secret are spent.
	e := w.as(coder).no(keyturn.Denied, run([]string{"fAkE-7kR2pQ9mZ4xLw8tBv"}, dbPass))
	if keyturn.ReasonOf(e) != keyturn.Held {
		t.Errorf("%v", e)
	}
	w.must(run([]string{"fAkE-7kR2pQ9mZ4xLw8tBw"}, dbPass))
	if r := w.records(); len(r) == 0 {
		t.Error("nothing is on record")
	}
	w.no(keyturn.Denied, keyturn.DiffSecrets{A: dbPass, B: guess})
}
