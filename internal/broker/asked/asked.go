// Package asked reads the requests that wait for a person's yes. It is pure.
package asked

import (
	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/approval"
	"github.com/keyturn/keyturn/internal/rules"
)

// View is a request as doors show it, and the hash that its approval covers.
func View(r approval.Request) (keyturn.Request, keyturn.OpHash, error) {
	op, err := keyturn.DecodeOp(r.Op)
	if err != nil {
		return keyturn.Request{}, keyturn.OpHash{}, keyturn.E(keyturn.Corrupt, "the request "+r.ID+" cannot be read", "").Because(err)
	}
	hash, err := keyturn.HashOp(op)
	if err != nil || hash.String() != r.Hash {
		return keyturn.Request{}, keyturn.OpHash{}, keyturn.E(keyturn.Corrupt, "the request "+r.ID+" is not what was asked for", "").Because(err)
	}
	return keyturn.Request{
		Approval: keyturn.Approval{ID: r.ID, Fingerprint: hash.Fingerprint(), Expires: r.Expires},
		Actor:    r.Actor, Op: op, Reason: r.Reason, Created: r.Created,
		Needs: max(1, r.Needs.Approvals), Given: len(r.Given),
	}, hash, nil
}

// Most asks for what both do: the more approvals, the stronger proof, and somebody
// of the group that now asks for, else of the one before.
func Most(before, now approval.Needs) approval.Needs {
	if now.From == "" {
		now.From = before.From
	}
	return approval.Needs{Approvals: max(1, before.Approvals, now.Approvals), From: now.From, Proof: rules.Strongest(before.Proof, now.Proof)}
}
