package home

import (
	"testing"

	"github.com/keyturn/keyturn/internal/session"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/rootkey"
)

// TestDiscardKeepsTheKeyOfAStore has a store made although its making failed in the
// end: its root key stays. That of a store that came to nothing goes.
func TestDiscardKeepsTheKeyOfAStore(t *testing.T) {
	f := Folder{Facts: session.Facts{Home: t.TempDir()}, Env: func(string) string { return "" }, Options: state.Options{}}
	made := state.NewID()
	k, err := f.create(t.Context(), made, rootkey.File)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	for id, stays := range map[string]bool{made: true, state.NewID(): false} {
		keys := rootkey.Keeper{Dir: f.Facts.Home, Store: id}
		place, err := keys.Place(rootkey.File)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := keys.Make(t.Context(), rootkey.File, place); err != nil {
			t.Fatal(err)
		}
		f.discard(id, keys, spot{rootkey.File, place})
		if _, err := keys.Load(t.Context(), rootkey.File, place); (err == nil) != stays {
			t.Errorf("the root key stays: %v, want %v", err == nil, stays)
		}
	}
}
