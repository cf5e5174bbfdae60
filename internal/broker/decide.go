package broker

import (
	"context"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/approval"
	"github.com/keyturn/keyturn/internal/rules"
)

// verdict is what the rules say of one whole operation.
type verdict struct {
	effect rules.Effect
	needs  rules.Needs
	where  string // file and line of the rule, or "default"
	why    string
	never  bool     // no person can say yes to it
	refs   []string // those that are refused
}

// decide judges c, and refuses what no approval could let through.
func (b *Broker) decide(c *call) error {
	if _, ok := c.op.(keyturn.UseSecret); ok {
		return keyturn.E(keyturn.Invalid, "a value is used by a command, not by itself", "see 'keyturn run --help'")
	}
	if err := forPeopleOnly(c); err != nil {
		return err
	}
	c.verdict = b.judge(c)
	if c.verdict.never {
		return c.verdict.refusal(c)
	}
	return nil
}

// judge asks the rules about every reference of c and takes the strictest
// answer: a never, then a refusal, then the most approvals.
func (b *Broker) judge(c *call) verdict {
	switch c.op.(type) {
	case keyturn.ListMounts, keyturn.ListSecrets:
		// Anyone may ask: the answer holds only what they may see.
		return verdict{effect: rules.Allow, where: "filtered"}
	}
	paths := []string{""}
	if refs := c.op.Refs(); len(refs) > 0 {
		paths = paths[:0]
		for _, r := range refs {
			paths = append(paths, r.Path())
		}
	}
	var worst verdict
	for i, path := range paths {
		d := b.Rules.Decide(rules.Request{Actor: c.actor, Verb: c.op.Verb(), Path: path, Sink: sinkOf(c), Remote: b.Remote})
		v := verdict{effect: d.Effect, needs: d.Needs, why: d.Why, where: d.Where(), never: d.Never}
		if v.effect == rules.Deny && path != "" {
			v.refs = []string{path}
		}
		if i == 0 || v.stricter(worst) {
			v.refs = append(worst.refs, v.refs...)
			worst = v
		} else {
			worst.refs = append(worst.refs, v.refs...)
		}
	}
	return worst
}

func (v verdict) stricter(w verdict) bool {
	if v.never != w.never {
		return v.never
	}
	if v.effect != w.effect {
		return v.effect == rules.Deny || v.effect == rules.Approve && w.effect == rules.Allow
	}
	return v.needs.Approvals > w.needs.Approvals
}

// refusal is the error of a verdict that lets nothing through.
func (v verdict) refusal(c *call) *keyturn.Error {
	what := string(c.op.Verb())
	if len(v.refs) > 0 {
		what += " " + strings.Join(v.refs, ", ")
	}
	e := keyturn.E(keyturn.Denied, c.actor.Principal()+" may not "+what+": "+v.why, "")
	e.By = "rule"
	if v.never {
		e.Hint = "the rule is at " + v.where + "; who keeps that file can change it"
	}
	if c.op.Verb() == keyturn.Reveal && len(c.op.Refs()) == 1 {
		r := c.op.Refs()[0]
		e.Hint = strings.TrimPrefix(e.Hint+"\n", "\n") + "let a program use it without seeing it: keyturn run --env NAME=" + keyturn.Quote(r.Short()) + " -- COMMAND"
	}
	return e
}

// sinkOf says where a value would go: rules may tie use to a command.
func sinkOf(c *call) rules.Sink {
	for p := c; p != nil; p = p.parent {
		if run, ok := p.op.(keyturn.RunCommand); ok {
			return rules.Sink{Run: run.Command}
		}
	}
	return rules.Sink{}
}

// forPeopleOnly holds what no rule can give to an agent or a service.
func forPeopleOnly(c *call) error {
	if c.actor.Kind == keyturn.Person {
		return nil
	}
	what := ""
	switch op := c.op.(type) {
	case keyturn.ApproveRequest:
		what = "say yes to a request"
	case keyturn.TrustProject:
		what = "trust a project's file"
	case keyturn.PutSecret:
		if len(op.Public) > 0 {
			what = "declare a field public"
		}
	case keyturn.RunCommand:
		if op.Plain {
			what = "run without redaction"
		}
	}
	if what == "" {
		return nil
	}
	e := keyturn.E(keyturn.Denied, "only a person may "+what+", not "+c.actor.Principal(), "a person has to do it, at a terminal of their own")
	e.By = "rule"
	return e
}

// approve lets c through where the rules allow it, or where an approval for
// exactly this operation of this caller is there and still fits. Else it makes a
// request that a person can answer.
func (b *Broker) approve(ctx context.Context, c *call) error {
	if c.verdict.effect == rules.Allow {
		return b.confirm(ctx, c)
	}
	needs := approval.Needs{Approvals: max(1, c.verdict.needs.Approvals), From: c.verdict.needs.From, Proof: c.verdict.needs.Proof}
	req, err := b.book.Ask(ctx, c.actor, c.form, c.hash, limit(keyturn.Clean(c.from.Reason), 500), needs, c.verdict.effect == rules.Approve)
	if err != nil {
		return err
	}
	if req.Enough() {
		c.approval = req.ID // spent in act, once the intent is on record
		return nil
	}
	e := c.verdict.refusal(c)
	if c.verdict.effect == rules.Approve {
		e = keyturn.E(keyturn.Pending, "this waits for an approval: "+c.verdict.why, "")
	}
	e.Approval = &keyturn.Approval{ID: req.ID, Fingerprint: c.hash.Fingerprint(), Expires: req.Expires}
	e.Hint = strings.TrimPrefix(e.Hint+"\n", "\n") + "a person says yes with: keyturn approve " + req.ID +
		"   (once; add --remember for from now on); then repeat the command"
	return e
}

// spend takes the approval that c runs under: once, and only if the platform
// still holds what it was given for.
func (b *Broker) spend(ctx context.Context, c *call) error {
	held, err := b.held(ctx, c.op)
	if err != nil {
		return err
	}
	_, err = b.book.Use(ctx, c.approval, c.hash, held)
	if err != nil && keyturn.AsError(err).Code == keyturn.Conflict {
		_ = b.book.Drop(ctx, c.approval) // so that it can be asked for anew
	}
	return err
}

// confirm asks a person for the passphrase before a value is shown, where the
// operator wants that.
func (b *Broker) confirm(ctx context.Context, c *call) error {
	if !b.ConfirmReveal || c.op.Verb() != keyturn.Reveal || c.actor.Kind != keyturn.Person {
		return nil
	}
	return b.prove(ctx, c.actor, "to reveal "+c.op.Refs()[0].Short())
}

// prove has the calling person type their passphrase; the first time it is set.
func (b *Broker) prove(ctx context.Context, actor keyturn.Actor, about string) error {
	known, err := b.words.Known(ctx, actor)
	if err != nil {
		return err
	}
	pass, err := b.Prover.Passphrase(ctx, about, !known)
	if err != nil {
		return err
	}
	if !known {
		return b.words.Set(ctx, actor, pass)
	}
	return b.words.Check(ctx, actor, pass)
}

// held is the version of each of op's secrets that the platform holds now; ""
// where there is none. An approval is for these.
func (b *Broker) held(ctx context.Context, op keyturn.Op) (map[string]string, error) {
	held := map[string]string{}
	for _, ref := range op.Refs() {
		m, err := b.Mounts.Mount(ref.Mount())
		if err != nil {
			return nil, err
		}
		info, err := m.Describe(ctx, ref.Secret())
		switch e := keyturn.AsError(err); {
		case err == nil:
			held[ref.Secret().String()] = info.Version
		case e.Code == keyturn.NotFound:
			held[ref.Secret().String()] = ""
		default:
			return nil, err
		}
	}
	return held, nil
}

// may asks the rules about a by-the-way question, such as whether a name may be
// shown in a hint.
func (b *Broker) may(actor keyturn.Actor, verb keyturn.Verb, ref keyturn.Ref) bool {
	d := b.Rules.Decide(rules.Request{Actor: actor, Verb: verb, Path: ref.Path(), Remote: b.Remote})
	return d.Effect == rules.Allow
}
