package broker_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
)

// What is in a secret is not told to who may write to it and not describe it: neither
// in the answer nor in a conflict. And a hint offers what can be done.
func TestWriteTellsLittle(t *testing.T) {
	w := newWorld(t, withRules(t, may("agents", "use", "local/app/web", to("local")), may("agents", "write delete", "local/app/**")))
	w.must(keyturn.PutSecret{Ref: db, Mode: keyturn.Merge, Labels: map[string]string{"team": "hidden"}})
	w.as(coder)
	for _, op := range []keyturn.Op{
		keyturn.PutSecret{Ref: db, Candidate: w.sealed(db, values("mine", "x"))}, keyturn.CopySecret{From: web, To: db},
	} {
		if e := w.no(keyturn.Conflict, op); strings.Contains(full(e), "password") || !strings.Contains(e.Hint, "--merge") || strings.Contains(e.Message, "this put") {
			t.Errorf("%s: %s", op.Kind(), full(e))
		}
	}
	for _, op := range []keyturn.Op{
		keyturn.PutSecret{Ref: db, Mode: keyturn.Merge, Candidate: w.sealed(db, values("mine", "x"))}, keyturn.CopySecret{From: web, To: db, Mode: keyturn.Merge},
		w.migrating(db, "/p/.env", map[string]string{"A": "x"}), keyturn.RollbackSecret{Ref: db, To: "1"}, keyturn.DeleteSecret{Ref: db}, keyturn.RestoreSecret{Ref: db},
	} {
		var info keyturn.Info
		switch res := w.must(op).(type) {
		case *keyturn.Changed:
			info = res.Secret
		case *keyturn.Copied:
			info = res.To
		case *keyturn.Migrated:
			info = res.Secret
		}
		if info.Ref.IsZero() || info.Fields != nil || info.Labels != nil || info.Public != nil || info.Versions != 0 {
			t.Errorf("%s: %+v", op.Kind(), info)
		}
	}
	// An agent's copy cannot be remembered; a person's is for somebody else to say yes to.
	scratch := keyturn.CopySecret{From: db, To: ref("local/scratch/x")}
	if e := w.no(keyturn.Denied, scratch); strings.Contains(e.Hint, "--remember") || !strings.Contains(e.Hint, "keyturn approve ") {
		t.Errorf("hint %q", e.Hint)
	}
	w = newWorld(t, withRules(t, may("agents", "reveal", "local/scratch/**")))
	if e := w.as(anna).no(keyturn.Denied, scratch); !strings.Contains(e.Hint, "another person") || !strings.Contains(e.Hint, "a rule says so") {
		t.Errorf("hint %q", e.Hint)
	}
}

// Sealing that is refused is on record as what it is.
func TestSealIsOnRecord(t *testing.T) {
	w := newWorld(t, withRules(t, never("agents", "write", "**")))
	if _, err := w.as(coder).Seal(t.Context(), into, values("A", "x")); !errors.Is(err, keyturn.Denied) {
		t.Fatal(say(err))
	}
	r := w.records()
	if op, err := keyturn.DecodeOp(r[len(r)-1].Op); err != nil || op.Kind() != "seal-values" || r[len(r)-1].Status != "denied" {
		t.Errorf("%+v", r[len(r)-1])
	}
}

// Who is asked to let a migration be taken back, or forgotten, is told of which files.
func TestRequestNamesFiles(t *testing.T) {
	w := newWorld(t, withRules(t, may("agents", "write", "local/m")))
	id := w.as(coder).must(w.migrating(into, "/p/.env", map[string]string{"A": secret(6)})).(*keyturn.Migrated).Migration.ID
	w.no(keyturn.Denied, keyturn.RevertMigration{Ref: into, ID: id, Out: "/elsewhere"})
	w.no(keyturn.Denied, keyturn.ForgetMigration{Ref: into, ID: id})
	reqs := w.as(anna).must(keyturn.ListRequests{}).(*keyturn.Requests).Requests
	for _, r := range reqs {
		if !slices.Equal(r.Files, []string{"/p/.env"}) {
			t.Errorf("%s: %q", r.Op.Kind(), r.Files)
		}
	}
	if len(reqs) != 2 {
		t.Errorf("%d requests", len(reqs))
	}
}
