package broker_test

import (
	"errors"
	"maps"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/rules"
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
	w.as(coder).must(keyturn.DiffSecrets{A: dbPass, B: guess})
	e := w.as(coder).no(keyturn.Denied, run([]string{"fAkE-7kR2pQ9mZ4xLw8tBv"}, dbPass))
	if keyturn.ReasonOf(e) != keyturn.Held {
		t.Errorf("%v", e)
	}
	w.must(run([]string{"fAkE-7kR2pQ9mZ4xLw8tBw"}, dbPass))
	if len(w.alarms()) != 1 {
		t.Errorf("alarms: %v", w.alarms())
	}
	w.no(keyturn.Denied, keyturn.DiffSecrets{A: dbPass, B: guess})
}

// compares reports whether an agent may still compare the field of a secret.
func (w *world) compares(ref keyturn.Ref) bool {
	w.t.Helper()
	_, _, err := w.as(other).do(keyturn.DiffSecrets{A: ref, B: keyturn.MustRef("local/app/web#value")})
	if err != nil && !errors.Is(err, keyturn.Denied) {
		w.t.Fatal(say(err))
	}
	return err == nil
}

// alarms are the ids of the records with an alarm.
func (w *world) alarms() (ids []string) {
	for _, r := range w.records() {
		if r.Alarm != "" {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// TestEndCommandIsOfARun: what an agent or a service tells of a command counts once, for a
// command that this caller began, and for the secrets that the command got.
func TestEndCommandIsOfARun(t *testing.T) {
	w := newWorld(t, withRules(t, may("agents", "use", "local/**", run("npm test")), may("services", "use reveal", "local/app/db")))
	begin := func(who keyturn.Actor, ref keyturn.Ref) string {
		t.Helper()
		return w.as(who).must(runs(ref)).(*keyturn.Delivery).AuditID
	}
	id := begin(coder, dbPass)
	for what, end := range map[string]struct {
		who keyturn.Actor
		op  keyturn.EndCommand
	}{
		"another's run":       {other, keyturn.EndCommand{ID: id, Held: []keyturn.Ref{dbPass}}},
		"a person's":          {anna, keyturn.EndCommand{ID: begin(anna, web), Held: []keyturn.Ref{web}}},
		"no run":              {coder, keyturn.EndCommand{ID: "nosuchid", Held: []keyturn.Ref{dbPass}}},
		"another secret":      {coder, keyturn.EndCommand{ID: id, Held: []keyturn.Ref{dbPass, web}}},
		"one that is no run":  {coder, keyturn.EndCommand{ID: w.as(coder).must(keyturn.DiffSecrets{A: dbPass, B: dbPass}).(*keyturn.Differences).AuditID, Held: []keyturn.Ref{dbPass}}},
		"a run that got none": {coder, keyturn.EndCommand{ID: w.as(coder).no(keyturn.NotFound, runs(absent)).AuditID, Held: []keyturn.Ref{absent}}},
	} {
		w.as(end.who).no(keyturn.NotFound, end.op)
		if len(w.alarms()) > 0 {
			t.Fatalf("%s is an alarm", what)
		}
	}
	if !w.compares(dbPass) || !w.compares(web) {
		t.Fatal("compares were spent by who did not begin the command")
	}
	w.as(coder).must(keyturn.EndCommand{ID: id, Held: []keyturn.Ref{dbPass}})
	if w.compares(dbPass) {
		t.Error("a held value did not spend the compares of its secret")
	}
	if w.as(coder).must(keyturn.DiffSecrets{A: web, B: web}); len(w.alarms()) != 1 {
		t.Errorf("alarms: %v", w.alarms())
	}
	w.as(coder).no(keyturn.NotFound, keyturn.EndCommand{ID: id, Held: []keyturn.Ref{dbPass}})
	if w.add(journal.ComparesPer); !w.compares(dbPass) {
		t.Error("they stay spent for longer than a day")
	}
	// A template's values count where the caller sees them by this operation alone.
	w.add(journal.ComparesPer)
	seen := w.as(ci).must(keyturn.RenderTemplate{Template: "/a.tmpl", Digest: digest, Secrets: []keyturn.Ref{dbPass}}).(*keyturn.Filling)
	if w.no(keyturn.NotFound, keyturn.EndCommand{ID: seen.AuditID, Held: []keyturn.Ref{dbPass}}); len(seen.Unseen) > 0 {
		t.Errorf("the service may see it, but unseen is %v", seen.Unseen)
	}
}

// TestReservedCompares: where two values of a command may be guesses at one another a
// compare is reserved. It is given back once the command has ended, and stays spent where
// they met, whatever is told afterwards; nobody else gives it back.
func TestReservedCompares(t *testing.T) {
	guess := keyturn.MustRef("local/scratch/g")
	w := newWorld(t, withRules(t, may("agents", "use", "local/**", run("npm test")), may("agents", "write", "local/scratch/**")))
	for ref, field := range map[keyturn.Ref]string{guess: "value", keyturn.MustRef("local/scratch/h"): "value"} {
		id, err := w.as(coder).Seal(t.Context(), ref, values(field, secret(8)))
		if err != nil {
			t.Fatal(say(err))
		}
		w.must(keyturn.PutSecret{Ref: ref, Candidate: id})
	}
	op := runs(guess, keyturn.MustRef("local/scratch/h"))
	begin := func() *keyturn.Delivery {
		t.Helper()
		return w.as(coder).must(op).(*keyturn.Delivery)
	}
	for i := range 2 * journal.MaxCompares { // given back, as often as one likes
		d := begin()
		if !d.Reserved || d.Output != keyturn.OutputEnd {
			t.Fatalf("run %d: %+v", i, d)
		}
		w.as(other).no(keyturn.NotFound, keyturn.EndCommand{ID: d.AuditID})
		w.as(coder).must(keyturn.EndCommand{ID: d.AuditID})
		w.no(keyturn.NotFound, keyturn.EndCommand{ID: d.AuditID})
	}
	for i := range journal.MaxCompares {
		d := begin()
		if !d.Reserved {
			t.Fatalf("run %d: %+v", i, d)
		}
		w.must(keyturn.EndCommand{ID: d.AuditID, Met: true})
		w.no(keyturn.NotFound, keyturn.EndCommand{ID: d.AuditID}) // nothing comes back afterwards
	}
	if d := begin(); d.Reserved || d.Output != keyturn.OutputStatus || d.Why == "" {
		t.Errorf("%+v", d)
	}
	if w.add(journal.ComparesPer); !begin().Reserved {
		t.Error("they stay spent for longer than a day")
	}
}

// TestGivenOfEachWay: what an agent gave stays its own through every operation that moves a
// value, until a person writes another one; what a person or nobody gave does not become
// the agent's, and of what a platform does not tell, an agent gives what it may write.
func TestGivenOfEachWay(t *testing.T) {
	r := keyturn.MustRef
	all := "list describe use write"
	w := newWorld(t, withRules(t, may("agents", all, "local/**", func(s *rules.Source) { s.Mounts = []string{"local", "prod"} }),
		may("agents", all, "prod/mine/**", func(s *rules.Source) { s.Mounts = []string{"local"} }), may("agents", "use", "prod/theirs/**", func(s *rules.Source) { s.Mounts = []string{"local"} })))
	put := func(who keyturn.Actor, ref keyturn.Ref, mode, field, value string) {
		t.Helper()
		id, err := w.as(who).Seal(t.Context(), ref, values(field, value))
		if err != nil {
			t.Fatal(say(err))
		}
		w.must(keyturn.PutSecret{Ref: ref, Candidate: id, Mode: mode})
	}
	is := func(after string, ref keyturn.Ref, want map[string]bool) {
		t.Helper()
		s, err := w.mem[ref.Mount()].Get(t.Context(), ref)
		if err != nil {
			t.Fatal(after, say(err))
		}
		if !maps.Equal(s.Given, want) {
			t.Errorf("%s: given is %v; want %v", after, s.Given, want)
		}
	}
	type given = map[string]bool
	a := r("local/a")
	put(coder, a, "", "A", "1")
	put(anna, a, keyturn.Merge, "B", "2")
	is("a put of each", a, given{"A": true, "B": false})
	w.as(coder).must(keyturn.PutSecret{Ref: a, Mode: keyturn.Merge, Generate: []keyturn.Generate{{Field: "C"}}})
	is("generated", a, given{"A": true, "B": false, "C": false})
	for who, actor := range map[string]keyturn.Actor{"an agent": coder, "a person": anna} {
		to := r("local/copy-" + string(actor.Kind))
		w.as(actor).must(keyturn.CopySecret{From: a, To: to})
		is("copied by "+who, to, given{"A": true, "B": false, "C": false})
		w.must(keyturn.CopySecret{From: r("local/a#A"), To: r(to.Short() + "#B")})
		is("one field of it, by "+who, to, given{"A": true, "B": true, "C": false})
	}
	put(anna, a, keyturn.Merge, "A", "3")
	is("a person's value in its place", a, given{"A": false, "B": false, "C": false})
	put(anna, a, keyturn.Replace, "A", "4")
	w.as(coder).must(keyturn.RollbackSecret{Ref: a, To: "1"})
	is("a rollback to the agent's", a, given{"A": true})
	for who, actor := range map[string]keyturn.Actor{"an agent": coder, "a person": anna} {
		to := r("local/migrated-" + string(actor.Kind))
		w.as(actor).must(w.migrating(to, "/p/"+string(actor.Kind), map[string]string{"A": secret(6)}))
		is("migrated by "+who, to, given{"A": actor.Kind != keyturn.Person})
	}
	// The platform does not tell who gave these.
	w.store(r("prod/mine/a"), map[string]string{"A": "5"})
	w.store(r("prod/theirs/a"), map[string]string{"A": "6"})
	w.as(coder).must(keyturn.CopySecret{From: r("prod/mine/a"), To: r("local/mine")})
	is("an agent's copy of what it may write", r("local/mine"), given{"A": true})
	w.must(keyturn.CopySecret{From: r("prod/theirs/a"), To: r("local/theirs")})
	is("an agent's copy of what it may not write", r("local/theirs"), nil)
	w.as(anna).must(keyturn.CopySecret{From: r("prod/mine/a"), To: r("local/hers")})
	is("a person's copy", r("local/hers"), nil)
}
