package health

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/session"
)

// service answers every operation with the same.
type service struct {
	keyturn.Service
	answer keyturn.Result
	err    error
}

func (s service) Do(_ context.Context, op keyturn.Op) (keyturn.Result, error) {
	if _, ok := op.(keyturn.ListLeases); ok {
		return &keyturn.Leases{}, s.err
	}
	return s.answer, s.err
}

// TestUnfinished: what was begun and not finished is told, with the command that
// goes on; what is done is not.
func TestUnfinished(t *testing.T) {
	ref := keyturn.MustRef("local/shop")
	s := &session.Session{
		Service: service{answer: &keyturn.Migrations{Migrations: []keyturn.Migration{
			{ID: "one", Ref: ref, Phase: keyturn.MigrationStored, Began: time.Now()},
			{ID: "two", Ref: ref, Phase: keyturn.MigrationReverting, Began: time.Now()},
			{ID: "three", Ref: ref, Phase: keyturn.MigrationEnded, Began: time.Now()},
			{ID: "four", Ref: ref, Phase: keyturn.MigrationReverted, Began: time.Now()},
		}}},
		Unfinished: []session.UnfinishedWork{
			func(context.Context) ([]session.Unfinished, error) {
				return []session.Unfinished{{What: "a rekey", Next: "keyturn store rekey"}}, nil
			},
			func(context.Context) ([]session.Unfinished, error) {
				return nil, keyturn.E(keyturn.Denied, "not yours", "")
			},
			func(context.Context) ([]session.Unfinished, error) { return nil, errors.New("broken") },
		},
	}
	d := &Report{}
	d.unfinished(t.Context(), s)
	var got []string
	for _, x := range d.Findings {
		got = append(got, string(x.State)+" "+x.Next)
	}
	want := []string{
		"warn keyturn migrate --resume one   (or take it back: keyturn migrate --rollback one)", "warn keyturn migrate --rollback two",
		"warn keyturn store rekey", "bad ",
	}
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("%q, want %q", got[i], want[i])
		}
	}
	if d.Count(Bad) != 1 {
		t.Errorf("%d are bad, want 1", d.Count(Bad))
	}
}

// TestThresholds: room on the disk, the log of changes, and who can get at files.
func TestThresholds(t *testing.T) {
	for _, x := range []struct {
		name string
		in   session.Inspection
		want string
	}{
		{"full disk", session.Inspection{Free: 0}, "bad disk"},
		{"little room", session.Inspection{Free: noRoom}, "warn disk"},
		{"room", session.Inspection{Free: littleRoom}, "ok disk"},
		{"unknown room", session.Inspection{Free: -1}, ""},
		{"large log", session.Inspection{Free: -1, WAL: largeWAL + 1, Store: session.StoreFacts{Path: "p"}}, "warn store log"},
		{"foreign", session.Inspection{Free: -1, Files: []session.FileFacts{{Path: "f", Foreign: true}}}, "warn files"},
		{"open folder", session.Inspection{Free: -1, Files: []session.FileFacts{{Path: "d", Folder: true, Exposed: true}, {Path: "f", Exposed: true}}}, "warn files"},
		{"closed folder", session.Inspection{Free: -1, Files: []session.FileFacts{{Path: "d", Folder: true}, {Path: "f", Exposed: true}}}, "ok files"},
		{"linked", session.Inspection{Free: -1, Dynamic: true}, "warn program"},
		{"dumps", session.Inspection{Free: -1, Dumps: keyturn.E(keyturn.Unsupported, "no switch", "")}, "warn core dumps"},
	} {
		d := &Report{}
		d.files(x.in)
		d.disk(x.in)
		if x.in.WAL > 0 {
			d.store(x.in)
		}
		d.program(x.in)
		if x.in.Dumps != nil {
			d.memory(x.in)
		}
		var got string
		for _, y := range d.Findings {
			if string(y.State)+" "+y.Check == x.want {
				got = x.want
			}
			if y.State != OK && y.Next == "" {
				t.Errorf("%s: no next step", x.name)
			}
		}
		if got != x.want || x.want == "" && len(d.Findings) > 0 {
			t.Errorf("%s: %+v, want %s", x.name, d.Findings, x.want)
		}
	}
}
