package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/backup"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/rootkey"
)

// Backup implements broker.Store: a snapshot is taken and verified, and then
// encrypted into a new file, which has its name once it is whole and on the disk.
func (s *storeKeeper) Backup(ctx context.Context, op keyturn.BackupStore) (*keyturn.BackedUp, error) {
	to, err := s.recipients(ctx, op)
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(op.To); err == nil && !op.Overwrite {
		return nil, occupied(op.To)
	}
	dir, err := scratch(s.facts.Home, "backup-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, state.File)
	if err := s.db.Snapshot(ctx, path); err != nil {
		return nil, err
	}
	m, key, err := s.examine(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	db, err := os.Open(path)
	if err != nil {
		return nil, unwritten(op.To, err)
	}
	defer db.Close()
	fi, err := db.Stat()
	if err != nil {
		return nil, unwritten(op.To, err)
	}
	m.Size = fi.Size()
	size, err := newFile(op.To, op.Overwrite, func(f *os.File) error {
		return backup.Write(cancelled{ctx, f}, to, m, []byte(rootkey.Text(key)), db)
	})
	if err != nil {
		return nil, err
	}
	return &keyturn.BackedUp{Path: op.To, Size: size, Log: keyturn.LogMark{Size: m.Log.Size, Root: m.Log.Root}}, nil
}

// examine verifies a snapshot in dir as restoring it would, and says what it is.
func (s *storeKeeper) examine(ctx context.Context, dir string) (backup.Manifest, []byte, error) {
	get := s.load(ctx)
	var key []byte
	snapshot, err := state.Open(ctx, dir, func(id, kind, place string) ([]byte, error) {
		root, err := get(id, kind, place)
		key = bytes.Clone(root)
		return root, err
	}, s.stateOptions())
	if err != nil {
		return backup.Manifest{}, nil, err
	}
	defer snapshot.Close()
	log := audit.New(snapshot, s.Now)
	r, err := log.VerifyAgainst(ctx, nil)
	if err != nil {
		return backup.Manifest{}, nil, err
	}
	note, _, err := log.Checkpoint(ctx)
	if err != nil {
		return backup.Manifest{}, nil, err
	}
	f := snapshot.Stats()
	return backup.Manifest{Store: f.ID, Format: f.Format, Writer: version(), Time: s.Now(),
		Log: backup.Log{Size: r.Size, Root: hex.EncodeToString(r.Root[:]), Checkpoint: string(note)}}, key, nil
}

// recipients are who can open a backup.
func (s *storeKeeper) recipients(ctx context.Context, op keyturn.BackupStore) (backup.Recipients, error) {
	if !op.Passphrase {
		return backup.ParseRecipients(op.Recipients)
	}
	if len(op.Recipients) > 0 {
		return backup.Recipients{}, keyturn.E(keyturn.Invalid, "a backup is for recipients or for a passphrase, not for both", "make two")
	}
	pass, err := s.backupPassphrase(ctx, s.how, true)
	if err != nil {
		return backup.Recipients{}, err
	}
	return backup.PassphraseRecipient(pass)
}

// cancelled is a file that cannot be written any more once its context has ended.
type cancelled struct {
	ctx context.Context
	f   *os.File
}

func (c cancelled) Write(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.f.Write(b)
}

// newFile writes a file that has its name from the moment that it is whole and on
// the disk, and returns its size. It is only its owner's to read.
func newFile(path string, overwrite bool, fill func(*os.File) error) (int64, error) {
	tag := make([]byte, 4)
	_, _ = rand.Read(tag)
	dir, name := filepath.Split(path)
	old, _ := filepath.Glob(filepath.Join(dir, "."+name+".new-????????"))
	for _, f := range old { // of who was killed
		if fi, err := os.Lstat(f); err == nil && time.Since(fi.ModTime()) > 24*time.Hour {
			_ = os.Remove(f)
		}
	}
	temp := filepath.Join(dir, "."+name+".new-"+hex.EncodeToString(tag))
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, unwritten(path, err)
	}
	defer os.Remove(temp)
	err = fill(f)
	if err == nil {
		err = f.Sync()
	}
	fi, statErr := f.Stat()
	if err = errors.Join(err, statErr, f.Close()); err != nil {
		return 0, unwritten(path, err)
	}
	if overwrite {
		err = os.Rename(temp, path)
	} else if err = os.Link(temp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		err = claim(temp, path) // a file system without links
	}
	if errors.Is(err, fs.ErrExist) {
		return 0, occupied(path)
	}
	if err == nil {
		err = syncFolder(dir)
	}
	if err != nil {
		return 0, unwritten(path, err)
	}
	return fi.Size(), nil
}

// claim takes a name that nothing has, and gives it to temp.
func claim(temp, path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_ = f.Close()
	if err = os.Rename(temp, path); err != nil {
		_ = os.Remove(path)
	}
	return err
}

// syncFolder makes the names in a folder durable; Windows has nothing for it.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	if dir == "" {
		dir = "."
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func occupied(path string) error {
	return keyturn.E(keyturn.Conflict, "there is a file already: '"+keyturn.Clean(path)+"'", "name another one, or say --yes to replace it")
}

// unwritten is the error of a file that could not be written; what already says
// what it is stays as it is.
func unwritten(path string, err error) error {
	if errors.As(err, new(*keyturn.Error)) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return keyturn.E(keyturn.Unavailable, "'"+keyturn.Clean(path)+"' cannot be written", "look at its folder and at the space on the disk; nothing was left there").Because(err)
}
