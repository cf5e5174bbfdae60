package admin

import (
	"path/filepath"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/durable"
)

// opened returns a wrapping token in the open, for the answer.
func opened(w *keyturn.Wrapped) string { return string(w.Token.Reveal()) }

// wrapped is the JSON of a wrapping token, which no document of package answer holds.
type wrapped struct {
	Token string `json:"token"`
	answer.Wrapped
}

// pending is a file that gets a secret: it is there, empty, before the secret is
// made, so that a folder that cannot be written fails first.
type pending struct {
	path string
	f    *durable.File
}

func newFile(path string) (*pending, error) {
	if path == "" {
		return nil, nil
	}
	f, err := durable.Begin(path)
	if err != nil {
		return nil, keyturn.E(keyturn.Invalid, "no file can be made in "+keyturn.Clean(filepath.Dir(path)), "nothing was done; name another folder").Because(err)
	}
	return &pending{path, f}, nil
}

func (p *pending) drop() {
	if p != nil {
		p.f.Drop()
	}
}

// keep writes the secret and gives the file its name. Where that fails, the secret is
// taken back by back, so that none is left that nobody has.
func (p *pending) keep(res *keyturn.Performed, back func(op keyturn.PlatformAction) error) error {
	if p == nil {
		return nil
	}
	defer p.drop()
	_, err := p.f.Write(append(res.Secret[res.Main].Reveal(), '\n'))
	if err == nil {
		err = p.f.Create() // never over another file
	}
	if err == nil {
		return nil
	}
	e := keyturn.E(keyturn.Unavailable, "it was made, but could not be written to "+keyturn.Clean(p.path), "").Because(err)
	switch tb := res.TakeBack; {
	case tb == nil:
	case back(tb.Op) == nil:
		e.Message += ", and was taken back"
		e.Hint = "name another file"
	default:
		e.Unknown, e.Hint = true, "it is good still; take it back: "+tb.Command
	}
	return e
}
