package session

import (
	"context"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
)

// Pin is what a store has pinned of the operator's configuration and of the person's
// environment, and what UseConfig would pin now.
type Pin struct {
	Path string // of the file that is pinned; "" for none
	Text string // what it said then
	Env  []string
	Now  keyturn.UseConfig // pins what is there now; its Path is "" where there is no file
	Says string            // what the file says now
	// Changed is set where Now means something else than what is pinned.
	Changed bool
}

// Lines says what a yes to Now would change, in clean lines.
func (p Pin) Lines() []string {
	var out []string
	if p.Changed {
		if p.Path != p.Now.Path {
			out = append(out, "the configuration that agents and services are judged by: "+orNone(p.Path)+" → "+orNone(p.Now.Path))
		}
		out = append(out, config.DiffText(p.Text, p.Says)...)
	}
	before := map[string]string{}
	for _, v := range p.Env {
		name, _, _ := strings.Cut(v, "=")
		before[name] = v
	}
	for _, v := range p.Now.Env {
		name, _, _ := strings.Cut(v, "=")
		if before[name] != v {
			if before[name] != "" {
				out = append(out, "- "+keyturn.Visible(before[name]))
			}
			out = append(out, "+ "+keyturn.Visible(v))
		}
		delete(before, name)
	}
	for _, v := range p.Env {
		if name, _, _ := strings.Cut(v, "="); before[name] != "" {
			out = append(out, "- "+keyturn.Visible(v))
		}
	}
	return out
}

func orNone(path string) string {
	if path == "" {
		return "none"
	}
	return keyturn.Visible(path)
}

// TrustConfig shows the person at the desk what has changed in the operator's configuration
// and in the environment that commands of agents and services run in, and pins that. The
// Service asks for the passphrase where one is set, else for a yes. TrustConfig reports
// whether there was anything to pin.
func TrustConfig(ctx context.Context, s *Session) (*keyturn.Trusted, bool, error) {
	lines := s.Pin.Lines()
	if s.Actor.Kind == keyturn.Person && len(lines) == 0 && !s.Pin.Changed {
		return &keyturn.Trusted{Known: s.Pin.Path != ""}, false, nil
	}
	if s.Actor.Kind == keyturn.Person { // the Service refuses the others
		if err := s.show(ctx, lines); err != nil {
			return nil, false, err
		}
	}
	res, err := Ask[*keyturn.Trusted](ctx, s, s.Pin.Now)
	return res, true, err
}

// show shows lines before a question about them: page by page, but where the person has
// said yes beforehand.
func (s *Session) show(ctx context.Context, lines []string) error {
	if !s.How.Yes {
		return Show(ctx, s.How.Desk, lines)
	}
	for _, l := range lines {
		s.How.Desk.Say("%s", l)
	}
	return nil
}

// adopt asks the person, where the store is in a place that it does not know, whether it is
// the store, and then makes that place the store's own. Where nobody can be asked it returns
// nil: the Service refuses every operation.
func (s *Session) adopt(ctx context.Context) error {
	if s.Moved == nil || s.How.Adopting || s.Actor.Kind != keyturn.Person || !s.CanAsk() {
		return nil
	}
	s.How.Desk.Say("%s", keyturn.Clean(s.Moved.Message))
	yes, err := s.How.Desk.Confirm(ctx, "Did you move it there, and is it the only one?")
	if err == nil && !yes {
		err = SaidNo()
	}
	if err == nil {
		_, err = Ask[*keyturn.Adopted](ctx, s, s.Adopt)
	}
	return err
}
