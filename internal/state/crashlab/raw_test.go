package crashlab_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"path/filepath"

	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/codec"
	"github.com/keyturn/keyturn/internal/state/crashlab"
	"github.com/ncruces/go-sqlite3"
)

// raw opens the database of a disk as nobody should.
func raw(d *crashlab.Disk) (*sqlite3.Conn, error) {
	return sqlite3.OpenFlags("file:"+filepath.ToSlash(filepath.Join(d.Dir, state.File))+"?vfs="+crashlab.VFS,
		sqlite3.OPEN_READWRITE|sqlite3.OPEN_URI)
}

// query calls row for each row of a query.
func query(d *crashlab.Disk, q string, row func(*sqlite3.Stmt) error) error {
	c, err := raw(d)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Config(sqlite3.DBCONFIG_NO_CKPT_ON_CLOSE, true); err != nil {
		return err
	}
	s, _, err := c.Prepare(q)
	if err != nil {
		return err
	}
	defer s.Close()
	for s.Step() {
		if err := row(s); err != nil {
			return err
		}
	}
	return s.Err()
}

// edited returns files in which the database was changed by SQL, from outside.
func edited(files crashlab.Files, statements string) (crashlab.Files, error) {
	d := crashlab.New(files, crashlab.Faults{})
	defer d.Close()
	c, err := raw(d)
	if err != nil {
		return nil, err
	}
	if err := c.Exec(statements); err != nil {
		return nil, err
	}
	return d.Live(), c.Close()
}

func (l *lab) wrappedKeys() (map[string]bool, error) {
	out := map[string]bool{}
	err := query(l.disk, "SELECT key FROM version WHERE key IS NOT NULL", func(s *sqlite3.Stmt) error {
		out[string(s.ColumnRawBlob(0))] = true
		return nil
	})
	return out, err
}

// sealed are all ciphertexts of a store. Those of a ring begin with its epoch;
// those of values are behind one another, as plain ciphertexts.
const sealed = `SELECT 0, v FROM meta WHERE k = 'master'
	UNION ALL SELECT 4, v FROM meta WHERE k IN ('head', 'logkey')
	UNION ALL SELECT 4, head FROM secret
	UNION ALL SELECT 4, info FROM version
	UNION ALL SELECT 4, key FROM version WHERE key IS NOT NULL
	UNION ALL SELECT -1, data FROM version WHERE data IS NOT NULL
	UNION ALL SELECT 4, data FROM log
	UNION ALL SELECT 4, body FROM item`

const nonceSize = 12 // of AES-GCM, in front of the ciphertext

func (l *lab) ciphertexts() (map[string]bool, error) {
	out := map[string]bool{}
	err := query(l.disk, sealed, func(s *sqlite3.Stmt) error {
		blob, skip := bytes.Clone(s.ColumnRawBlob(1)), s.ColumnInt(0)
		if skip >= 0 {
			out[string(blob[skip:])] = true
			return nil
		}
		for d := (codec.Decoder{Rest: blob}); len(d.Rest) > 0; {
			out[string(d.Bytes())] = true
			if d.Bad {
				return fmt.Errorf("values cannot be told apart")
			}
		}
		return nil
	})
	return out, err
}

// look looks at every ciphertext that is there now: no nonce may ever come twice
// with another ciphertext, whatever the key.
func (l *lab) look() error {
	if l.nonces == nil {
		return nil
	}
	all, err := l.ciphertexts()
	if err != nil {
		return err
	}
	for c := range all {
		if err := l.nonce([]byte(c)); err != nil {
			return err
		}
	}
	return nil
}

func (l *lab) nonce(blob []byte) error {
	if len(blob) < nonceSize {
		return fmt.Errorf("a ciphertext has %d bytes", len(blob))
	}
	sum := sha256.Sum256(blob)
	nonce, is := string(blob[:nonceSize]), string(sum[:])
	if was, ok := l.nonces[nonce]; ok && was != is {
		return fmt.Errorf("a nonce was used twice")
	}
	l.nonces[nonce] = is
	return nil
}
