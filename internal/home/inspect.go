package home

import (
	"context"
	"os"
	"path/filepath"
	"runtime"

	"github.com/keyturn/keyturn/internal/durable"
	"github.com/keyturn/keyturn/internal/launch"
	"github.com/keyturn/keyturn/internal/session"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/rootkey"
)

// Inspect looks at the store in a folder, and at its surroundings, from outside. It
// changes nothing, and needs no root key.
func Inspect(ctx context.Context, home string, o state.Options) session.Inspection {
	// Core dumps were switched off when the program started. To do it again tells
	// whether that is possible here.
	in := session.Inspection{Home: home, Free: -1, Dumps: launch.HardenSelf(), Dynamic: launch.Dynamic()}
	facts, err := state.Peek(ctx, home, o)
	in.Err = cutShort(home, err)
	if err == nil {
		in.Store = factsOf(facts)
		in.Format, in.Size = facts.Format, facts.Size
	}
	path := filepath.Join(home, state.File)
	if fi, err := os.Stat(path + "-wal"); err == nil {
		in.WAL = fi.Size()
	}
	if _, err := os.Stat(home); err == nil {
		in.Free = durable.Free(home)
	}
	if runtime.GOOS == "windows" {
		return in
	}
	places := []string{home, path, path + "-wal"}
	if facts.Kind != rootkey.Keychain && in.Store.KeyAt != "" {
		places = append(places, in.Store.KeyAt)
	}
	for _, p := range places {
		if fi, err := os.Stat(p); err == nil {
			in.Files = append(in.Files, session.FileFacts{Path: p, Folder: fi.IsDir(), Exposed: fi.Mode().Perm()&0o077 != 0, Foreign: durable.Foreign(fi)})
		}
	}
	return in
}
