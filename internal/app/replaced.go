package app

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/rootkey"
)

// found is the store that is there before a restore.
type found struct {
	dir    string // where its files are
	id     string // "" where not even that can be read
	at     spot   // of its root key
	mark   *keyturn.LogMark
	forked bool   // its log is not the backup's with more behind it
	why    string // it has no mark
	moved  bool   // its files are aside: by this restore, or by one that was killed
}

const (
	asidePrefix = "replaced-"
	// unfinished marks a folder whose store was moved aside and has no follower yet.
	unfinished = "unfinished"
)

func (f *found) path() string { return filepath.Join(f.dir, state.File) }

// look finds the store that is there, if any, and where its log ends.
func (r *restoring) look(ctx context.Context) (*found, error) {
	f := &found{dir: r.facts.Home}
	if _, err := os.Lstat(f.path()); errors.Is(err, fs.ErrNotExist) {
		// A restore that was killed may have moved one aside.
		left, _ := filepath.Glob(filepath.Join(r.facts.Home, asidePrefix+"*", unfinished))
		if len(left) == 0 {
			return nil, nil
		}
		f.dir, f.moved = filepath.Dir(left[len(left)-1]), true
		if err := f.moveRest(r.facts.Home); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, unwritten(f.path(), err)
	}
	facts, err := state.Peek(ctx, f.dir, r.stateOptions())
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		f.why = keyturn.AsError(err).Message
		return f, nil
	}
	f.id, f.at = facts.ID, spotOf(facts)
	if f.id != r.manifest.Store {
		return f, nil
	}
	if err := r.mark(ctx, f); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		f.mark, f.why = nil, keyturn.AsError(err).Message
	}
	return f, nil
}

// mark reads where the log of a store ends. Nobody is asked for its passphrase: who
// restores a backup may have lost it.
func (r *restoring) mark(ctx context.Context, f *found) error {
	db, err := state.Open(ctx, f.dir, func(id, kind, place string) ([]byte, error) {
		keys := rootkey.Keeper{Dir: f.dir, Store: id, Now: r.Now}
		return keys.Load(ctx, kind, place)
	}, r.stateOptions())
	if err != nil {
		return err
	}
	defer db.Close()
	log := audit.New(db, r.Now)
	_, c, err := log.Checkpoint(ctx)
	if err != nil {
		return err
	}
	f.mark = &keyturn.LogMark{Size: c.Size, Root: hex.EncodeToString(c.Root[:])}
	_, err = log.VerifyAgainst(ctx, []byte(r.manifest.Log.Checkpoint))
	f.forked = err != nil
	return nil
}

// files are those of a store, in the order in which they are moved: without the
// first there is no store.
func (f *found) files() []string {
	list := []string{state.File, state.File + "-wal", state.File + "-shm"}
	if name := f.at.Place; f.at.Kind != rootkey.Keychain && filepath.Base(name) == name && filepath.Ext(name) == ".key" {
		list = append(list, name)
	}
	return list
}

// moveAside moves the store's files into a folder of their own beside it.
func (f *found) moveAside(home string, now time.Time) error {
	if f.moved {
		return nil
	}
	base := filepath.Join(home, asidePrefix+now.UTC().Format("20060102T150405Z"))
	dir := base
	for i := 2; ; i++ {
		err := os.Mkdir(dir, 0o700)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) || i > 100 {
			return unwritten(dir, err)
		}
		dir = base + "-" + count(int64(i))
	}
	err := os.WriteFile(filepath.Join(dir, unfinished), nil, 0o600)
	if err == nil {
		err = errors.Join(syncFolder(dir), syncFolder(home))
	}
	if err != nil {
		return unwritten(dir, err)
	}
	f.dir, f.moved = dir, true
	return f.moveRest(home)
}

// moveRest moves what is still there. Where the root key is aside already, and the
// store's word for its place is not at hand, its file is found by its name.
func (f *found) moveRest(home string) error {
	if err := move(home, f.dir, f.files()); err != nil {
		return err
	}
	if f.at.Kind == "" {
		if facts, err := state.Peek(context.Background(), f.dir, state.Options{}); err == nil {
			f.at = spotOf(facts)
			return move(home, f.dir, f.files())
		}
	}
	return nil
}

// moveBack undoes moveAside, where the backup could not be published.
func (f *found) moveBack(home string) error {
	if err := move(f.dir, home, f.files()); err != nil {
		return err
	}
	_ = os.Remove(filepath.Join(f.dir, unfinished))
	_ = os.Remove(f.dir)
	return nil
}

func move(from, to string, files []string) error {
	for _, name := range files {
		target := filepath.Join(to, name)
		if _, err := os.Lstat(target); err == nil {
			continue
		}
		if err := os.Rename(filepath.Join(from, name), target); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return unwritten(target, err)
		}
	}
	if err := errors.Join(syncFolder(to), syncFolder(from)); err != nil {
		return unwritten(to, err)
	}
	return nil
}

// done tells that the store that was moved aside has a follower.
func (f *found) done() {
	_ = os.Remove(filepath.Join(f.dir, unfinished))
	_ = syncFolder(f.dir)
}
