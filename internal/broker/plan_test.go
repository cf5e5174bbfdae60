package broker

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/rules"
)

// greedy is a composite operation whose plan holds more than it says.
type greedy struct{ keyturn.RunCommand }

func (greedy) Plan() []keyturn.Op {
	return []keyturn.Op{keyturn.UseSecret{Ref: keyturn.MustRef("local/a")}, keyturn.RevealSecret{Ref: keyturn.MustRef("local/b")}}
}

func TestChildrenStayInsideThePlan(t *testing.T) {
	set, err := rules.New(rules.Input{})
	if err != nil {
		t.Fatal(err)
	}
	b := &Broker{Config: Config{Rules: set, Now: time.Now}}
	run := keyturn.RunCommand{Command: []string{"x"}, Env: []keyturn.Binding{{Name: "A", Ref: keyturn.MustRef("local/a")}}}
	c := &call{actor: keyturn.Actor{Kind: keyturn.Person, Name: "anna"}, op: greedy{run}}
	c.verdict = b.judge(c)
	if err := b.plan(c); !errors.Is(err, keyturn.Internal) {
		t.Errorf("a child outside of what was decided: %v", err)
	}
	// The plans of all kinds lie within their references.
	for _, op := range keyturn.Kinds() {
		comp, ok := op.(keyturn.Composite)
		if !ok {
			continue
		}
		for _, child := range comp.Plan() {
			for _, ref := range child.Refs() {
				if !slices.Contains(op.Refs(), ref) {
					t.Errorf("%s plans %s of what it does not name", op.Kind(), child.Kind())
				}
			}
		}
	}
}
