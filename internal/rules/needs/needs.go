// Package needs is what a rule asks for before it allows: approvals. It is pure.
package needs

import (
	"slices"
	"strconv"

	"github.com/keyturn/keyturn"
)

// Needs is what a rule asks for before it allows. The zero Needs asks for nothing.
type Needs struct {
	Approvals int    // by so many distinct people
	From      string // a principal or group that they must be of; "" is any person
	Proof     string // "passphrase", "ssh" or "passkey", or stronger; "" is any
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

// Stricter reports whether n asks for more than m: for more approvals, or for as
// many with a stronger proof, or for as many from somebody in particular.
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

// Covers reports whether what satisfies n also satisfies m.
func (n Needs) Covers(m Needs) bool {
	return n.Approvals >= m.Approvals && slices.Index(Proofs(), n.Proof) >= slices.Index(Proofs(), m.Proof) && (m.From == "" || m.From == n.From)
}
