package home

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/backup"
	"github.com/keyturn/keyturn/internal/durable"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/rootkey"
)

// Backup implements broker.Store. It takes a snapshot, verifies it, and encrypts it into
// a new file, which gets its name once it is whole and on the disk.
func (s *Store) Backup(ctx context.Context, op keyturn.BackupStore) (*keyturn.BackedUp, error) {
	to, err := s.recipients(ctx, op)
	if err != nil {
		return nil, err
	}
	switch fi, err := os.Lstat(op.To); {
	case err == nil && !op.Overwrite:
		return nil, occupied(op.To)
	case err == nil && !fi.Mode().IsRegular():
		return nil, keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(op.To)+"' is not a file", "name a file that is not there yet")
	}
	dir, err := scratch(s.Facts.Home, "backup-")
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
	db, _, err := durable.OpenRegular(path, os.O_RDONLY)
	if err != nil {
		return nil, unwritten(op.To, err)
	}
	defer db.Close()
	fi, err := db.Stat()
	if err != nil {
		return nil, unwritten(op.To, err)
	}
	m.Size = fi.Size()
	write, size := durable.Create, int64(0)
	if op.Overwrite {
		write = durable.Replace
	}
	err = write(op.To, func(f *os.File) error {
		err := backup.Write(until(ctx, f), to, m, []byte(rootkey.Text(key)), db)
		if err == nil {
			size, err = f.Seek(0, io.SeekCurrent)
		}
		return err
	})
	if errors.Is(err, fs.ErrExist) {
		return nil, occupied(op.To)
	}
	if err != nil {
		return nil, unwritten(op.To, err)
	}
	return &keyturn.BackedUp{Path: op.To, Size: size, Log: keyturn.LogMark{Size: m.Log.Size, Root: m.Log.Root}}, nil
}

// examine verifies a snapshot in dir as a restore would, and returns its manifest and
// its root key.
func (s *Store) examine(ctx context.Context, dir string) (backup.Manifest, []byte, error) {
	get := s.load(ctx)
	var key []byte
	snapshot, err := state.Open(ctx, dir, func(id, kind, place string) ([]byte, error) {
		root, err := get(id, kind, place)
		key = bytes.Clone(root)
		return root, err
	}, s.Options)
	if err != nil {
		return backup.Manifest{}, nil, err
	}
	defer snapshot.Close()
	log := audit.New(snapshot, s.Now)
	r, err := log.VerifyAgainst(ctx, nil)
	if err == nil {
		err = snapshot.VerifyValues(ctx)
	}
	if err != nil {
		return backup.Manifest{}, nil, err
	}
	note, _, err := log.Checkpoint(ctx)
	if err != nil {
		return backup.Manifest{}, nil, err
	}
	f := snapshot.Stats()
	return backup.Manifest{Store: f.ID, Format: f.Format, Writer: s.Options.Writer, Time: s.Now(),
		Log: backup.Log{Size: r.Size, Root: hex.EncodeToString(r.Root[:]), Checkpoint: string(note)}}, key, nil
}

// recipients returns who can open a backup.
func (s *Store) recipients(ctx context.Context, op keyturn.BackupStore) (backup.Recipients, error) {
	if !op.Passphrase {
		return backup.ParseRecipients(op.Recipients)
	}
	if len(op.Recipients) > 0 {
		return backup.Recipients{}, keyturn.E(keyturn.Invalid, "a backup is for recipients or for a passphrase, not for both", "make two")
	}
	pass, err := s.backupPassphrase(ctx, true)
	if err != nil {
		return backup.Recipients{}, err
	}
	return backup.PassphraseRecipient(pass)
}
