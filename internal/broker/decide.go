package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/approval"
	"github.com/keyturn/keyturn/internal/rules"
)

// verdict is what the rules say of one whole operation.
type verdict struct {
	effect rules.Effect
	needs  rules.Needs
	ruled  bool   // a rule asks for approvals
	where  string // file and line of the rule, or "default"
	why    string
	never  bool     // no person can say yes to it
	refs   []string // those that are refused
}

// decide judges c with all its parts, and refuses what no approval could let
// through.
func (b *Broker) decide(c *call) error {
	c.verdict.where = "built in"
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
	return b.plan(c)
}

// plan prepares the children of a composite operation. Each is decided by
// itself: what the parent's approval covers is the plan, not more.
func (b *Broker) plan(c *call) error {
	comp, ok := c.op.(keyturn.Composite)
	if !ok {
		return nil
	}
	refs := c.op.Refs()
	for _, op := range comp.Plan() {
		child := &call{id: keyturn.NewID(b.Now()), actor: c.actor, from: c.from, parent: c}
		if err := child.take(op); err != nil {
			return err
		}
		for _, ref := range child.op.Refs() {
			if !slices.Contains(refs, ref) {
				return keyturn.E(keyturn.Internal, "a part of this operation is outside of what was decided", "this is a bug: please report it").About(ref)
			}
		}
		child.verdict = b.judge(child)
		if child.verdict.never || child.verdict.effect != rules.Allow && c.verdict.effect == rules.Allow {
			return child.verdict.refusal(child)
		}
		c.children = append(c.children, child)
	}
	return nil
}

// judge asks the rules about every reference of c and takes the strictest
// answer: a never, then a refusal, then approvals; of approvals all that any of
// the rules asks for.
func (b *Broker) judge(c *call) verdict {
	var paths []string
	switch op := c.op.(type) {
	case keyturn.ListMounts:
		// Anyone may ask: the answer holds only what they may see.
		return verdict{effect: rules.Allow, where: "filtered"}
	case keyturn.ListSecrets:
		path := strings.TrimSuffix(strings.TrimPrefix(op.Under.String(), keyturn.Scheme), "/")
		if b.Rules.MayAny(c.actor, path, b.Remote) {
			return verdict{effect: rules.Allow, where: "filtered"}
		}
		paths = append(paths, path)
	}
	for _, r := range c.op.Refs() {
		if p := r.Path(); !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	if len(paths) == 0 {
		paths = []string{""}
	}
	verbs := []keyturn.Verb{c.op.Verb()}
	if run, ok := c.op.(keyturn.RunCommand); ok && (run.Plain || len(run.Files) > 0 && c.actor.Kind != keyturn.Person) {
		// What is not redacted is shown, and who asks for a file can read it.
		verbs = append(verbs, keyturn.Reveal)
	}
	var all verdict
	for i, path := range paths {
		for j, verb := range verbs {
			d := b.Rules.Decide(rules.Request{Actor: c.actor, Verb: verb, Path: path, Sink: sinkOf(c), Remote: b.Remote})
			v := verdict{effect: d.Effect, needs: d.Needs, ruled: d.Effect == rules.Approve, why: d.Why, where: d.Where(), never: d.Never}
			if v.effect == rules.Deny && path != "" {
				v.refs = []string{path}
			}
			if i+j == 0 {
				all = v
			} else {
				all = all.and(v)
			}
		}
	}
	return all
}

// and is the verdict of two together. Refusing one of them does not take away
// the approvals that a rule asks for the other.
func (v verdict) and(w verdict) verdict {
	out := v
	if w.stricter(v) {
		out = w
	}
	out.refs = slices.Clone(v.refs)
	for _, r := range w.refs {
		if !slices.Contains(out.refs, r) {
			out.refs = append(out.refs, r)
		}
	}
	out.ruled = v.ruled || w.ruled
	out.needs.Approvals = max(v.needs.Approvals, w.needs.Approvals)
	if out.needs.Proof = v.needs.Proof; slices.Index(rules.Proofs(), w.needs.Proof) > slices.Index(rules.Proofs(), v.needs.Proof) {
		out.needs.Proof = w.needs.Proof
	}
	out.needs.From = cmp.Or(v.needs.From, w.needs.From)
	if v.needs.From != "" && w.needs.From != "" && v.needs.From != w.needs.From && !out.never {
		out.effect, out.never = rules.Deny, true
		out.why = "a part needs a yes from " + v.needs.From + " and a part one from " + w.needs.From + ": ask for them one by one"
	} else if out.effect == rules.Approve {
		out.why = out.needs.String() + " needed, at " + out.where
	}
	return out
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
	if list, ok := c.op.(keyturn.ListSecrets); ok {
		what += " anything in " + strings.TrimSuffix(strings.TrimPrefix(list.Under.String(), keyturn.Scheme), "/")
	} else if len(v.refs) > 0 {
		what += " " + strings.Join(v.refs, ", ")
	}
	e := keyturn.E(keyturn.Denied, c.actor.Principal()+" may not "+what+": "+v.why, "")
	e.By = "rule"
	if v.never {
		e.Hint = "the rule is at " + v.where + "; who keeps that file can change it"
	}
	if run, ok := c.op.(keyturn.RunCommand); ok && !v.never && len(run.Files) > 0 && c.actor.Kind != keyturn.Person {
		e.Hint = strings.TrimPrefix(e.Hint+"\n", "\n") + "who asks for a file can read it: that takes a rule for reveal, too; a variable does not (--env)"
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
	case keyturn.ListRequests:
		what = "look through the requests"
	case keyturn.ApproveRequest:
		what = "say yes to a request"
	case keyturn.ShowTrust, keyturn.TrustProject:
		what = "trust a project's file"
	case keyturn.PruneLog:
		what = "drop records of the log"
	case keyturn.RekeyStore, keyturn.UnlockStore, keyturn.LockStore:
		what = "look after the store's keys"
	case keyturn.BackupStore, keyturn.RestoreStore:
		what = "back up or restore the whole store"
	case keyturn.UseConfig:
		what = "choose the configuration " + keyturn.Clean(op.Path)
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
// exactly this operation of this caller is there and still fits.
func (b *Broker) approve(ctx context.Context, c *call) error {
	if c.verdict.effect != rules.Allow {
		if err := b.approved(ctx, c); err != nil {
			return err
		}
	}
	return b.confirm(ctx, c)
}

// approved finds the approval that c can run under. Where there is none it makes
// a request that a person can answer.
func (b *Broker) approved(ctx context.Context, c *call) error {
	needs := c.verdict.needs
	needs.Approvals = max(1, needs.Approvals)
	req, err := b.book.Ask(ctx, c.actor, c.form, c.hash, limit(keyturn.Clean(c.from.Reason), 500),
		approval.Needs{Approvals: needs.Approvals, From: needs.From, Proof: needs.Proof}, c.verdict.ruled)
	if err != nil {
		return err
	}
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
	c.held = held
	_, err = b.book.Use(ctx, c.approval, c.hash, held)
	switch {
	case errors.Is(err, keyturn.NotFound): // the approval, not the secret
		return keyturn.E(keyturn.Conflict, "the approval "+c.approval+" was used or ran out meanwhile", "repeat the command to ask again").Because(err)
	case errors.Is(err, keyturn.Conflict):
		_ = b.book.Drop(ctx, c.approval) // so that it can be asked for anew
	}
	return err
}

// confirm asks a person for the passphrase before a value is shown, where the
// operator wants that.
func (b *Broker) confirm(ctx context.Context, c *call) error {
	run, _ := c.op.(keyturn.RunCommand)
	refs := c.op.Refs()
	if !b.ConfirmReveal || c.op.Verb() != keyturn.Reveal && !run.Plain || c.actor.Kind != keyturn.Person || len(refs) == 0 {
		return nil
	}
	about := fmt.Sprintf("to reveal %d secrets", len(refs))
	if len(refs) == 1 {
		about = "to reveal " + keyturn.Clean(refs[0].Short())
	}
	return b.prove(ctx, c.actor, about)
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

// held is the version of each of op's secrets that the platform holds now, with
// its state where it cannot be read; "" where there is none. An approval is for
// these.
func (b *Broker) held(ctx context.Context, op keyturn.Op) (map[string]string, error) {
	held := map[string]string{}
	for _, ref := range op.Refs() {
		secret := ref.Secret()
		if _, known := held[secret.String()]; known {
			continue
		}
		m, err := b.Mounts.Mount(ref.Mount())
		if err != nil {
			return nil, err
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

// may asks the rules about a by-the-way question, such as whether a name may be
// shown in a hint.
func (b *Broker) may(actor keyturn.Actor, verb keyturn.Verb, ref keyturn.Ref) bool {
	return b.mayPath(actor, verb, ref.Path())
}

func (b *Broker) mayPath(actor keyturn.Actor, verb keyturn.Verb, path string) bool {
	d := b.Rules.Decide(rules.Request{Actor: actor, Verb: verb, Path: path, Remote: b.Remote})
	return d.Effect == rules.Allow
}
