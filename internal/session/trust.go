package session

import (
	"context"
	"path/filepath"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/describe"
)

// TrustOf returns the operation that trusts what a project's file asks for now. Its
// path has no symbolic links, so that one file is trusted under one name.
func TrustOf(p *config.Project) keyturn.TrustProject {
	path := p.File
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return keyturn.TrustProject{Path: path, Pinned: p.Bindings()}
}

// TrustLines say how the references that a project asks for differ from those that were
// accepted, for a person who is asked to accept them.
func TrustLines(a *keyturn.Asked) []string {
	var lines []string
	if a == nil {
		return nil
	}
	for _, b := range a.Added {
		lines = append(lines, "+ "+keyturn.Clean(b.Name)+" = "+describe.Marked(b.Ref))
	}
	for _, b := range a.Removed {
		lines = append(lines, "- "+keyturn.Clean(b.Name)+" = "+describe.Marked(b.Ref))
	}
	return lines
}

// AskTrusting is Ask for an operation that takes references from a project's file.
// Where op is refused because the file is not trusted, and the caller is a person who
// can be asked, AskTrusting shows what the file asks for, asks whether to trust that,
// and after a yes does trust and tries op again. After a no it returns the refusal.
func AskTrusting[R keyturn.Result](ctx context.Context, s *Session, op keyturn.Op, trust keyturn.TrustProject) (R, error) {
	res, err := Ask[R](ctx, s, op)
	if keyturn.ReasonOf(err) != keyturn.Untrusted || s.Actor.Kind != keyturn.Person || !s.CanAsk() {
		return res, err
	}
	desk, e := s.How.Desk, keyturn.AsError(err)
	lines := []string{keyturn.Clean(e.Message)}
	for _, l := range TrustLines(e.Asks) {
		lines = append(lines, "  "+l)
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
	if _, err := Ask[*keyturn.Trusted](ctx, s, trust); err != nil {
		return res, err
	}
	return Ask[R](ctx, s, op)
}
