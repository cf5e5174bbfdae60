package broker

import (
	"context"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/approval"
	"github.com/keyturn/keyturn/internal/broker/asked"
	"github.com/keyturn/keyturn/internal/broker/entry"
	"github.com/keyturn/keyturn/internal/broker/records"
	"github.com/keyturn/keyturn/internal/broker/remember"
	"github.com/keyturn/keyturn/internal/rules"
)

func (b *Broker) listRequests(ctx context.Context, c *call) (keyturn.Result, error) {
	open, err := b.book.Open(ctx)
	if err != nil {
		return nil, err
	}
	out := &keyturn.Requests{Receipt: c.receipt(nil)}
	for _, r := range open {
		req, _, err := asked.View(r)
		if err != nil {
			return nil, err
		}
		// Of names only those that the caller has to do with.
		if !r.Actor.Same(c.actor) && slices.ContainsFunc(req.Op.Refs(), func(ref keyturn.Ref) bool { return !b.may(c.actor, keyturn.Approve, ref) }) {
			continue
		}
		req.Rule, req.Broad = b.offered(r, req)
		if o, yes := b.opens(r.Actor, req.Op); yes {
			req.Opens = o.Why
		}
		if end, err := entry.Ends(ctx, b.Mounts.Mount, req.Op); err == nil {
			req.Ends = end.Words
		}
		if req.Files, err = b.journal().FilesOf(ctx, req.Op); err != nil {
			return nil, err
		}
		out.Requests = append(out.Requests, req)
	}
	return out, nil
}

// offered is the rule that --remember would write, or why there is none.
func (b *Broker) offered(r approval.Request, req keyturn.Request) (line, broad string) {
	rule, err := remember.Rule(r, req)
	if err == nil {
		line, err = b.RuleLine(rule)
	}
	if err != nil {
		return "", err.Error()
	}
	return line, ""
}

// approveRequest says yes for the calling person, who proves to be one.
func (b *Broker) approveRequest(ctx context.Context, c *call, op keyturn.ApproveRequest) (keyturn.Result, error) {
	r, err := b.book.Find(ctx, op.ID)
	if err != nil {
		return nil, err
	}
	req, hash, err := asked.View(r)
	if err != nil {
		return nil, err
	}
	// Judged again by the rules of whoever approves: the requester may have left
	// them out.
	if r.Needs, err = b.rejudge(r, req); err != nil {
		return nil, err
	}
	const proof = "passphrase"
	if err := b.mayApprove(c.actor, proof, r, req.Op); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(r.Given, func(y approval.Yes) bool { return y.Actor.Same(c.actor) }) {
		return nil, keyturn.E(keyturn.Conflict, "you have approved "+r.ID+" already", "another person has to say yes too")
	}
	if err := b.prove(ctx, c.actor, "to approve "+op.ID+" ("+hash.Fingerprint()+")"); err != nil {
		return nil, err
	}
	held, err := b.held(ctx, req.Op)
	if err != nil {
		return nil, err
	}
	out := &keyturn.Approved{Receipt: c.receipt(nil)}
	if op.Remember {
		// First the rule: where it cannot be written, nothing was approved.
		rule, err := remember.Rule(r, req)
		if err != nil {
			return nil, err
		}
		if out.Rule, err = b.Remember(rule); err != nil {
			return nil, err
		}
	}
	if err := b.book.Raise(ctx, op.ID, r.Needs, asked.Most); err != nil {
		return nil, err
	}
	r, err = b.book.Approve(ctx, op.ID, approval.Yes{Actor: c.actor, Proof: proof}, held)
	if err != nil {
		e := *keyturn.AsError(err)
		if out.Rule != "" {
			e.Hint = "its rule was written nevertheless, at " + out.Rule
		}
		return nil, &e
	}
	out.Request, _, err = asked.View(r)
	return out, err
}

// rejudge decides about a request as if it were made here and now. It returns
// what a yes takes: the most of what was asked for then and is asked for now.
func (b *Broker) rejudge(r approval.Request, req keyturn.Request) (approval.Needs, error) {
	c := &call{id: r.ID, actor: r.Actor}
	if err := c.take(req.Op); err != nil {
		return r.Needs, err
	}
	if err := b.decide(c); err != nil {
		return r.Needs, err
	}
	now := c.verdict.Needs
	return asked.Most(r.Needs, approval.Needs{Approvals: now.Approvals, From: now.From, Proof: now.Proof}), nil
}

// mayApprove holds what the rules ask of whoever says yes to r, which is for op.
func (b *Broker) mayApprove(actor keyturn.Actor, proof string, r approval.Request, op keyturn.Op) error {
	no := func(why string) error {
		e := keyturn.E(keyturn.Denied, actor.Principal()+" may not approve "+r.ID+": "+why, "somebody else has to")
		e.By = "rule"
		return e
	}
	if r.Actor.Same(actor) {
		return no("nobody approves their own request")
	}
	needs := rules.Needs{Approvals: r.Needs.Approvals, From: r.Needs.From, Proof: r.Needs.Proof}
	if !b.Rules.MayApprove(actor, needs) {
		return no("the rule asks for somebody of " + needs.From)
	}
	if !needs.Accepts(proof) {
		return no("the rule asks for a stronger proof than a " + proof + ": " + needs.Proof)
	}
	for _, ref := range op.Refs() {
		d := b.Rules.Decide(rules.Request{Actor: actor, Verb: keyturn.Approve, Path: ref.Path(), Remote: b.Remote})
		if d.Effect != rules.Allow {
			return no(d.Why)
		}
	}
	return nil
}

func (b *Broker) listRecords(ctx context.Context, c *call, op keyturn.ListRecords) (keyturn.Result, error) {
	if err := b.Log.Flush(ctx); err != nil {
		return nil, err
	}
	pruned := new(int64)
	hidden := keyturn.Prefix{}
	if !op.Under.IsZero() {
		hidden = b.Log.HidePrefix(op.Under)
	}
	return &keyturn.Records{Receipt: c.receipt(nil), Pruned: pruned, Records: records.Filter(op, hidden, b.Log.Records(ctx, pruned))}, nil
}

// Flush records the outcomes that wait for a later commit. Call it before the
// program ends.
func (b *Broker) Flush() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return b.Log.Flush(ctx)
}
