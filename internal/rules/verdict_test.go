package rules

import (
	"testing"
)

func TestNeedsOfManyReferences(t *testing.T) {
	approve := func(k int, from, proof string) Verdict {
		return Verdict{Effect: Approve, Ruled: true, Needs: Needs{Approvals: k, From: from, Proof: proof}}
	}
	allow, deny, never := Verdict{Effect: Allow}, Verdict{}, Verdict{Never: true}
	for name, c := range map[string]struct {
		a, b  Verdict
		want  Verdict
		never bool
	}{
		"the most approvals":           {a: approve(1, "sre", ""), b: approve(3, "sre", ""), want: approve(3, "sre", "")},
		"from anyone and from a group": {a: approve(2, "", ""), b: approve(1, "sre", ""), want: approve(2, "sre", "")},
		"the strongest proof":          {a: approve(1, "", "passkey"), b: approve(1, "", "passphrase"), want: approve(1, "", "passkey")},
		"some proof":                   {a: approve(1, "", ""), b: approve(1, "", "passphrase"), want: approve(1, "", "passphrase")},
		"two groups":                   {a: approve(1, "sre", ""), b: approve(1, "dba", ""), never: true},
		"a refusal keeps approvals":    {a: approve(2, "sre", "passkey"), b: deny, want: Verdict{Ruled: true, Needs: Needs{Approvals: 2, From: "sre", Proof: "passkey"}}},
		"what is allowed adds nothing": {a: approve(2, "sre", ""), b: allow, want: approve(2, "sre", "")},
		"never wins":                   {a: approve(2, "sre", ""), b: never, never: true},
		"never wins over a refusal":    {a: deny, b: never, never: true},
		"a refusal wins":               {a: allow, b: deny, want: deny},
		"both allowed":                 {a: allow, b: allow, want: allow},
	} {
		for _, got := range []Verdict{c.a.And(c.b), c.b.And(c.a)} {
			if got.Never != c.never {
				t.Errorf("%s: never is %v", name, got.Never)
			}
			if !c.never && (got.Effect != c.want.Effect || got.Needs != c.want.Needs || got.Ruled != c.want.Ruled) {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
}
