package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/rules"
)

// approve passes where the rules allow c, or where an approval for exactly this
// operation of this caller exists and still fits.
func (b *Broker) approve(ctx context.Context, c *call) error {
	if err := b.protectLogin(ctx, c); err != nil {
		return err
	}
	if c.verdict.Effect != rules.Allow {
		e := c.verdict.Refusal(c.actor, c.op)
		if c.verdict.Effect == rules.Approve {
			e = keyturn.E(keyturn.Pending, "this waits for an approval: "+c.verdict.Why, "")
		}
		if err := b.approved(ctx, c, e); err != nil {
			return err
		}
	}
	return b.confirm(ctx, c)
}

// approved finds the approval that c can run under. Where there is none it makes a
// request for one, and returns e with that request.
func (b *Broker) approved(ctx context.Context, c *call, e *keyturn.Error) error {
	needs := c.verdict.Needs
	needs.Approvals = max(1, needs.Approvals)
	asked := b.Now()
	req, err := b.journal.Approvals.Ask(ctx, c.actor, c.form, c.hash, limit(keyturn.Clean(c.from.Reason), 500),
		needs, c.verdict.Ruled)
	if err != nil {
		return err
	}
	c.requests = !req.Created.Before(asked.Round(0))
	// Counted by the rules of now: who has left a group since no longer counts.
	given := 0
	for _, yes := range req.Given {
		if b.mayApprove(yes.Actor, yes.Proof, req, c.op) == nil {
			given++
		}
	}
	if given >= max(needs.Approvals, req.Needs.Approvals) {
		c.approval = req.ID // spent in act, once the intent is on record
		return nil
	}
	e.Approval = &keyturn.Approval{ID: req.ID, Fingerprint: c.hash.Fingerprint(), Expires: req.Expires}
	says, once := "a person says yes", "   (once)"
	if c.actor.Kind == keyturn.Person {
		says = "you cannot say yes to it yourself: another person does" // who has an account of their own here
	}
	if seen, _, err := requestOf(req); err == nil {
		if b.offered(req, &seen); seen.Rule != "" {
			once = "   (once; add --remember for from now on)"
		}
	}
	e.Hint = strings.TrimPrefix(e.Hint+"\n", "\n") + says + " with: keyturn approve " + req.ID + once + "; then repeat the command"
	return e
}

// spend spends the approval that c runs under: it can be spent once, and only while the
// platform still holds the versions that it was given for.
func (b *Broker) spend(ctx context.Context, c *call) error {
	held, err := b.held(ctx, c.op)
	if err != nil {
		return err
	}
	c.held = held
	_, err = b.journal.Approvals.Use(ctx, c.approval, c.hash, held)
	switch {
	case errors.Is(err, keyturn.NotFound): // the approval, not the secret
		return keyturn.E(keyturn.Conflict, "the approval "+c.approval+" was used or ran out meanwhile", "repeat the command to ask again").Because(err)
	case errors.Is(err, keyturn.Conflict):
		_ = b.journal.Approvals.Drop(ctx, c.approval) // so that it can be asked for anew
	}
	return err
}

// confirm has a person type the passphrase before a value is shown, where the operator
// wants that.
func (b *Broker) confirm(ctx context.Context, c *call) error {
	run, _ := c.op.(keyturn.RunCommand)
	take, _ := c.op.(keyturn.TakeLease)
	action, _ := c.op.(keyturn.PlatformAction)
	refs, handed := c.op.Refs(), action.Out != "" || action.Wrap > 0 // a file or a token with a secret
	if !b.ConfirmReveal || c.actor.Kind != keyturn.Person || !handed && (len(refs) == 0 || c.op.Verb() != keyturn.Reveal && !run.Plain && !take.Show) {
		return nil
	}
	about := fmt.Sprintf("to reveal %d secrets", len(refs))
	switch {
	case handed:
		about = "to hand out what " + keyturn.Clean(action.Path()) + " makes"
	case len(refs) == 1:
		about = "to reveal " + keyturn.Clean(refs[0].Short())
	}
	return b.prove(ctx, c.actor, about)
}

// prove has the calling person type their passphrase. The first time this sets it.
func (b *Broker) prove(ctx context.Context, actor keyturn.Actor, about string) error {
	known, err := b.journal.Passphrases.Known(ctx, actor)
	if err != nil {
		return err
	}
	pass, err := b.Prover.Passphrase(ctx, about, !known)
	if err != nil {
		return err
	}
	if !known {
		return b.journal.Passphrases.Set(ctx, actor, pass)
	}
	return b.journal.Passphrases.Check(ctx, actor, pass)
}

// held returns what an approval of op is given for: of each of its secrets the version
// that the platform holds now, with its state where it cannot be read, "" where there is
// none; and the login that op ends.
func (b *Broker) held(ctx context.Context, op keyturn.Op) (map[string]string, error) {
	held := map[string]string{}
	end, err := b.loginEndedBy(ctx, op)
	if err != nil {
		return nil, err
	}
	if end.words != "" {
		held["login"] = end.mark
	}
	for _, ref := range op.Refs() {
		secret := ref.Secret()
		if _, known := held[secret.String()]; known {
			continue
		}
		m, err := b.Mounts.Mount(ref.Mount())
		if err != nil {
			return nil, err
		}
		made, failed := m.Issued(ctx, []keyturn.Ref{secret})
		if failed[0] != nil {
			return nil, failed[0]
		}
		if made[0] {
			held[secret.String()] = "" // made anew for each asking
			continue
		}
		info, err := m.Describe(ctx, secret)
		switch {
		case err == nil:
			held[secret.String()] = info.Version
		case errors.Is(err, keyturn.NotFound):
			held[secret.String()] = ""
			versions, err := m.Versions(ctx, secret)
			if err != nil && !errors.Is(err, keyturn.NotFound) && !errors.Is(err, keyturn.Unsupported) {
				return nil, err
			}
			if len(versions) > 0 {
				held[secret.String()] = versions[0].Version + " " + string(versions[0].State)
			}
		default:
			return nil, err
		}
	}
	return held, nil
}

func (b *Broker) listRequests(ctx context.Context, c *call) (keyturn.Result, error) {
	open, err := b.journal.Approvals.Open(ctx)
	if err != nil {
		return nil, err
	}
	out := &keyturn.Requests{Receipt: c.receipt(nil)}
	for _, r := range open {
		req, _, err := requestOf(r)
		if err != nil {
			return nil, err
		}
		// A request is listed only where the caller may know all of its names.
		if !r.Actor.Same(c.actor) && slices.ContainsFunc(req.Op.Refs(), func(ref keyturn.Ref) bool { return !b.may(c.actor, keyturn.Approve, ref) }) {
			continue
		}
		b.offered(r, &req)
		if o, yes := b.opens(r.Actor, req.Op); yes {
			req.Opens = o.Why
		}
		if end, err := b.loginEndedBy(ctx, req.Op); err == nil {
			req.Ends = end.words
		}
		if req.Files, err = b.migratedFiles(ctx, req.Op); err != nil {
			return nil, err
		}
		out.Requests = append(out.Requests, req)
	}
	return out, nil
}

// offered adds to a request the rule that --remember would write, with what Lint says of
// it, or why there is none.
func (b *Broker) offered(r journal.Request, req *keyturn.Request) {
	rule, err := b.narrowestRule(r, *req)
	if err == nil {
		req.Rule, err = b.RuleLine(rule)
	}
	if err != nil {
		req.Rule, req.Broad = "", err.Error()
		return
	}
	req.Warnings = rule.Warnings()
}

// approveRequest approves a request for the calling person, who proves to be one.
func (b *Broker) approveRequest(ctx context.Context, c *call, op keyturn.ApproveRequest) (keyturn.Result, error) {
	r, err := b.journal.Approvals.Find(ctx, op.ID)
	if err != nil {
		return nil, err
	}
	req, hash, err := requestOf(r)
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
	if slices.ContainsFunc(r.Given, func(y journal.Yes) bool { return y.Actor.Same(c.actor) }) {
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
		rule, err := b.narrowestRule(r, req)
		if err != nil {
			return nil, err
		}
		if out.Rule, err = b.Remember(rule); err != nil {
			return nil, err
		}
		if err := b.repin(ctx); err != nil {
			e := *keyturn.AsError(err)
			e.Hint = "its rule was written, at " + out.Rule + "; it holds after 'keyturn config trust'"
			return nil, &e
		}
	}
	if err := b.journal.Approvals.Raise(ctx, op.ID, r.Needs, rules.Needs.Most); err != nil {
		return nil, err
	}
	r, err = b.journal.Approvals.Approve(ctx, op.ID, journal.Yes{Actor: c.actor, Proof: proof}, held)
	if err != nil {
		e := *keyturn.AsError(err)
		if out.Rule != "" {
			e.Hint = "its rule was written nevertheless, at " + out.Rule
		}
		return nil, &e
	}
	out.Request, _, err = requestOf(r)
	return out, err
}

// rejudge decides about a request as if it were made here and now. It returns the
// approvals that it needs: the most of what it needed then and needs now.
func (b *Broker) rejudge(r journal.Request, req keyturn.Request) (rules.Needs, error) {
	c := &call{id: r.ID, actor: r.Actor}
	if err := c.take(req.Op); err != nil {
		return r.Needs, err
	}
	if err := b.decide(c); err != nil {
		return r.Needs, err
	}
	return r.Needs.Most(c.verdict.Needs), nil
}

// mayApprove refuses an approver whom the rules do not let approve r, a request for op.
func (b *Broker) mayApprove(actor keyturn.Actor, proof string, r journal.Request, op keyturn.Op) error {
	no := func(why string) error {
		e := keyturn.E(keyturn.Denied, actor.Principal()+" may not approve "+r.ID+": "+why, "somebody else has to")
		e.By = "rule"
		return e
	}
	if r.Actor.Same(actor) {
		return no("nobody approves their own request")
	}
	if !b.Rules.MayApprove(actor, r.Needs) {
		return no("the rule asks for somebody of " + r.Needs.From)
	}
	if !r.Needs.Accepts(proof) {
		return no("the rule asks for a stronger proof than a " + proof + ": " + r.Needs.Proof)
	}
	for _, ref := range op.Refs() {
		d := b.Rules.Decide(rules.Request{Actor: actor, Verb: keyturn.Approve, Path: ref.Path(), Remote: b.Remote})
		if d.Effect != rules.Allow {
			return no(d.Why)
		}
	}
	return nil
}

// requestOf returns a request as doors show it, and the hash of the operation that its
// approval covers.
func requestOf(r journal.Request) (keyturn.Request, keyturn.OpHash, error) {
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

// narrowestRule returns the narrowest rule that allows a request from now on. It is
// Invalid where no narrow rule could say that.
func (b *Broker) narrowestRule(r journal.Request, req keyturn.Request) (rules.Rule, error) {
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
	case keyturn.PutSecret, keyturn.MigrateSecrets:
		return cannot("a rule would be about any value, not about this one")
	case keyturn.RevertMigration, keyturn.ForgetMigration:
		return cannot("a rule would be about the whole secret, not about this migration")
	case keyturn.CopySecret:
		return cannot("it takes two rules, one to use the source and one to write the target")
	case keyturn.PlatformAction:
		return cannot("it takes a rule for the action, and one for each secret")
	case keyturn.DiffSecrets:
		return cannot("a rule would be about using them, not about comparing")
	case keyturn.RunCommand:
		switch {
		case len(op.Files) > 0:
			return cannot("whoever asks can read the file")
		case op.Program == "" || op.Dir == "":
			return cannot("it is not said which program it is, and in which folder")
		case b.mixedNames(&call{op: op, actor: r.Actor}) != nil:
			return cannot("it gives the command a value that the caller may write beside one that it may not see")
		}
	default:
		if slices.ContainsFunc(op.Refs(), func(ref keyturn.Ref) bool { return ref != ref.Secret() }) {
			return cannot("a rule would be about the whole secret, not about this field or version")
		}
	}
	rule := ruleFor(req)
	if _, err := rules.Parse(rule.Source()); err != nil {
		return cannot(err.Error())
	}
	if why := rule.Open(); why != "" {
		return cannot(why)
	}
	return rule, nil
}

// ruleFor returns the rule that allows a request, which may be too broad. That of a
// command is for its very program, in its folder.
func ruleFor(req keyturn.Request) rules.Rule {
	r := rules.Rule{Who: []string{req.Actor.Principal()}, May: []keyturn.Verb{req.Op.Verb()}}
	for _, ref := range req.Op.Refs() {
		r.On = append(r.On, rules.Literal(ref.Path()))
	}
	if run, ok := req.Op.(keyturn.RunCommand); ok {
		r.Run, r.In = []string{rules.TemplateOf(append([]string{run.Program}, run.Command[1:]...))}, []string{run.Dir}
	}
	return r
}
