package broker

import (
	"errors"
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
		if comp, ok := op.(keyturn.Composite); ok && len(comp.Plan()) > len(comp.Refs()) {
			t.Errorf("%s plans more than it names", op.Kind())
		}
	}
}

func TestNeedsOfManyReferences(t *testing.T) {
	approve := func(k int, from, proof string) verdict {
		return verdict{effect: rules.Approve, ruled: true, needs: rules.Needs{Approvals: k, From: from, Proof: proof}}
	}
	allow, deny, never := verdict{effect: rules.Allow}, verdict{}, verdict{never: true}
	for name, c := range map[string]struct {
		a, b  verdict
		want  verdict
		never bool
	}{
		"the most approvals":           {a: approve(1, "sre", ""), b: approve(3, "sre", ""), want: approve(3, "sre", "")},
		"from anyone and from a group": {a: approve(2, "", ""), b: approve(1, "sre", ""), want: approve(2, "sre", "")},
		"the strongest proof":          {a: approve(1, "", "passkey"), b: approve(1, "", "passphrase"), want: approve(1, "", "passkey")},
		"some proof":                   {a: approve(1, "", ""), b: approve(1, "", "passphrase"), want: approve(1, "", "passphrase")},
		"two groups":                   {a: approve(1, "sre", ""), b: approve(1, "dba", ""), never: true},
		"a refusal keeps approvals":    {a: approve(2, "sre", "passkey"), b: deny, want: verdict{ruled: true, needs: rules.Needs{Approvals: 2, From: "sre", Proof: "passkey"}}},
		"what is allowed adds nothing": {a: approve(2, "sre", ""), b: allow, want: approve(2, "sre", "")},
		"never wins":                   {a: approve(2, "sre", ""), b: never, never: true},
		"never wins over a refusal":    {a: deny, b: never, never: true},
		"a refusal wins":               {a: allow, b: deny, want: deny},
		"both allowed":                 {a: allow, b: allow, want: allow},
	} {
		for _, got := range []verdict{c.a.and(c.b), c.b.and(c.a)} {
			if got.never != c.never {
				t.Errorf("%s: never is %v", name, got.never)
			}
			if !c.never && (got.effect != c.want.effect || got.needs != c.want.needs || got.ruled != c.want.ruled) {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
}
