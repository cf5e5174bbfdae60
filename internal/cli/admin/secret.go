package admin

import (
	"os"
	"path/filepath"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
)

// opened is a wrapping token in the open, for the answer.
func opened(w *keyturn.Wrapped) string { return string(w.Token.Reveal()) }

// pending is a file that gets a secret: it is there, empty, before the secret is
// made, so that a folder that cannot be written fails first.
type pending struct {
	path string
	f    *os.File
}

func newFile(path string) (*pending, error) {
	if path == "" {
		return nil, nil
	}
	f, err := durable.Temp(filepath.Dir(path))
	if err != nil {
		return nil, keyturn.E(keyturn.Invalid, "no file can be made in "+keyturn.Clean(filepath.Dir(path)), "nothing was done; name another folder").Because(err)
	}
	return &pending{path, f}, nil
}

func (p *pending) drop() {
	if p != nil {
		_ = p.f.Close()
		_ = os.Remove(p.f.Name())
	}
}

// keep writes the secret and gives the file its name.
func (p *pending) keep(res *keyturn.Performed) error {
	if p == nil {
		return nil
	}
	defer p.drop()
	_, err := p.f.Write(append(res.Secret[res.Main].Reveal(), '\n'))
	if err == nil {
		err = p.f.Sync()
	}
	if err == nil {
		err = os.Link(p.f.Name(), p.path) // never over another file
	}
	if err == nil {
		err = durable.SyncFolder(filepath.Dir(p.path))
	}
	if err != nil {
		e := keyturn.E(keyturn.Unavailable, "it was made, but could not be written to "+keyturn.Clean(p.path), "destroy it, then make another one: "+res.TakeBack).Because(err)
		e.Unknown = false
		return e
	}
	return nil
}
