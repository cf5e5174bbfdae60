package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/approval"
	"github.com/keyturn/keyturn/internal/broker/answer"
	"github.com/keyturn/keyturn/internal/broker/asked"
	"github.com/keyturn/keyturn/internal/broker/entry"
	"github.com/keyturn/keyturn/internal/broker/people"
	"github.com/keyturn/keyturn/internal/broker/verdict"
	"github.com/keyturn/keyturn/internal/rules"
)

// decide judges c with all its parts, and refuses what no approval could let
// through.
func (b *Broker) decide(c *call) error {
	c.verdict.Where = "built in"
	switch c.op.(type) {
	case keyturn.UseSecret:
		return keyturn.E(keyturn.Invalid, "a value is used by a command, not by itself", "see 'keyturn run --help'")
	case keyturn.WriteSecret, keyturn.SealValues:
		return keyturn.E(keyturn.Invalid, "a value is written by a copy or a migration, not by itself", "see 'keyturn put --help'")
	}
	return b.ruled(c)
}

// ruled judges c by what only people may do, and by the rules.
func (b *Broker) ruled(c *call) error {
	c.verdict.Where = "built in"
	if err := people.Only(c.actor, c.op); err != nil {
		return err
	}
	for _, mount := range people.Mounts(c.op) {
		if b.Withheld == nil {
			break
		}
		if err := b.Withheld(mount); err != nil {
			return err
		}
	}
	if err := b.plan(c); err != nil {
		return err
	}
	c.verdict = b.judge(c)
	if c.verdict.Never {
		return c.verdict.Refusal(c.actor, c.op)
	}
	return nil
}

// plan prepares the children of a composite operation. Each is judged by itself,
// with its own verb and references, and recorded with what was said of it; what is
// said of the parent is what is said of all of them.
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
		c.children = append(c.children, child)
	}
	return nil
}

// judge asks the rules about every part of c, which are the children of a
// composite operation and else its references, and takes the strictest answer: a
// never, then a refusal, then approvals; of approvals all that any of the rules
// asks for.
func (b *Broker) judge(c *call) verdict.Verdict {
	action, acting := c.op.(keyturn.PlatformAction)
	_, putting := c.op.(keyturn.PutSecret)
	if len(c.children) > 0 && !acting && !putting { // those do something themselves, too
		all := c.children[0].verdict
		for _, child := range c.children[1:] {
			all = all.And(child.verdict)
		}
		return b.launders(c, all)
	}
	var paths []string
	switch op := c.op.(type) {
	case keyturn.ListMounts, keyturn.ListMigrations, keyturn.ListLeases:
		// Anyone may ask: the answer holds only what they may see.
		return verdict.Verdict{Effect: rules.Allow, Where: "filtered"}
	case keyturn.RenewLease:
		// What was let through once goes on until a rule forbids it; see leases.Door.
		if d := b.Rules.Decide(rules.Request{Actor: c.actor, Verb: op.Verb(), Path: op.Ref.Path(), Remote: b.Remote}); !d.Never {
			return verdict.Verdict{Effect: rules.Allow, Where: "owner"}
		}
	case keyturn.RevokeLease: // by whoever took it; see leases.Door
		return verdict.Verdict{Effect: rules.Allow, Where: "owner"}
	case keyturn.ResumeMigration, keyturn.FinishMigration:
		// What was let through once is ended by whoever began it; see migration.Door.
		return verdict.Verdict{Effect: rules.Allow, Where: "owner"}
	case keyturn.ListSecrets:
		path := strings.TrimSuffix(strings.TrimPrefix(op.Under.String(), keyturn.Scheme), "/")
		if b.Rules.MayAny(c.actor, path, b.Remote) {
			return verdict.Verdict{Effect: rules.Allow, Where: "filtered"}
		}
		paths = append(paths, path)
	case keyturn.PlatformAction:
		paths = append(paths, op.Path())
	case keyturn.Login:
		paths = append(paths, op.On())
	case keyturn.Logout:
		paths = append(paths, op.On())
	}
	for _, r := range c.op.Refs() {
		if acting && r != action.On {
			continue // a child's
		}
		if p := r.Path(); !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	if len(paths) == 0 {
		paths = []string{""}
	}
	verbs := []keyturn.Verb{c.op.Verb()}
	if run, ok := commandOf(c); ok && (run.Plain || len(run.Files) > 0 && c.actor.Kind != keyturn.Person) {
		// What is not redacted is shown, and who asks for a file can read it.
		verbs = append(verbs, keyturn.Reveal)
	}
	if action.Out != "" || action.Wrap > 0 {
		verbs = append(verbs, keyturn.Reveal) // who gets the file or the token can open it
	}
	take, _ := c.op.(keyturn.TakeLease)
	if take.Show {
		verbs = append(verbs, keyturn.Reveal)
	}
	var all verdict.Verdict
	for i, path := range paths {
		for j, verb := range verbs {
			d := b.Rules.Decide(rules.Request{Actor: c.actor, Verb: verb, Path: path, Sink: sinkOf(c), Remote: b.Remote})
			said := c.op.Verb()
			if take.Show || acting {
				said = verb
			}
			v := verdict.Of(d, said, path)
			if i+j == 0 {
				all = v
			} else {
				all = all.And(v)
			}
		}
	}
	for _, child := range c.children {
		all = all.And(child.verdict)
	}
	return b.launders(c, all)
}

// commandOf is the command that c starts, or is a part of starting.
func commandOf(c *call) (keyturn.RunCommand, bool) {
	for p := c; p != nil; p = p.parent {
		if run, ok := p.op.(keyturn.RunCommand); ok {
			return run, true
		}
	}
	return keyturn.RunCommand{}, false
}

// moves is from where to where an operation takes a value, as rules name both: a copy,
// and an action whose secret is stored; ok is false for any other.
func moves(op keyturn.Op) (verb, from, to string, ok bool) {
	switch op := op.(type) {
	case keyturn.CopySecret:
		return "copy", op.From.Path(), op.To.Path(), true
	case keyturn.PlatformAction:
		return "store", op.Path(), op.To.Path(), !op.To.IsZero()
	}
	return "", "", "", false
}

// opens tells who could reveal a value where op takes it, and may not where it comes
// from.
func (b *Broker) opens(actor keyturn.Actor, op keyturn.Op) (rules.Opening, bool) {
	_, from, to, ok := moves(op)
	if !ok {
		return rules.Opening{}, false
	}
	return b.Rules.Launders(actor, from, to, b.Remote)
}

// launders makes of what is said of the parts of c what is said of it: refused where
// it would let somebody reveal a value who may not where it comes from.
func (b *Broker) launders(c *call, v verdict.Verdict) verdict.Verdict {
	verb, from, to, _ := moves(c.op)
	o, yes := b.opens(c.actor, c.op)
	if !yes || v.Effect == rules.Deny {
		return v
	}
	bad := verdict.Verdict{Why: o.Why, Where: "default", No: []verdict.Refused{{Verb: keyturn.Verb(verb), Path: from + " to " + to}}}
	if o.Rule != nil {
		bad.Where = o.Rule.Where.String()
	}
	says := rules.Rule{Who: []string{c.actor.Principal()}, May: []keyturn.Verb{keyturn.Use}, On: []rules.Pattern{rules.Literal(from)},
		Mounts: []string{rules.Literal(to).String()}}
	if line, err := b.RuleLine(says); err == nil {
		bad.Hint = "if that is meant, a rule says so in the operator's configuration: " + line
	}
	return v.And(bad)
}

// sinkOf says where a value would go: rules may tie use to a command, or to the
// mount that it is written to.
func sinkOf(c *call) rules.Sink {
	for p := c; p != nil; p = p.parent {
		switch op := p.op.(type) {
		case keyturn.RunCommand:
			return rules.Sink{Run: op.Command}
		case keyturn.CopySecret:
			return rules.Sink{Mount: op.To.Mount(), To: op.To.Path()}
		case keyturn.PlatformAction:
			return rules.Sink{Mount: op.Mount, To: op.Path()}
		case keyturn.DiffSecrets:
			return rules.Sink{Within: true}
		}
	}
	return rules.Sink{}
}

// approve lets c through where the rules allow it, or where an approval for
// exactly this operation of this caller is there and still fits.
func (b *Broker) approve(ctx context.Context, c *call) error {
	if err := b.displaces(ctx, c); err != nil {
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

// approved finds the approval that c can run under. Where there is none it makes
// a request that a person can answer, and returns e with it.
func (b *Broker) approved(ctx context.Context, c *call, e *keyturn.Error) error {
	needs := c.verdict.Needs
	needs.Approvals = max(1, needs.Approvals)
	req, err := b.book.Ask(ctx, c.actor, c.form, c.hash, answer.Limit(keyturn.Clean(c.from.Reason), 500),
		approval.Needs{Approvals: needs.Approvals, From: needs.From, Proof: needs.Proof}, c.verdict.Ruled)
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
	e.Approval = &keyturn.Approval{ID: req.ID, Fingerprint: c.hash.Fingerprint(), Expires: req.Expires}
	says, once := "a person says yes", "   (once)"
	if c.actor.Kind == keyturn.Person {
		says = "you cannot say yes to it yourself: another person does" // who has an account of their own here
	}
	if seen, _, err := asked.View(req); err == nil {
		if rule, _ := b.offered(req, seen); rule != "" {
			once = "   (once; add --remember for from now on)"
		}
	}
	e.Hint = strings.TrimPrefix(e.Hint+"\n", "\n") + says + " with: keyturn approve " + req.ID + once + "; then repeat the command"
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
// its state where it cannot be read; "" where there is none; and the login that op
// ends. An approval is for these.
func (b *Broker) held(ctx context.Context, op keyturn.Op) (map[string]string, error) {
	held := map[string]string{}
	end, err := entry.Ends(ctx, b.Mounts.Mount, op)
	if err != nil {
		return nil, err
	}
	if end.Words != "" {
		held["login"] = end.Mark
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

// may asks the rules about a by-the-way question, such as whether a name may be
// shown in a hint.
func (b *Broker) may(actor keyturn.Actor, verb keyturn.Verb, ref keyturn.Ref) bool {
	return b.mayPath(actor, verb, ref.Path())
}

func (b *Broker) mayPath(actor keyturn.Actor, verb keyturn.Verb, path string) bool {
	d := b.Rules.Decide(rules.Request{Actor: actor, Verb: verb, Path: path, Remote: b.Remote})
	return d.Effect == rules.Allow
}
