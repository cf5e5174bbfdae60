package app

import (
	"context"
	"os"
	"path/filepath"
	"runtime"

	"github.com/keyturn/keyturn/internal/app/outfile"
	"github.com/keyturn/keyturn/internal/app/restore"
	"github.com/keyturn/keyturn/internal/app/store"
	"github.com/keyturn/keyturn/internal/launch"
	"github.com/keyturn/keyturn/internal/session"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/rootkey"
)

// inspect looks at the store and its surroundings from outside. It changes
// nothing, and needs no root key.
func (m machine) inspect(ctx context.Context, how session.How) (session.Inspection, error) {
	home, err := m.home(how)
	if err != nil {
		return session.Inspection{}, err
	}
	// What the start of the program has switched off stays so: asked for again, it
	// says whether it can be had.
	in := session.Inspection{Home: home, Free: -1, Dumps: launch.HardenSelf()}
	facts, err := state.Peek(ctx, home, m.stateOptions())
	in.Err = restore.CutShort(home, err)
	if err == nil {
		in.Store = store.FactsOf(facts)
		in.Format, in.Size = facts.Format, facts.Size
	}
	path := filepath.Join(home, state.File)
	if fi, err := os.Stat(path + "-wal"); err == nil {
		in.WAL = fi.Size()
	}
	if _, err := os.Stat(home); err == nil {
		in.Free = outfile.Free(home)
	}
	if runtime.GOOS == "windows" {
		return in, nil
	}
	places := []string{home, path, path + "-wal"}
	if facts.Kind != rootkey.Keychain && in.Store.KeyAt != "" {
		places = append(places, in.Store.KeyAt)
	}
	for _, p := range places {
		if fi, err := os.Stat(p); err == nil {
			in.Files = append(in.Files, session.FileFacts{Path: p, Folder: fi.IsDir(), Exposed: fi.Mode().Perm()&0o077 != 0, Foreign: outfile.Foreign(fi)})
		}
	}
	return in, nil
}
