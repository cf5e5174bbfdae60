// Package backup writes and reads backups: a whole store as one file, encrypted to the
// keys of those who may restore it.
//
// Outside it is an age file (age-encryption.org/v1), inside a tar archive of three
// files: manifest.json, which says what it is; root.key, the store's root key; and
// keyturn.db, the store as of one moment. So the age and tar programs alone can
// open one, on a machine that has no keyturn. It is as secret as all secrets in it
// together: whoever holds one of its keys holds them all.
package backup

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"filippo.io/age"

	"github.com/keyturn/keyturn"
)

// Version is of the form that Write makes and Read reads.
const Version = 1

// Names of the files in the archive, in their order.
const (
	manifestName = "manifest.json"
	keyName      = "root.key"
	storeName    = "keyturn.db"
)

const (
	maxManifest = 64 << 10 // bytes
	maxKey      = 4 << 10  // bytes
)

// Manifest says what is in a backup.
type Manifest struct {
	Version int       `json:"keyturn_backup"`
	Store   string    `json:"store"`   // its id
	Format  int       `json:"format"`  // of the store
	Writer  string    `json:"keyturn"` // version of the keyturn that made the backup
	Time    time.Time `json:"time"`
	Size    int64     `json:"size"` // of the store's file, in bytes
	Log     Log       `json:"log"`
}

// Log is where the audit log of the store in a backup ends.
type Log struct {
	Size int64  `json:"size"` // records
	Root string `json:"root"` // hash of its tree, as 'keyturn audit verify' tells it
	// Checkpoint is the log's own signed note of it.
	Checkpoint string `json:"checkpoint"`
}

// Write writes a backup of what store holds, which must have m.Size bytes, and
// rootKey, in the form of its file. Nothing is synced. Its errors are those of w
// and store, or *keyturn.Error where the recipients do not go together.
func Write(w io.Writer, to Recipients, m Manifest, rootKey []byte, store io.Reader) error {
	m.Version, m.Time = Version, m.Time.UTC().Truncate(time.Second)
	manifest, err := json.Marshal(m)
	if err != nil {
		return err
	}
	sink := &failing{w: w}
	sealed, err := age.Encrypt(sink, to.list...)
	if err != nil {
		if sink.err != nil {
			return sink.err
		}
		return keyturn.E(keyturn.Invalid, "a backup cannot be encrypted to these recipients together",
			"post-quantum keys (age1pq1…) and others do not mix: make a backup for each kind").Because(err)
	}
	archive := tar.NewWriter(sealed)
	put := func(name string, size int64, r io.Reader) error {
		if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: m.Time}); err != nil {
			return err
		}
		n, err := io.Copy(archive, r)
		if err == nil && n != size {
			err = fmt.Errorf("%s has %d bytes, not %d", name, n, size)
		}
		return err
	}
	for _, err := range []error{
		put(manifestName, int64(len(manifest)), bytes.NewReader(manifest)),
		put(keyName, int64(len(rootKey)), bytes.NewReader(rootKey)),
		put(storeName, m.Size, store),
	} {
		if err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), sealed.Close())
}

// Read reads a backup: the store goes to store, and what it is and the root key, in
// the form of its file, are returned. What was written to store counts only where
// Read returns no error: then the backup is whole, and as one of its makers wrote
// it.
//
// Denied where none of the identities opens it; Invalid where it is no backup, or
// one that a newer keyturn made; Corrupt where it is damaged or cut short. Errors of
// r and store are Unavailable.
func Read(r io.Reader, ids Identities, store io.Writer) (Manifest, []byte, error) {
	src, sink := &failing{r: r}, &failing{w: store}
	m, key, err := read(src, ids, sink)
	switch {
	case err == nil:
		return m, key, nil
	case src.err != nil:
		err = keyturn.E(keyturn.Unavailable, "the backup cannot be read", "look at where it is kept, and try again").Because(src.err)
	case sink.err != nil:
		err = keyturn.E(keyturn.Unavailable, "what is in the backup cannot be written", "look at the space on the disk; nothing was restored").Because(sink.err)
	case !errors.As(err, new(*keyturn.Error)):
		err = damaged(err)
	}
	return Manifest{}, nil, err
}

func damaged(err error) error {
	return keyturn.E(keyturn.Corrupt, "the backup is damaged or cut short", "nothing was restored; take another copy of it, or an older backup").Because(err)
}

func read(src *failing, ids Identities, sink *failing) (m Manifest, key []byte, err error) {
	plain, err := open(src, ids)
	if err != nil {
		return m, nil, err
	}
	archive := tar.NewReader(plain)
	next := func(name string, limit int64) (int64, error) {
		h, err := archive.Next()
		if err != nil {
			return 0, err
		}
		if h.Name != name || h.Typeflag != tar.TypeReg || limit > 0 && h.Size > limit {
			return 0, notOurs(fmt.Errorf("the archive has no %s where it should be", name))
		}
		return h.Size, nil
	}
	if _, err := next(manifestName, maxManifest); err != nil {
		return m, nil, err
	}
	text, err := io.ReadAll(archive)
	if err != nil {
		return m, nil, err
	}
	if err := json.Unmarshal(text, &m); err != nil || m.Version < 1 {
		return m, nil, notOurs(err)
	}
	if m.Version > Version {
		return m, nil, keyturn.E(keyturn.Invalid, fmt.Sprintf("the backup has form %d, made by keyturn %s: this keyturn reads form %d", m.Version, keyturn.Clean(m.Writer), Version), "use that keyturn, or a newer one")
	}
	if _, err := next(keyName, maxKey); err != nil {
		return m, nil, err
	}
	if key, err = io.ReadAll(archive); err != nil {
		return m, nil, err
	}
	size, err := next(storeName, 0)
	if err != nil {
		return m, nil, err
	}
	if size != m.Size {
		return m, nil, notOurs(errors.New("the store has another size than its manifest says"))
	}
	if _, err := io.Copy(sink, archive); err != nil {
		return m, nil, err
	}
	if _, err := archive.Next(); err != io.EOF {
		return m, nil, errors.Join(errors.New("the archive goes on after its end"), err)
	}
	// The end of an age file is what tells that nothing is missing.
	if n, err := io.Copy(io.Discard, plain); err != nil || n > 0 {
		return m, nil, errors.Join(errors.New("something follows the archive"), err)
	}
	return m, key, nil
}

// notOurs is the error of what somebody encrypted that is no backup.
func notOurs(err error) error {
	return keyturn.E(keyturn.Invalid, "this is no backup of a keyturn store", "'keyturn store backup' makes one").Because(err)
}

// failing remembers the first error of a stream, to tell it from what others make
// of it.
type failing struct {
	r   io.Reader
	w   io.Writer
	err error
}

func (f *failing) Read(b []byte) (int, error) {
	n, err := f.r.Read(b)
	if err != nil && err != io.EOF && f.err == nil {
		f.err = err
	}
	return n, err
}

func (f *failing) Write(b []byte) (int, error) {
	n, err := f.w.Write(b)
	if err != nil && f.err == nil {
		f.err = err
	}
	return n, err
}
