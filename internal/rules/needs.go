package rules

import (
	"slices"
	"strconv"

	"github.com/keyturn/keyturn"
)

// Needs says how many approvals a rule asks for before it allows, and of whom. The
// zero Needs asks for none. Its JSON form is part of the rows that wait for approval.
type Needs struct {
	Approvals int    `json:"approvals"`       // by this many different people
	From      string `json:"from,omitempty"`  // the principal or group that approvers must be of; "" is any person
	Proof     string `json:"proof,omitempty"` // the weakest proof that counts: "passphrase", "ssh" or "passkey"; "" is any
}

// Proofs lists the proofs of an approval, the weakest first.
func Proofs() []string { return []string{"passphrase", "ssh", "passkey"} }

// Strongest returns the stronger of two proofs; "" is the weakest.
func Strongest(a, b string) string {
	if slices.Index(Proofs(), a) < slices.Index(Proofs(), b) {
		return b
	}
	return a
}

// Accepts reports whether an approval with that proof is strong enough.
func (n Needs) Accepts(proof string) bool {
	have := slices.Index(Proofs(), proof)
	return have >= 0 && have >= slices.Index(Proofs(), n.Proof)
}

// Stricter reports whether n asks for more than m: for more approvals, else for a
// stronger proof, else for approvers of a group where m takes anybody.
func (n Needs) Stricter(m Needs) bool {
	if n.Approvals != m.Approvals {
		return n.Approvals > m.Approvals
	}
	if a, b := slices.Index(Proofs(), n.Proof), slices.Index(Proofs(), m.Proof); a != b {
		return a > b
	}
	return n.From != "" && m.From == ""
}

// String returns "2 approvals from sre by passkey"; "nothing" for the zero Needs.
func (n Needs) String() string {
	if n.Approvals == 0 {
		return "nothing"
	}
	out := strconv.Itoa(n.Approvals) + " approval"
	if n.Approvals > 1 {
		out += "s"
	}
	if n.From != "" {
		out += " from " + keyturn.Clean(n.From)
	}
	if n.Proof != "" {
		out += " by " + n.Proof
	}
	return out
}

// Covers reports whether approvals that satisfy n also satisfy m.
func (n Needs) Covers(m Needs) bool {
	return n.Approvals >= m.Approvals && slices.Index(Proofs(), n.Proof) >= slices.Index(Proofs(), m.Proof) && (m.From == "" || m.From == n.From)
}

// Most returns what satisfies both a request's needs so far and those of now: the
// higher number of approvals, at least one, and the stronger proof. Where both name a
// group, approvers must be of the one that now names.
func (n Needs) Most(now Needs) Needs {
	if now.From == "" {
		now.From = n.From
	}
	return Needs{Approvals: max(1, n.Approvals, now.Approvals), From: now.From, Proof: Strongest(n.Proof, now.Proof)}
}
