package rules

import (
	"testing"

	"github.com/keyturn/keyturn"
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

// TestOutputOfManyReferences: of a command with several references the strictest output
// counts, whatever their order; a part of which no rule says anything takes nothing away.
func TestOutputOfManyReferences(t *testing.T) {
	says := []keyturn.Output{"", keyturn.OutputStream, keyturn.OutputEnd, keyturn.OutputStatus} // in their order
	for i, a := range says {
		for j, b := range says {
			got := Verdict{Effect: Allow, Output: a}.And(Verdict{Effect: Allow, Output: b}).Output
			if want := says[max(i, j)]; got != want {
				t.Errorf("%q and %q: %q; want %q", a, b, got, want)
			}
		}
	}
	s, err := New(Input{Rules: []Source{
		{Who: []string{"agents"}, May: []string{"use"}, On: []string{"local/a"}, Run: []string{"npm test"}, Output: "status", File: "k.yaml", Line: 1},
		{Who: []string{"agents"}, May: []string{"use"}, On: []string{"local/b"}, Run: []string{"npm test"}, Output: "stream", File: "k.yaml", Line: 2},
		{Who: []string{"agents"}, May: []string{"use"}, On: []string{"local/c"}, Run: []string{"npm test"}, File: "k.yaml", Line: 3},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]keyturn.Output{"local/a": keyturn.OutputStatus, "local/b": keyturn.OutputStream, "local/c": ""} {
		d := s.Decide(Request{Actor: keyturn.Actor{Kind: keyturn.Agent, Name: "x"}, Verb: keyturn.Use, Path: path, Sink: Sink{Run: []string{"npm", "test"}}})
		if v := d.Verdict(keyturn.Use, path); v.Effect != Allow || v.Output != want {
			t.Errorf("%s: %+v", path, v)
		}
	}
}
