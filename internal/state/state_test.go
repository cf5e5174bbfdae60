package state

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/platform/local"
	"github.com/keyturn/keyturn/internal/platform/platformtest"
)

var (
	_ local.Store   = (*DB)(nil)
	_ audit.Store   = (*DB)(nil)
	_ journal.Items = (*DB)(nil)
)

var root = [32]byte([]byte(strings.Repeat("R", 32)))

func rootOf(string, string, string) ([]byte, error) { return root[:], nil }

func create(t testing.TB, o Options) (*DB, string) {
	t.Helper()
	dir := t.TempDir()
	db, err := Create(t.Context(), dir, root, o)
	if err != nil {
		t.Fatalf("create: %v", errText(err))
	}
	t.Cleanup(func() { _ = db.Close() })
	return db, dir
}

func reopen(t testing.TB, dir string, o Options) *DB {
	t.Helper()
	db, err := Open(context.Background(), dir, rootOf, o)
	if err != nil {
		t.Fatalf("open: %v", errText(err))
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// errText is an error with its hint and all causes.
func errText(err error) string {
	var b strings.Builder
	for ; err != nil; err = errors.Unwrap(err) {
		b.WriteString(err.Error() + "; ")
		if e, ok := err.(*keyturn.Error); ok {
			b.WriteString(string(e.Code) + "; " + e.Hint + "; ")
		}
	}
	return b.String()
}

func wantCode(t *testing.T, doing string, err error, want keyturn.Code) {
	t.Helper()
	if got := keyturn.AsError(err); got == nil && want != "" || got != nil && got.Code != want {
		t.Errorf("%s: %v, want %q", doing, errText(err), want)
	}
}

func secretOf(fields ...string) keyturn.Secret {
	s := keyturn.Secret{Values: map[string]keyturn.Value{}}
	for i := 0; i+1 < len(fields); i += 2 {
		s.Values[fields[i]] = keyturn.NewValue([]byte(fields[i+1]))
	}
	return s
}

func put(t testing.TB, db *DB, name string, fields ...string) keyturn.Info {
	t.Helper()
	info, err := db.Append(t.Context(), name, -1, secretOf(fields...))
	if err != nil {
		t.Fatalf("append %s: %v", name, errText(err))
	}
	return info
}

func TestPlatform(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	t.Parallel()
	platformtest.Run(t, func(t *testing.T) platformtest.Harness {
		db, dir := create(t, Options{})
		second := reopen(t, dir, Options{})
		return platformtest.Harness{
			Platform: local.New(db, "local"), Second: local.New(second, "local"),
			Spec: local.Spec, Mount: "local",
		}
	})
}
