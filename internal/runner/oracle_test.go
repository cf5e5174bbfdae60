package runner

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
)

// played is what a caller gets of a program that is played in this process: each write that
// reaches it before the end, all that has reached it then, and what became of the output.
type played struct {
	early  []string
	end    string
	became string
}

type recorder struct {
	bytes.Buffer
	writes []string
}

func (r *recorder) Write(p []byte) (int, error) {
	r.writes = append(r.writes, string(p))
	return r.Buffer.Write(p)
}

// play has a program write pieces through the filter of a command with these values.
func play(t *testing.T, who keyturn.Actor, mode keyturn.Output, values []keyturn.Delivered, pieces ...string) played {
	t.Helper()
	p := &Plan{runner: &Runner{Desk: &desk{}}, delivery: &keyturn.Delivery{Env: values, Output: mode}}
	p.runner.Facts.Actor = who
	f, err := p.redact()
	if err != nil {
		t.Fatal(err)
	}
	var out recorder
	w := f.filter(&out)
	for _, piece := range pieces {
		if _, err := w.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	before := out.writes
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.release(); err != nil {
		t.Fatal(err)
	}
	f.wipe()
	return played{before, out.String(), p.Output}
}

// wrongly returns a guess of the same form as s that is wrong everywhere.
func wrongly(s string) string {
	return strings.Map(func(c rune) rune {
		if c == '-' {
			return '_'
		}
		return c ^ 1
	}, s)
}

func delivered(name, value string, chosen bool) keyturn.Delivered {
	return keyturn.Delivered{Name: name, Ref: keyturn.MustRef("local/" + name + "#f"), Value: keyturn.NewValue([]byte(value)), Label: "local/" + name + "#f", Chosen: chosen}
}

// TestOutputIsNoOracle plays, 10,000 times each, the three ways in which a program's output
// told a value: a right beginning that is held back (B16), the caller's own words that come
// back redacted where they are right (B17), and a chosen value that meets another (B1).
func TestOutputIsNoOracle(t *testing.T) {
	runs := 1_000 // 'make real' makes 10,000, without the race detector
	switch {
	case os.Getenv("KEYTURN_REAL") != "":
		runs = 10_000
	case testing.Short():
		runs = 200
	}
	secret := []keyturn.Delivered{delivered("prod", long, false)}
	// cat, and a REPL that shows its prompt: a beginning of the value, right or wrong.
	for i := range runs {
		n := 1 + i%(len(long)-1)
		right := play(t, coder, keyturn.OutputEnd, secret, "> ", long[:n])
		wrong := play(t, coder, keyturn.OutputEnd, secret, "> ", strings.Repeat("~", n))
		if len(right.early)+len(wrong.early) > 0 || right.end != "> "+long[:n] || wrong.became != right.became {
			t.Fatalf("%d bytes: %+v and %+v", n, right, wrong)
		}
	}
	// ls: thousands of guesses at a weak value, the right one among them.
	told := 0
	for i := range runs {
		got := play(t, coder, keyturn.OutputEnd, []keyturn.Delivered{delivered("prod", "sunshine0042", false)},
			fmt.Sprintf("cannot access 'sunshine%04d'", i))
		if got.end != "" || got.became != "withheld" {
			told++
		}
	}
	// A fixed program with a chosen value beside the secret one, where they meet.
	for i := range runs {
		n := 1 + i%(len(long)-1)
		where := []string{"password=%s", "=%s", "%s", "x\npassword=%s"}[i%4]
		program := "x\npassword=" + long + "\n"
		right := play(t, anna, keyturn.OutputStream, append(secret, delivered("scratch", fmt.Sprintf(where, long[:n]), true)), program)
		wrong := play(t, anna, keyturn.OutputStream, append(secret, delivered("scratch", fmt.Sprintf(where, wrongly(long[:n])), true)), program)
		if right.end != wrong.end || len(right.early) != len(wrong.early) {
			t.Fatalf("%q of %d: %+v and %+v", where, n, right, wrong)
		}
	}
	if told > 0 {
		t.Errorf("%d of %d guesses were told", told, runs)
	}
	t.Logf("%d runs of each: nothing learned", runs)
}

// TestWholeLines: a service gets lines when they have ended, and what is left at the end.
func TestWholeLines(t *testing.T) {
	got := play(t, builder, keyturn.OutputLines, []keyturn.Delivered{delivered("prod", long, false)}, "one", " line\ntwo", " ", long, "\nthree")
	if early := strings.Join(got.early, "|"); early != "one line\n|two [redacted:local/prod#f]\n" || got.end != "one line\ntwo [redacted:local/prod#f]\nthree" {
		t.Errorf("%q, then %q", early, got.end)
	}
}

// TestHeldIsBounded: of very long output an agent gets a fixed count of redacted bytes.
func TestHeldIsBounded(t *testing.T) {
	piece := strings.Repeat("0123456789abcde\n", 1<<16)
	pieces := make([]string, 12)
	for i := range pieces {
		pieces[i] = piece
	}
	if got := play(t, coder, keyturn.OutputEnd, []keyturn.Delivered{delivered("prod", long, false)}, pieces...); len(got.end) != maxHeld || len(got.early) > 0 {
		t.Errorf("%d bytes, %d writes before the end", len(got.end), len(got.early))
	}
}

// TestHeld: what an agent or a service gives to a command beside its operation is searched
// for the values that it may not see; a hit is not carried out, or ended, and counted.
func TestHeld(t *testing.T) {
	for _, who := range callers {
		c := newCaller(t, who, "LC_NOTE="+long)
		p, err := c.run(Options{Env: []Binding{{"A", "local/shop#A"}}})
		if who.Kind == keyturn.Person {
			if err != nil || len(c.service.ended) > 0 {
				t.Errorf("a person: %v, %+v", err, c.service.ended)
			}
			continue
		}
		if !errors.Is(err, keyturn.Denied) || keyturn.ReasonOf(err) != keyturn.Held || p.Status.Started || strings.Contains(err.Error(), long) {
			t.Errorf("%s: %v", who.Kind, err)
		}
		if len(c.service.ended) != 1 || len(c.service.ended[0].Held) != 1 || c.service.ended[0].ID != "run" {
			t.Errorf("%s: counted is %+v", who.Kind, c.service.ended)
		}
		c = newCaller(t, who)
		in, err := os.Open(c.write("input", "a line\n"+long+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		out, err := os.Create(filepath.Join(c.Dir, "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		plan, err := c.Plan(Options{Command: []string{os.Args[0]}, Env: []Binding{{"A", "local/shop#A"}}})
		if err == nil {
			err = plan.Fetch(t.Context(), c.session)
		}
		if err == nil {
			err = plan.Run(t.Context(), c.session, Streams{Stdin: in, Stdout: out, Stderr: out}, time.Time{})
		}
		if text, _ := os.ReadFile(out.Name()); keyturn.ReasonOf(err) != keyturn.Held || plan.Output != "withheld" || plan.Status.Code != exitFailed || len(text) > 0 {
			t.Errorf("%s: %+v, %q (%v)", who.Kind, plan.Status, text, err)
		}
	}
}

// TestGivenBack: compares that are reserved for a command are given back when it has ended.
func TestGivenBack(t *testing.T) {
	c := newCaller(t, coder)
	c.service.reserved, c.service.chosen = true, []string{"local/shop#A"}
	if _, err := c.run(Options{Env: []Binding{{"A", "local/shop#A"}}}); err != nil || len(c.service.ended) != 1 || c.service.ended[0].Met {
		t.Errorf("%+v (%v)", c.service.ended, err)
	}
}

// TestOpenFields: what nobody takes for a secret by the name of its field is no alarm, and
// how a field is declared public is told where its name does not say that it is a secret.
func TestOpenFields(t *testing.T) {
	const host = "my-prod-db-cluster.c9x2kq7mzw4r.eu-central-1.rds.amazonaws.com"
	field := func(name, value string) []keyturn.Delivered {
		d := delivered("rds", value, false)
		d.Ref = keyturn.MustRef("local/rds#" + name)
		d.Label = d.Ref.String()
		return []keyturn.Delivered{d}
	}
	for _, c := range []struct {
		field, value string
		held, public bool
	}{
		{"host", host, false, false},
		{"url", "https://" + host + "/x", false, false},
		{"url", "https://app:" + long + "@" + host + "/x", true, false},
		{"note", host, true, true},
		{"password", host, true, false},
	} {
		w, err := newWatch(coder, field(c.field, c.value))
		if err != nil {
			t.Fatal(err)
		}
		w.texts("-h " + c.value)
		if held := len(w.found) > 0; held != c.held {
			t.Errorf("%s %s: held is %t", c.field, c.value, held)
		} else if held {
			e := w.refusal(coder, "the environment", "local/rds#"+c.field, "not started")
			if public := strings.Contains(e.Hint, "--public"); public != c.public {
				t.Errorf("%s %s: %s", c.field, c.value, e.Hint)
			}
		}
		w.wipe()
		if got := play(t, coder, keyturn.OutputEnd, field(c.field, c.value), c.value); strings.Contains(got.end, c.value) {
			t.Errorf("%s is shown: %q", c.field, got.end)
		}
	}
	if got := play(t, coder, keyturn.OutputEnd, field("host", "db.example.net"), "db.example.net"); got.became != "withheld" || got.end != "" {
		t.Errorf("%+v", got)
	}
}
