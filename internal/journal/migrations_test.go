package journal_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/journal/journaltest"
)

var (
	app = keyturn.MustRef("local/app")
)

// migrations returns an empty journal, and its rows, whose clock is the journal's.
func migrations() (journal.Migrations, *journaltest.Items) {
	s := journaltest.New(start)
	return journal.New(s, s.Now).Migrations, s
}

func of(id, by string, files ...string) keyturn.Migration {
	m := keyturn.Migration{ID: id, By: by, Ref: app, Phase: keyturn.MigrationBegun, Began: start}
	for _, f := range files {
		m.Files = append(m.Files, keyturn.MigratedFile{Path: f, Mode: "0600"})
	}
	return m
}

func texts(n int) (out []journal.Text) {
	for i := range n {
		out = append(out, journal.Text{Before: keyturn.NewValue(fmt.Append(nil, "before ", i)), After: keyturn.NewValue(fmt.Append(nil, "after ", i))})
	}
	return out
}

func want(t *testing.T, what string, err error, code keyturn.Code) *keyturn.Error {
	t.Helper()
	if code == "" && err != nil || code != "" && !errors.Is(err, code) {
		t.Fatalf("%s: %v, want %q", what, err, code)
	}
	return keyturn.AsError(err)
}

func TestLifeOfAMigration(t *testing.T) {
	b, s := migrations()
	ctx := t.Context()
	if all, err := b.List(ctx); err != nil || len(all) != 0 {
		t.Fatalf("an empty journal: %v, %v", all, err)
	}
	want(t, "begin", b.Begin(ctx, of("m1", "user:anna", "/p/.env", "/p/b.env"), true), "")
	want(t, "store", b.Store(ctx, "m1", texts(2)), "")
	s.Add(time.Hour)
	m, err := b.Move(ctx, "m1", keyturn.MigrationEnded, keyturn.MigrationStored)
	want(t, "end", err, "")
	if m.Open() || !m.Ended.Equal(s.Now()) {
		t.Errorf("ended: %+v", m)
	}
	found, err := b.Find(ctx, app, "m1")
	want(t, "find", err, "")
	got, err := b.Texts(ctx, found)
	want(t, "texts", err, "")
	if !got[1].Before.Equal(keyturn.NewValue([]byte("before 1"))) || !got[1].After.Equal(keyturn.NewValue([]byte("after 1"))) {
		t.Error("the texts are others")
	}
	_, err = b.Find(ctx, keyturn.MustRef("local/other"), "m1")
	want(t, "find of another secret", err, keyturn.NotFound)
	_, err = b.Move(ctx, "m1", keyturn.MigrationStored, keyturn.MigrationBegun)
	want(t, "back to stored", err, keyturn.Conflict)
	want(t, "forget", b.Forget(ctx, "m1"), "")
	if n := len(s.Rows["migration"]) + len(s.Rows["migration-texts"]); n != 0 {
		t.Errorf("left: %v", s.Rows)
	}
}

func TestClaims(t *testing.T) {
	for name, c := range map[string]struct {
		phase  string
		second keyturn.Migration
		person bool
		after  time.Duration
		code   keyturn.Code
		hint   string
	}{
		"another file":                       {keyturn.MigrationStored, of("m2", "agent:x", "/p/other"), false, 0, "", ""},
		"one file of two":                    {keyturn.MigrationStored, of("m2", "user:anna", "/p/b.env", "/p/c"), true, 0, keyturn.Conflict, "--resume m1"},
		"of one that is being taken back":    {keyturn.MigrationReverting, of("m2", "user:anna", "/p/.env"), true, 0, keyturn.Conflict, "--rollback m1"},
		"of one that has ended":              {keyturn.MigrationEnded, of("m2", "agent:x", "/p/.env"), false, 0, "", ""},
		"of one that is taken back":          {keyturn.MigrationReverted, of("m2", "agent:x", "/p/.env"), false, 0, "", ""},
		"of one's own that has only begun":   {keyturn.MigrationBegun, of("m2", "agent:coder", "/p/.env"), false, 0, "", ""},
		"of another's that has only begun":   {keyturn.MigrationBegun, of("m2", "agent:x", "/p/.env"), false, time.Hour, keyturn.Conflict, "agent:coder"},
		"of another's, by a person":          {keyturn.MigrationBegun, of("m2", "user:anna", "/p/.env"), true, 0, "", ""},
		"of another's, a day later":          {keyturn.MigrationBegun, of("m2", "agent:x", "/p/.env"), false, 25 * time.Hour, "", ""},
		"of a stored one, a day later, too":  {keyturn.MigrationStored, of("m2", "agent:coder", "/p/.env"), false, 25 * time.Hour, keyturn.Conflict, "--resume m1"},
		"of a path that only looks the same": {keyturn.MigrationStored, of("m2", "agent:coder", "/p/.env2"), false, 0, "", ""},
	} {
		b, s := migrations()
		want(t, name, b.Begin(t.Context(), of("m1", "agent:coder", "/p/.env", "/p/b.env"), false), "")
		if c.phase != keyturn.MigrationBegun {
			want(t, name, b.Store(t.Context(), "m1", texts(2)), "")
			_, err := b.Move(t.Context(), "m1", c.phase, keyturn.MigrationStored)
			want(t, name, err, "")
		}
		s.Add(c.after)
		e := want(t, name, b.Begin(t.Context(), c.second, c.person), c.code)
		if c.code != "" && !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%s: the hint is %q", name, e.Hint)
		}
	}
}

// Who was overtaken writes nothing: its claim is gone, and so are its texts.
func TestOvertaken(t *testing.T) {
	b, s := migrations()
	want(t, "first", b.Begin(t.Context(), of("m1", "user:anna", "/p/.env"), true), "")
	want(t, "second", b.Begin(t.Context(), of("m2", "user:anna", "/p/.env"), true), "")
	want(t, "the first goes on", b.Store(t.Context(), "m1", texts(1)), keyturn.Conflict)
	want(t, "the second goes on", b.Store(t.Context(), "m2", texts(1)), "")
	if n := len(s.Rows["migration"]) + len(s.Rows["migration-texts"]); n != 2 { // the list, and the texts of m2
		t.Errorf("left: %d rows", n)
	}
}

func TestLimitAndDamage(t *testing.T) {
	b, s := migrations()
	for i := range journal.MaxMigrations {
		want(t, "begin", b.Begin(t.Context(), of(fmt.Sprint("m", i), "user:anna", fmt.Sprint("/p/", i)), true), "")
	}
	e := want(t, "one too many", b.Begin(t.Context(), of("more", "user:anna", "/q"), true), keyturn.Conflict)
	if !strings.Contains(e.Hint, "--forget") {
		t.Errorf("the hint is %q", e.Hint)
	}
	want(t, "store", b.Store(t.Context(), "m0", texts(1)), "")
	m, err := b.Find(t.Context(), app, "m0")
	want(t, "find", err, "")
	s.Rows["migration-texts"]["m0"] = keyturn.Item{Body: []byte(`[{}, {}]`)}
	_, err = b.Texts(t.Context(), m)
	want(t, "texts of other files", err, keyturn.Corrupt)
	s.Rows["migration-texts"]["m0"] = keyturn.Item{Body: []byte(`["made-up-value"]`)}
	_, err = b.Texts(t.Context(), m)
	if e := want(t, "texts that are none", err, keyturn.Corrupt); strings.Contains(fmt.Sprint(e, e.Err), "made-up") {
		t.Errorf("a text is in the error: %v", e)
	}
	s.Rows["migration"]["list"] = keyturn.Item{Body: []byte(`{`)}
	_, err = b.List(t.Context())
	want(t, "a broken list", err, keyturn.Corrupt)
	want(t, "begin on a broken list", b.Begin(t.Context(), of("x", "user:anna", "/q"), true), keyturn.Corrupt)
}
