package home

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/verify"
	"github.com/keyturn/keyturn/internal/durable"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/rootkey"
)

// found is the store that a restore finds in the folder.
type found struct {
	dir    string // where its files are
	id     string // "" where not even that can be read
	at     spot   // where its root key is kept
	mark   *keyturn.LogMark
	told   []keyturn.Restoration // restores that its log tells of
	other  bool                  // its log has another key, so the backup was not made of this store
	forked bool                  // its log and the backup's went different ways
	why    string                // why mark is nil
	moved  bool                  // its files are aside, moved by this restore or by a killed one
}

// unfinished is the name of an empty file that marks a folder with a store that was
// moved aside, as long as no other store has taken its place.
const unfinished = "unfinished"

func (f *found) path() string { return filepath.Join(f.dir, state.File) }

// look returns the store in the folder, with the end of its log; nil where there is none.
func (r *restoring) look(ctx context.Context) (*found, error) {
	f := &found{dir: r.Facts.Home}
	marks := unfinishedRestores(r.Facts.Home)
	if _, err := os.Lstat(f.path()); errors.Is(err, fs.ErrNotExist) {
		// A killed restore may have moved a store aside.
		if len(marks) == 0 {
			return nil, nil
		}
		f.dir, f.moved = filepath.Dir(marks[len(marks)-1]), true
		if err := f.moveRest(r.Facts.Home); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, unwritten(f.path(), err)
	} else {
		for _, mark := range marks { // of restores that were killed after they had published their store
			_ = os.Remove(mark)
		}
	}
	facts, err := state.Peek(ctx, f.dir, r.Options)
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

// interrupted returns an error that says how to go on where a restore was killed after it
// had moved the store aside, so that there is none; nil where that is not so.
func interrupted(home string) *keyturn.Error {
	marks := unfinishedRestores(home)
	if len(marks) == 0 {
		return nil
	}
	dir := filepath.Dir(marks[len(marks)-1])
	return keyturn.E(keyturn.NotFound, "there is no store at '"+keyturn.Clean(filepath.Join(home, state.File))+"': a restore was cut short once it had moved it to '"+keyturn.Clean(dir)+"'",
		"the same command goes on: keyturn store restore BACKUP --identity KEYFILE --replace\nor move the files back, and then delete that folder")
}

// cutShort returns err. Where err says that there is no store because a restore was killed,
// it returns the error of interrupted instead.
func cutShort(home string, err error) error {
	if e := interrupted(home); e != nil && errors.Is(err, keyturn.NotFound) {
		return e.Because(err)
	}
	return err
}

// unfinishedRestores returns the marks of restores that were killed between moving a
// store aside and putting the backup in its place, the oldest first.
func unfinishedRestores(home string) []string {
	left, _ := filepath.Glob(filepath.Join(home, asidePrefix+"*", unfinished))
	return left
}

// openFound opens the store that is to be replaced. It asks nobody for a passphrase:
// whoever restores a backup may have lost it.
func (r *restoring) openFound(ctx context.Context, f *found) (*state.DB, error) {
	return state.Open(ctx, f.dir, func(id, kind, place string) ([]byte, error) {
		keys := rootkey.Keeper{Dir: f.dir, Store: id, Now: r.Now}
		return keys.Load(ctx, kind, place)
	}, r.Options)
}

func markOf(c verify.Checkpoint) keyturn.LogMark {
	return keyturn.LogMark{Size: c.Size, Root: hex.EncodeToString(c.Root[:])}
}

// mark reads where the log of the found store ends, and compares that log with the
// backup's.
func (r *restoring) mark(ctx context.Context, f *found) error {
	db, err := r.openFound(ctx, f)
	if err != nil {
		return err
	}
	defer db.Close()
	log := audit.New(db, r.Now)
	note, c, err := log.Checkpoint(ctx)
	if err != nil {
		return err
	}
	key, err := log.VerifierKey()
	if err != nil {
		return err
	}
	mark := markOf(c)
	if f.told, err = log.Restored(ctx); err != nil {
		return err
	}
	f.mark, f.other = &mark, key != r.out.VerifierKey
	if f.other {
		return nil
	}
	if mark.Size >= r.manifest.Log.Size {
		_, err = log.VerifyAgainst(ctx, []byte(r.manifest.Log.Checkpoint))
	} else {
		err = r.continues(ctx, note)
	}
	f.forked = err != nil
	return ctx.Err()
}

// continues checks that the backup's log goes on from a checkpoint of the found store.
func (r *restoring) continues(ctx context.Context, note []byte) error {
	db, err := r.unpacked(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = audit.New(db, r.Now).VerifyAgainst(ctx, note)
	return err
}

// takeAside moves the found store aside while nobody else can write to it. It returns
// Conflict where something was written to the store since the person was shown its state.
func (r *restoring) takeAside(ctx context.Context) error {
	f, home := r.found, r.Facts.Home
	if f.moved || f.mark == nil { // nobody uses it; or nobody can
		return f.moveAside(home, r.Now())
	}
	db, err := r.openFound(ctx, f)
	if err != nil {
		return err
	}
	moved := false
	err = db.UpdateItem(ctx, changeKind, "restore", func(it keyturn.Item) (keyturn.Item, error) {
		if err := r.asShown(ctx, db); err != nil {
			return it, err
		}
		moved = true
		if runtime.GOOS == "windows" { // where a file that is open cannot be moved
			return it, nil
		}
		return it, f.moveAside(home, r.Now())
	})
	_ = db.Close()
	if !moved || !f.moved && runtime.GOOS != "windows" {
		return err
	}
	if err != nil {
		return errors.Join(err, f.moveBack(home))
	}
	if err := f.moveAside(home, r.Now()); err != nil {
		return err
	}
	// A process that had the store open and waited for the lock has written by now.
	if db, err = r.openFound(ctx, f); err == nil {
		err = r.asShown(ctx, db)
		_ = db.Close()
	}
	if err != nil {
		return errors.Join(err, f.moveBack(home))
	}
	return nil
}

// asShown returns Conflict where the log of the found store no longer ends where it
// ended when look read it.
func (r *restoring) asShown(ctx context.Context, db *state.DB) error {
	_, c, err := audit.New(db, r.Now).Checkpoint(ctx)
	if err == nil && markOf(c) != *r.found.mark {
		err = keyturn.E(keyturn.Conflict, "the store was used while it was about to be replaced: its log has "+count(c.Size)+" records now, not "+count(r.found.mark.Size),
			"nothing was changed; stop what uses it, and say it again")
	}
	return err
}

// files returns the names of a store's files in the order in which they are moved:
// without the first one there is no store.
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
		err = errors.Join(durable.SyncFolder(dir), durable.SyncFolder(home))
	}
	if err != nil {
		return unwritten(dir, err)
	}
	f.dir, f.moved = dir, true
	return f.moveRest(home)
}

// moveRest moves the files that are still in place. Where the place of the root key is
// not known yet, moveRest reads it from the store that was moved.
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

// moveBack undoes moveAside after the backup could not be published.
func (f *found) moveBack(home string) error {
	if err := move(f.dir, home, f.files()); err != nil {
		return err
	}
	_ = os.Remove(filepath.Join(f.dir, unfinished))
	_ = os.Remove(f.dir)
	f.dir, f.moved = home, false
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
	if err := errors.Join(durable.SyncFolder(to), durable.SyncFolder(from)); err != nil {
		return unwritten(to, err)
	}
	return nil
}

// done removes the mark of a store that was moved aside: another one has its place now.
func (f *found) done() {
	_ = os.Remove(filepath.Join(f.dir, unfinished))
	_ = durable.SyncFolder(f.dir)
}
