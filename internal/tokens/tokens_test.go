package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// inMemory is Items without a disk.
type inMemory struct {
	mu   sync.Mutex
	rows map[string]keyturn.Item
	fail error
}

func (m *inMemory) Item(_ context.Context, kind, id string) (keyturn.Item, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	it, ok := m.rows[kind+"\n"+id]
	if m.fail != nil {
		return it, m.fail
	}
	if !ok {
		return it, keyturn.NotFound
	}
	return it, nil
}

func (m *inMemory) UpdateItem(_ context.Context, kind, id string, change func(keyturn.Item) (keyturn.Item, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	it, err := change(m.rows[kind+"\n"+id])
	if m.fail != nil {
		err = m.fail
	}
	if err != nil {
		return err
	}
	if it.Body == nil {
		delete(m.rows, kind+"\n"+id)
		return nil
	}
	m.rows[kind+"\n"+id] = it
	return nil
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// TestShelf: what is kept comes back whole, at its own place and nowhere else.
func TestShelf(t *testing.T) {
	m := &inMemory{rows: map[string]keyturn.Item{}}
	s := At(m, "vault", "vault", "https://Vault.example.com:8200/", "/team/")
	if _, err := s.Load(t.Context()); !errors.Is(err, keyturn.NotFound) || !strings.Contains(err.Error(), "https://vault.example.com:8200, namespace team") {
		t.Errorf("an empty shelf: %v", err)
	}
	tok := platform.Token{Value: keyturn.NewValue([]byte("hvs.fake")), Accessor: "acc", Identity: "anna", Policies: []string{"a", "b"},
		Issued: noon, Expires: noon.Add(time.Hour), Renewable: true, Words: "--method userpass", Given: true, By: "user:anna"}
	if before, err := s.Keep(t.Context(), tok); err != nil || before.Value.Len() > 0 {
		t.Fatal(err)
	}
	for _, same := range []*Shelf{s, At(m, "vault", "vault", "HTTPS://vault.example.com:8200", "team")} {
		got, err := same.Load(t.Context())
		if err != nil || !got.Value.Equal(tok.Value) {
			t.Fatalf("load: %v", err)
		}
		got.Value, tok.Value = keyturn.Value{}, keyturn.Value{}
		if d := cmp.Diff(tok, got, cmp.Comparer(func(a, b keyturn.Value) bool { return a.Equal(b) })); d != "" {
			t.Error(d)
		}
		tok.Value = keyturn.NewValue([]byte("hvs.fake"))
	}
	for what, other := range map[string]*Shelf{
		"another mount":     At(m, "prod", "vault", "https://vault.example.com:8200", "team"),
		"another platform":  At(m, "vault", "aws", "https://vault.example.com:8200", "team"),
		"another host":      At(m, "vault", "vault", "https://vault.example.org:8200", "team"),
		"another port":      At(m, "vault", "vault", "https://vault.example.com:8201", "team"),
		"no encryption":     At(m, "vault", "vault", "http://vault.example.com:8200", "team"),
		"a path":            At(m, "vault", "vault", "https://vault.example.com:8200/team", "team"),
		"another namespace": At(m, "vault", "vault", "https://vault.example.com:8200", "Team"),
		"no namespace":      At(m, "vault", "vault", "https://vault.example.com:8200", ""),
	} {
		if _, err := other.Load(t.Context()); !errors.Is(err, keyturn.NotFound) {
			t.Errorf("%s has the token: %v", what, err)
		}
		if err := other.Forget(t.Context(), tok); err != nil {
			t.Error(err)
		}
	}
	if n := len(m.rows); n != 1 {
		t.Fatalf("%d rows", n)
	}
	for id, it := range maps.Clone(m.rows) {
		// One that was dropped when it ended would be followed by somebody else's.
		if !it.Expires.IsZero() {
			t.Errorf("it is remembered until %v", it.Expires)
		}
		if strings.Contains(id, "hvs.") {
			t.Errorf("the row's name holds the token")
		}
		// A row that was put into the place of another is found out.
		elsewhere := At(m, "vault", "vault", "https://elsewhere.example.com", "")
		m.rows["token\n"+elsewhere.id] = keyturn.Item{ID: elsewhere.id, Body: it.Body}
		if _, err := elsewhere.Load(t.Context()); !errors.Is(err, keyturn.Corrupt) {
			t.Errorf("a token of another place was taken: %v", err)
		}
	}
	tok.Expires = time.Time{}
	if before, err := s.Keep(t.Context(), tok); err != nil || !before.Value.Equal(tok.Value) || before.Accessor != "acc" {
		t.Errorf("a token that does not end: %v", err)
	}
	if err := s.Forget(t.Context(), tok); err != nil {
		t.Error(err)
	}
	if _, err := s.Load(t.Context()); !errors.Is(err, keyturn.NotFound) {
		t.Errorf("it was not forgotten: %v", err)
	}
	if err := s.Forget(t.Context(), tok); err != nil {
		t.Errorf("to forget nothing: %v", err)
	}
}

// TestShelfOfTwo: what one process renewed or forgets does not take the place of what
// another one has kept or forgotten meanwhile.
func TestShelfOfTwo(t *testing.T) {
	m := &inMemory{rows: map[string]keyturn.Item{}}
	one, two := At(m, "vault", "vault", "https://a", ""), At(m, "vault", "vault", "https://a", "")
	old, newer := platform.Token{Value: keyturn.NewValue([]byte("hvs.old"))}, platform.Token{Value: keyturn.NewValue([]byte("hvs.newer"))}
	longer := old
	longer.Expires = noon
	holds := func(what string, want platform.Token) {
		t.Helper()
		switch got, err := two.Load(t.Context()); {
		case want.Value.Len() == 0 && !errors.Is(err, keyturn.NotFound):
			t.Errorf("%s: something is kept (%v)", what, err)
		case want.Value.Len() > 0 && (err != nil || !got.Value.Equal(want.Value) || !got.Expires.Equal(want.Expires)):
			t.Errorf("%s: not what is to be kept (%v)", what, err)
		}
	}
	renew := func(want bool) {
		t.Helper()
		if still, err := one.Renewed(t.Context(), longer); err != nil || still != want {
			t.Errorf("renewed: %v, %v", still, err)
		}
	}
	renew(false)
	holds("renewed and never kept", platform.Token{})
	if _, err := one.Keep(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	renew(true)
	holds("renewed", longer)
	if before, err := two.Keep(t.Context(), newer); err != nil || !before.Value.Equal(old.Value) {
		t.Errorf("what was there before is not told: %v", err)
	}
	renew(false)
	holds("another login", newer)
	if err := one.Forget(t.Context(), longer); err != nil {
		t.Error(err)
	}
	holds("another login, and a logout of the one before", newer)
	if err := two.Forget(t.Context(), newer); err != nil {
		t.Error(err)
	}
	renew(false)
	holds("another logout", platform.Token{})
}

// TestShelfFails: errors of the store pass, and none repeats what is kept.
func TestShelfFails(t *testing.T) {
	m := &inMemory{rows: map[string]keyturn.Item{}}
	s := At(m, "vault", "vault", "https://vault.example.com", "")
	for _, body := range []string{"", "{", `{"token":"aHZzLmZha2U="}`, "null"} {
		m.rows["token\n"+s.id] = keyturn.Item{ID: s.id, Body: []byte(body)}
		_, err := s.Load(t.Context())
		if !errors.Is(err, keyturn.Corrupt) || keyturn.AsError(err).Err != nil {
			t.Errorf("%q: %v", body, err)
		}
	}
	// It is not renewed or forgotten by mistake, and a login takes its place.
	if still, err := s.Renewed(t.Context(), platform.Token{}); still || !errors.Is(err, keyturn.Corrupt) {
		t.Errorf("renewed: %v", err)
	}
	if err := s.Forget(t.Context(), platform.Token{}); !errors.Is(err, keyturn.Corrupt) || len(m.rows) != 1 {
		t.Errorf("forgotten: %v", err)
	}
	if before, err := s.Keep(t.Context(), platform.Token{}); err != nil || before.Value.Len() > 0 {
		t.Errorf("kept: %v", err)
	}
	m.fail = keyturn.E(keyturn.Unavailable, "disk", "")
	if _, err := s.Load(t.Context()); !errors.Is(err, keyturn.Unavailable) {
		t.Error(err)
	}
	if _, err := s.Renewed(t.Context(), platform.Token{}); !errors.Is(err, keyturn.Unavailable) {
		t.Error(err)
	}
	if _, err := s.Keep(t.Context(), platform.Token{}); !errors.Is(err, keyturn.Unavailable) {
		t.Error(err)
	}
	if err := s.Forget(t.Context(), platform.Token{}); !errors.Is(err, keyturn.Unavailable) {
		t.Error(err)
	}
	if b, _ := json.Marshal(platform.Token{Value: keyturn.NewValue([]byte("hvs.fake"))}); strings.Contains(string(b), "fake") {
		t.Errorf("a token has a form with its value: %s", b)
	}
}
