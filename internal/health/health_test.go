package health

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/rules"
	"github.com/keyturn/keyturn/internal/session"
)

// TestCheckWithoutStore: what does not work is a finding and no error, and a store that
// cannot be read is not opened.
func TestCheckWithoutStore(t *testing.T) {
	p := &session.Program{
		Inspect: func(context.Context, session.How) (session.Inspection, error) {
			return session.Inspection{Free: -1, Err: keyturn.E(keyturn.Corrupt, "torn\x1b", "restore it")}, nil
		},
		Facts: func(session.How) (session.Facts, error) {
			return session.Facts{}, keyturn.E(keyturn.Invalid, "line 3", "")
		},
	}
	report, err := Check(t.Context(), Door{Program: p, Do: func(func(context.Context, *session.Session) error) error {
		t.Error("the store was opened")
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if n := report.Count(Bad); n != 2 || report.Err().Code != keyturn.Corrupt {
		t.Errorf("%d are bad: %v", n, report.Err())
	}
	doc := report.Document(false)
	if doc.Status != "partial" || len(doc.Errors) != 2 || doc.Caller != nil {
		t.Errorf("%+v", doc)
	}
	for _, c := range *doc.Checks {
		if strings.Contains(c.Message, "\x1b") {
			t.Errorf("%q is not clean", c.Message)
		}
		if c.State == string(Bad) && (c.Next == "" || c.Code == "") {
			t.Errorf("%+v: no next step, or no code", c)
		}
	}
}

// TestCheckOfWhatDoesNotOpen: a store that does not open is blamed on what keeps it shut.
func TestCheckOfWhatDoesNotOpen(t *testing.T) {
	set, err := rules.New(rules.Input{})
	if err != nil {
		t.Fatal(err)
	}
	for check, cause := range map[string]error{
		"configuration": keyturn.E(keyturn.Denied, "not yours to choose", ""), "project": keyturn.E(keyturn.Conflict, "another mount", ""), "root key": errors.New("no keychain"),
	} {
		p := &session.Program{
			Inspect: func(context.Context, session.How) (session.Inspection, error) {
				return session.Inspection{Free: -1}, nil
			},
			Facts: func(session.How) (session.Facts, error) { return session.Facts{Rules: set}, nil },
		}
		report, err := Check(t.Context(), Door{Program: p, Do: func(func(context.Context, *session.Session) error) error { return cause }})
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(report.Findings, func(f Finding) bool { return f.State == Bad }); i < 0 || report.Findings[i].Check != check || report.Count(Bad) != 1 {
			t.Errorf("%v: %+v, want %s", cause, report.Findings, check)
		}
	}
}

// TestQuestion: a question is asked about one kind of caller, or about each of them.
func TestQuestion(t *testing.T) {
	set, err := rules.New(rules.Input{})
	if err != nil {
		t.Fatal(err)
	}
	for who, want := range map[string]int{"user:anna": 1, "agents": 1, Everyone: 3} {
		q, err := NewQuestion(who, "use", "local/a", nil, "local/b")
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range q.Answers(set) {
			want--
			if d.Who != who || d.Path != "local/a" || len(d.Because) == 0 {
				t.Errorf("%s: %+v", who, d)
			}
		}
		if want != 0 {
			t.Errorf("%s: %d decisions are missing", who, want)
		}
	}
	for _, x := range [][]string{{"anna", "use", "local/a", ""}, {"agents", "look", "local/a", ""}, {"agents", "use", "a b", ""}, {"agents", "reveal", "local/a", "local/b"}} {
		if _, err := NewQuestion(x[0], x[1], x[2], nil, x[3]); !errors.Is(err, keyturn.Invalid) {
			t.Errorf("%q: %v, want invalid", x, err)
		}
	}
}

// TestConfigurationOfNothing: without files there are no entries, and nothing is wrong.
func TestConfigurationOfNothing(t *testing.T) {
	set, err := rules.New(rules.Input{})
	if err != nil {
		t.Fatal(err)
	}
	found := ConfigurationOf(session.Facts{Rules: set, Operator: (*config.Operator)(nil)})
	if len(found.Entries) != 0 || len(found.Notices) != 0 || found.Document().Settings == nil {
		t.Errorf("%+v", found)
	}
}
