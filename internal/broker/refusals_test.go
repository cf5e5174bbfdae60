package broker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/journal"
)

// TestRefusalsDoNotFillTheLog: whoever is refused again and again, with forms as large as
// they like and under another name each time, costs the log a bounded number of small
// records, which together tell how often that was. A refusal that is only counted is a
// refusal, and names no record.
func TestRefusalsDoNotFillTheLog(t *testing.T) {
	w := newWorld(t, withRules(t, never("agents", "reveal", "**")))
	refused, unrecorded := 0, 0
	for i := range journal.MaxRefusals + 500 {
		if i == journal.MaxRefusals+300 {
			w.add(time.Minute)
		}
		e := w.as(keyturn.Actor{Kind: keyturn.Agent, Name: "coder", Proof: "environment"}).no(keyturn.Denied, keyturn.RevealSecret{Ref: dbPass})
		if refused++; e.AuditID == "" {
			unrecorded++
		}
	}
	records := 0
	for _, r := range w.records() {
		if records++; r.Count == 1 {
			t.Errorf("a record stands for one: %+v", r)
		}
	}
	if records != journal.MaxRefusals+2 || unrecorded != refused-records {
		t.Errorf("%d refusals have %d records; %d answers name none", refused, records, unrecorded)
	}
	w.add(time.Minute)
	w.Tidy(t.Context())
	told := 0
	for _, r := range w.records() {
		told += max(1, r.Count)
		if r.Phase != keyturn.Refusal || r.Actor == nil || r.Actor.Kind != keyturn.Agent || r.Status != "denied" {
			t.Errorf("a record is %+v", r)
		}
	}
	if told != refused {
		t.Errorf("%d were refused, and the log tells of %d", refused, told)
	}
	// A person is refused with a record all the same.
	if e := w.as(anna).no(keyturn.Invalid, keyturn.RunCommand{}); e.AuditID == "" {
		t.Error("a refusal of a person has no record")
	}
}

// TestLargeRefusalsAreLeftOut: of a large operation that is refused the log keeps the hash.
func TestLargeRefusalsAreLeftOut(t *testing.T) {
	w := newWorld(t)
	w.as(coder).no(keyturn.Denied, keyturn.RunCommand{Command: []string{"npm", strings.Repeat("x", 5<<10)}, Env: runs(dbPass).Env})
	w.no(keyturn.Denied, keyturn.RunCommand{Command: []string{"npm", strings.Repeat("x", 3<<10)}, Env: runs(dbPass).Env})
	got := w.records()
	if len(got) != 2 || got[0].Op != nil || got[0].OpHash == "" || got[1].Op == nil || got[1].OpHash == "" {
		t.Errorf("%+v", got)
	}
}

// TestNamesOfOneScript: agents and services do not write to names that mix letters of
// several scripts, by any operation that writes; people do.
func TestNamesOfOneScript(t *testing.T) {
	mixed, err := keyturn.NewRef("local", "app/p\u0430ypal")
	if err != nil {
		t.Fatal(err)
	}
	field, err := web.WithField("p\u0430ss")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, withRules(t, may("agents", "write use list describe", "**"), may("services", "write use list describe", "**")))
	ci := keyturn.Actor{Kind: keyturn.ServiceKind, Name: "ci", Proof: "declared"}
	for name, op := range map[string]keyturn.Op{
		"put":       keyturn.PutSecret{Ref: mixed, Generate: []keyturn.Generate{{Field: "key"}}},
		"generate":  keyturn.PutSecret{Ref: keyturn.MustRef("local/new"), Generate: []keyturn.Generate{{Field: field.Field()}}},
		"copy":      keyturn.CopySecret{From: web, To: mixed},
		"field":     keyturn.CopySecret{From: dbPass, To: field},
		"migration": keyturn.MigrateSecrets{Ref: mixed, Fields: []string{"A"}, Candidate: "x"},
		"fields":    keyturn.MigrateSecrets{Ref: keyturn.MustRef("local/new"), Fields: []string{field.Field()}, Candidate: "x"},
	} {
		for _, actor := range []keyturn.Actor{coder, ci} {
			if e := w.as(actor).no(keyturn.Invalid, op); !strings.Contains(e.Message, "several scripts") || !strings.Contains(e.Message, "‹U+") {
				t.Errorf("%s by %s: %v", name, actor.Principal(), e)
			}
		}
	}
	for _, ref := range []keyturn.Ref{mixed, web} {
		if _, err := w.as(coder).Seal(t.Context(), ref, values(field.Field(), "x")); keyturn.AsError(err) == nil || keyturn.AsError(err).Code != keyturn.Invalid {
			t.Errorf("sealed for %s: %v", ref, err)
		}
	}
	w.as(anna).must(keyturn.PutSecret{Ref: mixed, Generate: []keyturn.Generate{{Field: "key"}}})
	w.as(coder).must(keyturn.GetSecret{Ref: mixed})
}

// TestUnseenNames: nobody makes a field or a label whose name holds what is not seen, and no
// agent brings one; a person may, with the values of a document that has such names.
func TestUnseenNames(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"\u202ex", "a\u200bb", "a\nb"} {
		w.as(anna).no(keyturn.Invalid, keyturn.PutSecret{Ref: keyturn.MustRef("local/new"), Generate: []keyturn.Generate{{Field: name}}})
		w.as(anna).no(keyturn.Invalid, keyturn.PutSecret{Ref: web, Mode: keyturn.Merge, Labels: map[string]string{name: "x"}})
		if _, err := w.as(coder).Seal(t.Context(), web, values(name, "x")); keyturn.AsError(err) == nil || keyturn.AsError(err).Code != keyturn.Invalid {
			t.Errorf("%q was sealed: %v", name, err)
		}
		id, err := w.as(anna).Seal(t.Context(), web, values(name, "x"))
		if err != nil {
			t.Fatal(err)
		}
		put := keyturn.PutSecret{Ref: web, Candidate: id, Mode: keyturn.Merge}
		if e := w.as(coder).no(keyturn.Denied, put); strings.Contains(e.Message+e.Hint, name) {
			t.Errorf("told %q", e.Message)
		}
		w.as(anna).must(put)
	}
}
