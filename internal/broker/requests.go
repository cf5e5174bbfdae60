package broker

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/approval"
	"github.com/keyturn/keyturn/internal/rules"
)

func (b *Broker) listRequests(ctx context.Context, c *call) (keyturn.Result, error) {
	open, err := b.book.Open(ctx)
	if err != nil {
		return nil, err
	}
	out := &keyturn.Requests{Receipt: c.receipt(nil)}
	for _, r := range open {
		req, _, err := view(r)
		if err != nil {
			return nil, err
		}
		// Of names only those that the caller has to do with.
		if !r.Actor.Same(c.actor) && slices.ContainsFunc(req.Op.Refs(), func(ref keyturn.Ref) bool { return !b.may(c.actor, keyturn.Approve, ref) }) {
			continue
		}
		req.Rule, req.Broad = b.offered(r, req)
		out.Requests = append(out.Requests, req)
	}
	return out, nil
}

// offered is the rule that --remember would write, or why there is none.
func (b *Broker) offered(r approval.Request, req keyturn.Request) (line, broad string) {
	rule, err := remembered(r, req)
	if err == nil {
		line, err = b.RuleLine(rule)
	}
	if err != nil {
		return "", err.Error()
	}
	return line, ""
}

// view is a request as doors show it, and the hash that its approval covers.
func view(r approval.Request) (keyturn.Request, keyturn.OpHash, error) {
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

// approveRequest says yes for the calling person, who proves to be one.
func (b *Broker) approveRequest(ctx context.Context, c *call, op keyturn.ApproveRequest) (keyturn.Result, error) {
	r, err := b.book.Find(ctx, op.ID)
	if err != nil {
		return nil, err
	}
	req, hash, err := view(r)
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
		rule, err := remembered(r, req)
		if err != nil {
			return nil, err
		}
		if out.Rule, err = b.Remember(rule); err != nil {
			return nil, err
		}
	}
	if err := b.book.Raise(ctx, op.ID, r.Needs, most); err != nil {
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
	out.Request, _, err = view(r)
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
	now := c.verdict.needs
	return most(r.Needs, approval.Needs{Approvals: now.Approvals, From: now.From, Proof: now.Proof}), nil
}

// most asks for what both do: the more approvals, the stronger proof, and somebody
// of the group that now asks for, else of the one before.
func most(before, now approval.Needs) approval.Needs {
	if now.From == "" {
		now.From = before.From
	}
	return approval.Needs{Approvals: max(1, before.Approvals, now.Approvals), From: now.From, Proof: strongest(before.Proof, now.Proof)}
}

// strongest returns the stronger of two proofs; "" is the weakest.
func strongest(a, b string) string {
	if slices.Index(rules.Proofs(), a) < slices.Index(rules.Proofs(), b) {
		return b
	}
	return a
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

// remembered is the narrowest rule that lets a request through from now on. It is
// Invalid for what no narrow rule could say.
func remembered(r approval.Request, req keyturn.Request) (rules.Rule, error) {
	cannot := func(why string) (rules.Rule, error) {
		return rules.Rule{}, keyturn.E(keyturn.Invalid, "this cannot be remembered: "+why, "approve it once, without --remember")
	}
	if len(req.Op.Refs()) == 0 {
		return cannot("it is about no secret, so the rule would be about all")
	}
	if r.Ruled {
		return cannot("a rule of yours asks for approvals each time")
	}
	switch op := req.Op.(type) {
	case keyturn.DestroySecret:
		if len(op.Versions) > 0 {
			return cannot("a rule would be about the whole secret, not about these versions")
		}
	case keyturn.RenderTemplate:
		return cannot("a rule would be about revealing, not about this template")
	case keyturn.PutSecret:
		return cannot("a rule would be about any value, not about this one")
	case keyturn.RunCommand:
		if len(op.Files) > 0 {
			return cannot("whoever asks can read the file")
		}
	default:
		if slices.ContainsFunc(op.Refs(), func(ref keyturn.Ref) bool { return ref != ref.Secret() }) {
			return cannot("a rule would be about the whole secret, not about this field or version")
		}
	}
	rule := narrow(req)
	if _, err := rules.Parse(rule.Source()); err != nil {
		return cannot(err.Error())
	}
	return rule, nil
}

func narrow(req keyturn.Request) rules.Rule {
	r := rules.Rule{Who: []string{req.Actor.Principal()}, May: []keyturn.Verb{req.Op.Verb()}}
	for _, ref := range req.Op.Refs() {
		r.On = append(r.On, rules.Literal(ref.Path()))
	}
	if run, ok := req.Op.(keyturn.RunCommand); ok {
		r.Run = []string{rules.Template(run.Command)}
	}
	return r
}

func (b *Broker) listRecords(ctx context.Context, c *call, op keyturn.ListRecords) (keyturn.Result, error) {
	if err := b.Log.Flush(ctx); err != nil {
		return nil, err
	}
	filter := recordFilter{ListRecords: op, begun: map[string]bool{}}
	if !op.Under.IsZero() {
		filter.hidden = b.Log.HidePrefix(op.Under)
	}
	pruned := new(int64)
	return &keyturn.Records{Receipt: c.receipt(nil), Pruned: pruned, Records: func(yield func(keyturn.Record, error) bool) {
		for r, err := range b.Log.Records(ctx, pruned) {
			if err == nil && !filter.matches(r) {
				continue
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}}, nil
}

// recordFilter applies the filters of an operation to records one by one.
type recordFilter struct {
	keyturn.ListRecords
	hidden keyturn.Prefix  // Under, as it stands in records whose names are hidden
	begun  map[string]bool // intents that matched
}

// matches applies the filters. An outcome names neither actor nor secret: it goes
// where its intent, which begun remembers, went.
func (f *recordFilter) matches(r keyturn.Record) bool {
	if r.Phase == keyturn.Outcome {
		ok := f.begun[r.ID]
		delete(f.begun, r.ID)
		return ok
	}
	if r.Time.Before(f.Since) {
		return false
	}
	if f.Who != "" && (r.Actor == nil || r.Actor.Principal() != f.Who) {
		return false
	}
	// A refusal too large to be kept whole says neither kind nor secret: it is shown
	// rather than hidden, or its size would keep it out of sight.
	if (f.Op != "" || !f.Under.IsZero()) && len(r.Op) > 0 {
		op, err := keyturn.DecodeOp(r.Op)
		if err != nil {
			return false
		}
		if f.Op != "" && op.Kind() != f.Op {
			return false
		}
		if !f.Under.IsZero() && !touches(op, f.Under) && !touches(op, f.hidden) {
			return false
		}
	}
	if r.Phase == keyturn.Intent {
		f.begun[r.ID] = true
	}
	return true
}

func touches(op keyturn.Op, under keyturn.Prefix) bool {
	if list, ok := op.(keyturn.ListSecrets); ok {
		return strings.HasPrefix(list.Under.String(), under.String())
	}
	return slices.ContainsFunc(op.Refs(), under.Holds)
}

// Flush records the outcomes that wait for a later commit. Call it before the
// program ends.
func (b *Broker) Flush() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return b.Log.Flush(ctx)
}
