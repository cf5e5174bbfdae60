package session

import (
	"context"
	"fmt"
	"testing"
)

// pages is a desk that counts what it shows by the page, and what it only says.
type pages struct {
	Desk
	paged, said int
}

func (*pages) Possible() bool                                  { return true }
func (d *pages) Say(string, ...any)                            { d.said++ }
func (d *pages) Pages(_ context.Context, lines []string) error { d.paged += len(lines); return nil }

// TestConfigTrustPages: what a new configuration changes is shown page by page before it
// is asked about, so that no line of it scrolls by; a yes beforehand needs no pages.
func TestConfigTrustPages(t *testing.T) {
	var now string
	for i := range 3000 {
		now += fmt.Sprintf("# line %d\n", i)
	}
	p := Pin{Path: "/c.yaml", Says: now, Changed: true}
	p.Now.Path = "/c.yaml"
	for _, yes := range []bool{false, true} {
		d := &pages{}
		s := &Session{}
		s.How.Desk, s.How.Yes = d, yes
		if err := s.show(t.Context(), p.Lines()); err != nil || d.paged+d.said != 3000 || (d.said > 0) != yes {
			t.Errorf("yes %v: %d by the page, %d said, %v", yes, d.paged, d.said, err)
		}
	}
}
