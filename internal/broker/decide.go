package broker

import (
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/rules"
)

// decide judges c with all its parts, and refuses what no approval could allow. It looks
// nothing up.
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

// ruled judges c by what only people may do, by the mounts that are withheld, and by the
// rules.
func (b *Broker) ruled(c *call) error {
	c.verdict.Where = "built in"
	if err := rules.OnlyPeople(c.actor, c.op); err != nil {
		return err
	}
	for _, mount := range mountsOf(c.op) {
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
	if c.verdict.Effect == rules.Allow {
		if v := b.mixedNames(c); v != nil {
			v.Output, c.mixed = c.verdict.Output, true
			c.verdict = *v
		}
	}
	if c.verdict.Never {
		return c.verdict.Refusal(c.actor, c.op)
	}
	return nil
}

// plan prepares the children of a composite operation. Each child is judged by itself,
// with its own verb and references, and recorded with its own verdict; the verdict of
// the parent is that of all children together.
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

// judge asks the rules about every part of c: the children of a composite operation,
// else its references. It returns the strictest verdict, with all approvals that any
// rule asks for.
func (b *Broker) judge(c *call) rules.Verdict {
	action, acting := c.op.(keyturn.PlatformAction)
	_, putting := c.op.(keyturn.PutSecret)
	if len(c.children) > 0 && !acting && !putting { // those do something themselves, too
		all := c.children[0].verdict
		for _, child := range c.children[1:] {
			all = all.And(child.verdict)
		}
		return b.refuseLaundering(c, all)
	}
	var paths []string
	switch op := c.op.(type) {
	case keyturn.ListMounts, keyturn.ListMigrations, keyturn.ListLeases:
		// Anyone may ask: the answer holds only what they may see.
		return rules.Verdict{Effect: rules.Allow, Where: "filtered"}
	case keyturn.RenewLease:
		// What was let through once goes on until a rule forbids it; see findLease.
		if d := b.Rules.Decide(rules.Request{Actor: c.actor, Verb: op.Verb(), Path: op.Ref.Path(), Remote: b.Remote}); !d.Never {
			return rules.Verdict{Effect: rules.Allow, Where: "owner"}
		}
	case keyturn.EndCommand: // of what was let through
		return rules.Verdict{Effect: rules.Allow, Where: "owner"}
	case keyturn.RevokeLease: // by whoever took it; see findLease
		return rules.Verdict{Effect: rules.Allow, Where: "owner"}
	case keyturn.ResumeMigration, keyturn.FinishMigration:
		// What was let through once is ended by whoever began it; see findMigration.
		return rules.Verdict{Effect: rules.Allow, Where: "owner"}
	case keyturn.ListSecrets:
		path := strings.TrimSuffix(strings.TrimPrefix(op.Under.String(), keyturn.Scheme), "/")
		if b.Rules.MayAny(c.actor, path, b.Remote) {
			return rules.Verdict{Effect: rules.Allow, Where: "filtered"}
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
	var all rules.Verdict
	for i, path := range paths {
		for j, verb := range verbs {
			d := b.Rules.Decide(rules.Request{Actor: c.actor, Verb: verb, Path: path, Sink: sinkOf(c), Remote: b.Remote})
			said := c.op.Verb()
			if take.Show || acting {
				said = verb
			}
			v := d.Verdict(said, path)
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
	return b.refuseLaundering(c, all)
}

// commandOf returns the command that c starts, or is a part of.
func commandOf(c *call) (keyturn.RunCommand, bool) {
	for p := c; p != nil; p = p.parent {
		if run, ok := p.op.(keyturn.RunCommand); ok {
			return run, true
		}
	}
	return keyturn.RunCommand{}, false
}

// moves returns from where to where an operation takes a value, as rules name both: a
// copy, and an action whose secret is stored. For any other operation ok is false.
func moves(op keyturn.Op) (verb, from, to string, ok bool) {
	switch op := op.(type) {
	case keyturn.CopySecret:
		return "copy", op.From.Path(), op.To.Path(), true
	case keyturn.PlatformAction:
		return "store", op.Path(), op.To.Path(), !op.To.IsZero()
	}
	return "", "", "", false
}

// opens returns who could reveal a value where op takes it, and could not where it comes
// from.
func (b *Broker) opens(actor keyturn.Actor, op keyturn.Op) (rules.Opening, bool) {
	_, from, to, ok := moves(op)
	if !ok {
		return rules.Opening{}, false
	}
	return b.Rules.Launders(actor, from, to, b.Remote)
}

// refuseLaundering returns v, or a refusal where c would let somebody reveal a value who
// could not where the value comes from.
func (b *Broker) refuseLaundering(c *call, v rules.Verdict) rules.Verdict {
	verb, from, to, _ := moves(c.op)
	o, yes := b.opens(c.actor, c.op)
	if !yes || v.Effect == rules.Deny {
		return v
	}
	bad := rules.Verdict{Why: o.Why, Where: "default", No: []rules.Refused{{Verb: keyturn.Verb(verb), Path: from + " to " + to}}}
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

// sinkOf returns where a value would go: rules may tie use to a command, or to the mount
// that the value is written to.
func sinkOf(c *call) rules.Sink {
	for p := c; p != nil; p = p.parent {
		switch op := p.op.(type) {
		case keyturn.RunCommand:
			return rules.Sink{Run: op.Command, Program: op.Program, Dir: op.Dir}
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

// may reports whether the rules allow actor a verb on ref at once, for questions beside
// the operation, such as whether a hint may show a name.
func (b *Broker) may(actor keyturn.Actor, verb keyturn.Verb, ref keyturn.Ref) bool {
	return b.mayPath(actor, verb, ref.Path())
}

func (b *Broker) mayPath(actor keyturn.Actor, verb keyturn.Verb, path string) bool {
	d := b.Rules.Decide(rules.Request{Actor: actor, Verb: verb, Path: path, Remote: b.Remote})
	return d.Effect == rules.Allow
}

// mountsOf lists the mounts that an operation names, in its order, as often as it does.
func mountsOf(op keyturn.Op) []string {
	var out []string
	switch op := op.(type) {
	case keyturn.PlatformAction:
		out = append(out, op.Mount)
	case keyturn.Login:
		out = append(out, op.Mount)
	case keyturn.Logout:
		out = append(out, op.Mount)
	case keyturn.ListSecrets:
		out = append(out, op.Under.Mount())
	}
	for _, ref := range op.Refs() {
		out = append(out, ref.Mount())
	}
	return out
}
