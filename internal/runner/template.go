package runner

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/document"
	"github.com/keyturn/keyturn/internal/session"
)

// Template is a template, the values that it is filled with, and where the filled
// text goes.
type Template struct {
	Op      keyturn.RenderTemplate // what the Service is asked for
	Receipt keyturn.Receipt        // of Op, once it was asked for

	trust  bool
	text   *document.Template
	source string // as it was read
	values map[keyturn.Ref]keyturn.Value
	facts  session.Facts
	dir    string // that names of files are seen from
}

// ParseTemplate reads a template. name is the file as the caller names it, seen from the
// folder dir; "-" for standard input. data is its text, of which the operation has the
// digest: an approval is for this text. With trust set what a file asks for is trusted
// first: the caller has agreed.
func ParseTemplate(dir, name string, data []byte, trust bool) (*Template, error) {
	text, err := document.ParseTemplate(name, data)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	t := &Template{text: text, source: string(data), dir: dir, trust: trust, Op: keyturn.RenderTemplate{Template: name, Secrets: text.Refs(), Digest: hex.EncodeToString(sum[:])}}
	if name != keyturn.StandardInput {
		t.Op.Template = session.Whole(dir, name)
		if session.IsFile(t.Op.Template) {
			t.Op.Found = t.Op.Template
		}
	}
	return t, nil
}

// SendTo has the filled text go to the file out, as the caller names it. It refuses a file
// that must not or cannot be written, before any value is read.
func (t *Template) SendTo(facts session.Facts, out string) error {
	t.Op.Out, t.facts = session.Whole(t.dir, out), facts
	info, err := os.Stat(t.Op.Out)
	if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(out)+"' is a pipe or a device, and no file", "leave out --out to write to standard output")
	}
	if err := facts.CanReplace(t.Op.Out); err != nil {
		return err
	}
	if info == nil || t.Op.Template == keyturn.StandardInput {
		return nil
	}
	if from, err := os.Stat(t.Op.Template); err == nil && os.SameFile(info, from) {
		return keyturn.E(keyturn.Invalid, "the template itself would be overwritten", "say another --out FILE")
	}
	return nil
}

// Out returns the absolute path of the file that the filled text goes to.
func (t *Template) Out() string { return t.Op.Out }

// Fetch asks for the values. Call it only where Op asks for a secret.
func (t *Template) Fetch(ctx context.Context, s *session.Session) error {
	f := t.Op.Asks()
	trust := session.Trust{TrustProject: keyturn.TrustProject{Path: f.Path, Pinned: f.Asks}}
	if t.trust && t.Op.Found != "" {
		if _, err := s.TrustFile(ctx, trust); err != nil {
			return err
		}
	}
	res, err := session.AskTrusting[*keyturn.Filling](ctx, s, t.Op, []session.Trust{trust})
	if err != nil {
		return err
	}
	t.values, t.Receipt = res.Values, res.Receipt
	return t.refuseHeld(ctx, s, res)
}

// refuseHeld refuses, as an alarm, a template of an agent or a service that holds a value
// which the caller sees by this operation alone.
func (t *Template) refuseHeld(ctx context.Context, s *session.Session, res *keyturn.Filling) error {
	var unseen []keyturn.Delivered
	for _, ref := range res.Unseen {
		unseen = append(unseen, keyturn.Delivered{Ref: ref, Value: res.Values[ref]})
	}
	w, err := newWatch(s.Facts.Actor, unseen)
	if err != nil || w == nil {
		return err
	}
	defer w.wipe()
	w.texts(t.source)
	if len(w.held()) == 0 {
		return nil
	}
	t.values = nil
	_, err = keyturn.Do[*keyturn.Ended](context.WithoutCancel(ctx), s.Service, keyturn.EndCommand{ID: res.AuditID, Held: w.held()})
	return cmp.Or(err, error(w.refusal(s.Facts.Actor, "the template", w.found[0].Ref.Short(), "nothing was written")))
}

// WriteTo writes the filled text to w.
func (t *Template) WriteTo(w io.Writer) (int64, error) {
	text, err := t.fill()
	if err != nil {
		return 0, err
	}
	n, err := w.Write(text.Reveal())
	return int64(n), err
}

// WriteFile writes the filled text to the file that SendTo named, for its owner only
// and as a whole, and reports whether there was a file before.
func (t *Template) WriteFile() (replaced bool, err error) {
	text, err := t.fill()
	if err != nil {
		return false, err
	}
	return t.facts.Replace(t.Op.Out, text.Reveal())
}

func (t *Template) fill() (keyturn.Value, error) {
	return t.text.Render(func(r keyturn.Ref) (keyturn.Value, error) {
		v, ok := t.values[r]
		if !ok {
			return v, keyturn.E(keyturn.Internal, "no value came for "+r.Short(), "").About(r)
		}
		return v, nil
	})
}
