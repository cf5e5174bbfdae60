package session

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/describe"
)

// Found returns the path under which a file is trusted: where it was found. Links to its
// folder are followed, so that one file is trusted under one name; the file itself is not,
// so that a link to another project's file does not take that one's trust.
func Found(path string) string {
	if real, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(real, filepath.Base(path))
	}
	return path
}

// TrustLines say how what a file asks for differs from what was accepted, for a person who
// is asked to accept it.
func TrustLines(a *keyturn.Asked) []string {
	if a == nil {
		return nil
	}
	var lines []string
	add := func(sign string, asks []keyturn.Binding, steers []keyturn.Setting) {
		for _, b := range asks {
			lines = append(lines, sign+keyturn.Clean(b.Name)+" = "+describe.Marked(b.Ref))
		}
		for _, s := range steers {
			lines = append(lines, sign+keyturn.Clean(s.Name)+" = "+keyturn.Clean(s.Text)+"   (decides how programs run, or where secrets go)")
		}
	}
	add("+ ", a.Added, a.SteersAdded)
	add("- ", a.Removed, a.SteersRemoved)
	return lines
}

// IsFile reports whether path leads to a file, which can be trusted, and not to a pipe or
// a device, whose content is another each time.
func IsFile(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	// What a descriptor of this process leads to is not named by that.
	for _, dir := range []string{"/dev", "/proc"} {
		if rel, err := filepath.Rel(dir, Found(path)); err == nil && filepath.IsLocal(rel) {
			return false
		}
	}
	return true
}

// TrustOf returns the operation that trusts what a project's file asks for now.
func TrustOf(p *config.Project) keyturn.TrustProject {
	return keyturn.TrustProject{Path: Found(p.File), Pinned: p.Bindings()}
}

// Trust is a file of a project with what it asks for now.
type Trust struct {
	keyturn.TrustProject
	Lines map[string]keyturn.Value // the texts of Kept
}

// Review is what a yes to a file would trust, beside what is trusted already.
type Review struct {
	keyturn.Trusted          // what is trusted already
	Changed         bool     // the yes would trust something else
	Lines           []string // what a person is shown before the yes
}

// Review looks at a file before it is trusted.
func (s *Session) Review(ctx context.Context, t Trust) (r Review, err error) {
	now, err := Ask[*keyturn.Trusted](ctx, s, keyturn.ShowTrust{Path: t.Path})
	if err != nil {
		return r, err
	}
	same, err := s.SameLines(ctx, t.Path, t.Lines)
	if err != nil {
		return r, err
	}
	r.Trusted = *now
	show := func(format string, args ...any) { r.Lines = append(r.Lines, fmt.Sprintf(format, args...)) }
	show("%s asks for", keyturn.Visible(t.Path))
	for _, b := range t.Pinned {
		show("  %s = %s", keyturn.Visible(b.Name), describe.Marked(b.Ref))
	}
	if len(t.Pinned) == 0 {
		show("  no secrets")
	}
	for _, v := range t.Steers {
		show("  %s = %s   (decides how programs run, or where secrets go)", keyturn.Visible(v.Name), keyturn.Visible(v.Text))
	}
	if len(t.Kept) > 0 {
		show("  %s", kept(t.Kept))
	}
	var changes []string
	change := func(sign, name, rest string) { changes = append(changes, "  "+sign+keyturn.Visible(name)+rest) }
	for _, l := range config.Diff(now.Before, t.Pinned) {
		changes = append(changes, "  "+l)
	}
	settings := func(sign string, of, but []keyturn.Setting) {
		for _, v := range of {
			if !slices.Contains(but, v) {
				change(sign, v.Name, "  "+keyturn.Visible(v.Text))
			}
		}
	}
	settings("+ ", t.Steers, now.Steers)
	settings("- ", now.Steers, t.Steers)
	for _, name := range t.Kept {
		switch {
		case !slices.Contains(now.Kept, name):
			change("+ ", name, "")
		case !slices.Contains(same, name):
			change("+ ", name, "   (another text than then)")
		}
	}
	for _, name := range now.Kept {
		if !slices.Contains(t.Kept, name) {
			change("- ", name, "")
		}
	}
	if r.Changed = len(changes) > 0; now.Known {
		r.Lines = append(append(r.Lines, "since you trusted it, this changed:"), changes...)
	}
	return r, nil
}

// kept says what happens to the plain variables of a file that is trusted.
func kept(names []string) string {
	var shown []string
	for _, n := range names {
		shown = append(shown, keyturn.Visible(n))
	}
	return strings.Join(shown, ", ") + "   (pass to the commands of agents, too, as they are now)"
}

// AskedFile returns t as an operation names it.
func (t Trust) AskedFile() keyturn.AskedFile {
	return keyturn.AskedFile{Path: t.Path, Asks: t.Pinned, Steers: t.Steers}
}

// TrustFile trusts a file.
func (s *Session) TrustFile(ctx context.Context, t Trust) (*keyturn.Trusted, error) {
	res, err := Ask[*keyturn.Trusted](ctx, s, t.TrustProject)
	if err == nil && len(t.Lines) > 0 {
		err = s.KeepLines(ctx, t.Path, t.Lines)
	}
	return res, err
}

// AskTrusting is Ask for an operation that takes references from files of a project.
// Where op is refused because one of them is not trusted, and the caller is a person who
// can be asked, AskTrusting shows what the file asks for, asks whether to trust that,
// and after a yes does trust and tries op again. After a no it returns the refusal.
func AskTrusting[R keyturn.Result](ctx context.Context, s *Session, op keyturn.Op, files []Trust) (R, error) {
	for {
		res, err := Ask[R](ctx, s, op)
		if keyturn.ReasonOf(err) != keyturn.Untrusted || s.Actor.Kind != keyturn.Person || !s.CanAsk() {
			return res, err
		}
		desk, e := s.How.Desk, keyturn.AsError(err)
		i := slices.IndexFunc(files, func(t Trust) bool { return t.Path == e.Asks.Path })
		if i < 0 {
			return res, err
		}
		lines := []string{keyturn.Clean(e.Message)}
		for _, l := range TrustLines(e.Asks) {
			lines = append(lines, "  "+l)
		}
		if len(files[i].Kept) > 0 {
			lines = append(lines, "  "+kept(files[i].Kept))
		}
		if showErr := Show(ctx, desk, lines); showErr != nil {
			return res, showErr
		}
		yes, askErr := desk.Confirm(ctx, "Trust it, and go on?")
		if askErr != nil {
			return res, askErr
		}
		if !yes {
			return res, err
		}
		if _, err := s.TrustFile(ctx, files[i]); err != nil {
			return res, err
		}
		files = slices.Delete(slices.Clone(files), i, i+1) // each is asked about once
	}
}
