package broker_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker"
	"github.com/keyturn/keyturn/internal/journal"
)

// The first use of an operator's file pins it; each change after that a person proves: by
// the passphrase where one is set, else by a yes. Nobody else can.
func TestPinnedConfig(t *testing.T) {
	var asked []string
	answer, standing := keyturn.E(keyturn.Denied, "no", ""), false
	w := newWorld(t, func(c *broker.Config) {
		c.Judged = "digest"
		c.Confirm = func(_ context.Context, question string) error {
			if asked = append(asked, question); answer != nil {
				return answer
			}
			return nil
		}
		c.PinOf = func(op keyturn.UseConfig) (*journal.ConfigPin, bool, error) {
			if op.Path == "" {
				return nil, standing, nil
			}
			return &journal.ConfigPin{Path: op.Path, Digest: op.Digest, Text: "rules: []"}, standing, nil
		}
	})
	pinned := func() journal.Machine {
		m, err := journal.New(w.items, w.Now).Machines.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	first, second := keyturn.UseConfig{Path: "/c/keyturn.yaml", Digest: "a", Env: []string{"PATH=/usr/bin"}}, keyturn.UseConfig{Path: "/c/keyturn.yaml", Digest: "b"}
	for _, actor := range []keyturn.Actor{coder, ci} {
		w.as(actor)
		w.no(keyturn.Denied, first)
	}
	w.as(anna)
	w.must(first)
	w.must(first) // the same again
	if got := pinned(); len(asked) > 0 || got.Config == nil || got.Config.Digest != "a" || !slices.Equal(got.Env, first.Env) {
		t.Fatal(asked, got)
	}
	for _, change := range []keyturn.UseConfig{second, {}, {Path: "/other", Digest: "a"}, {Path: first.Path, Digest: "a", Env: []string{"PATH=/tmp"}}} {
		n := len(asked)
		if w.no(keyturn.Denied, change); len(asked) != n+1 || pinned().Config.Digest != "a" || !slices.Equal(pinned().Env, first.Env) {
			t.Error("changed without a yes:", change, asked)
		}
	}
	answer = nil
	w.must(second)
	if got := pinned(); got.Config.Digest != "b" || !slices.Equal(got.Env, first.Env) {
		t.Error(got)
	}
	// A yes is not enough of whoever has a passphrase.
	if err := journal.New(w.items, w.Now).Passphrases.Set(t.Context(), anna, keyturn.NewValue([]byte("a long and good one"))); err != nil {
		t.Fatal(err)
	}
	n := len(asked)
	w.pass[anna.Principal()] = "another one"
	w.no(keyturn.Denied, keyturn.UseConfig{})
	if w.pass[anna.Principal()] = "a long and good one"; pinned().Config == nil || len(asked) != n {
		t.Error("without the passphrase:", pinned(), asked)
	}
	w.must(keyturn.UseConfig{})
	if pinned().Config != nil {
		t.Error(pinned())
	}
	// That there is none is settled as a file is.
	w.pass[anna.Principal()] = "another one"
	w.no(keyturn.Denied, first)
	// A file that counts without a pin is not left without a proof either.
	standing = true
	w.pass[anna.Principal()] = "another one"
	w.no(keyturn.Denied, first)
}

// Every intent and every refusal names the file that judged, and no form does.
func TestRecordsNameTheConfiguration(t *testing.T) {
	w := newWorld(t, func(c *broker.Config) { c.Judged = "the digest" })
	w.must(runs(dbPass, web))
	w.as(coder)
	w.no(keyturn.Denied, keyturn.GetSecret{Ref: db})
	n := 0
	for _, e := range w.events {
		for _, r := range e.written {
			if judged := r.Phase != keyturn.Outcome; (r.Config == "the digest") != judged {
				t.Errorf("%s: config %q", r.Phase, r.Config)
			} else if judged {
				n++
			}
		}
	}
	if n < 4 { // a run and its two parts, and a refusal
		t.Error(n, "records")
	}
}

// Where the whole session is barred nothing is decided, asked or done, and that is recorded.
func TestBarredSession(t *testing.T) {
	why := keyturn.E(keyturn.Denied, "it has changed", "keyturn config trust").With(keyturn.ConfigChanged)
	w := newWorld(t, func(c *broker.Config) { c.Bar = func(keyturn.Op) error { return why } },
		withRules(t, may("agents", "list describe use reveal write delete destroy", "local/**", run("npm test"))))
	w.as(coder)
	for kind, op := range ops() {
		n := len(w.events)
		_, err := w.Do(t.Context(), op)
		if e := keyturn.AsError(err); !errors.Is(err, keyturn.Denied) || e.Reason != keyturn.ConfigChanged || e.Approval != nil {
			t.Errorf("%s: %v", kind, err)
		}
		for _, e := range w.events[n:] {
			if e.call != "" || len(e.written) != 1 || e.written[0].Phase != keyturn.Refusal {
				t.Errorf("%s: %v", kind, e)
			}
		}
	}
}
