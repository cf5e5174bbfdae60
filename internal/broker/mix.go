package broker

import (
	"context"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/rules"
)

// A value that an agent or a service chose can make a command do anything with another
// value that it may not see, by the variable it stands in: TAR_OPTIONS names programs to
// run. No list knows all such variables. So the rules of the other value have to name the
// variable under env, or a person says yes to that very operation.

// mixed returns the refusal of the first of list that the caller may have chosen and that
// would stand beside one it may not see, whose rules do not name its variable; nil where
// there is none. Those without a name are not known by it yet.
func (b *Broker) mixed(c *call, list []keyturn.Delivered) *rules.Verdict {
	if c.actor.Kind == keyturn.Person {
		return nil
	}
	writes := make([]bool, len(list))
	for i, d := range list {
		writes[i] = b.may(c.actor, keyturn.Write, d.Ref)
	}
	passing := make([]rules.Environment, len(list))
	for i, d := range list {
		for j, f := range list {
			if d.Name == "" || d.Ref == f.Ref || f.Public || f.Open || !(d.Chosen && !f.Chosen || writes[i] && !writes[j]) {
				continue
			}
			q := rules.Request{Actor: c.actor, Verb: keyturn.Use, Path: f.Ref.Path(), Sink: sinkOf(c), Remote: b.Remote}
			if passing[j] == nil {
				passing[j] = b.Rules.Environment([]rules.Request{q})
			}
			if !passing[j].Pass(d.Name) {
				return b.refuseMixed(c, d, f, b.Rules.Decide(q))
			}
		}
	}
	return nil
}

func (b *Broker) refuseMixed(c *call, d, f keyturn.Delivered, by rules.Decision) *rules.Verdict {
	name, entry := "the variable "+keyturn.Clean(d.Name), keyturn.Clean(d.Name)
	if !c.names(d) && !b.may(c.actor, keyturn.Describe, d.Ref) {
		name, entry = "the variable of one of its fields", "NAME"
	}
	v := &rules.Verdict{Where: by.Where(), No: []rules.Refused{{Verb: keyturn.Use, Path: d.Ref.Path()}},
		Why: "it may have chosen that value, and by " + name + " it could decide what the command does with " + keyturn.Clean(f.Ref.Path()) + ", which it may not see"}
	if by.Rule != nil {
		v.Hint = "who keeps the rule at " + v.Where + " can name the variable there: env: [" + entry + "]; or run it without one of the two, or ask for an approval"
	}
	return v
}

// names reports whether the caller itself named the variable of d.
func (c *call) names(d keyturn.Delivered) bool {
	run, _ := commandOf(c)
	for _, list := range [][]keyturn.Binding{run.Env, run.Files} {
		for _, bd := range list {
			if bd.Name == d.Name {
				return true
			}
		}
	}
	return false
}

// mixedNames is mixed by what is known before anything is read: which references the
// caller may write, since it could have written them, and which it may not see.
func (b *Broker) mixedNames(c *call) *rules.Verdict {
	run, ok := c.op.(keyturn.RunCommand)
	if !ok || c.actor.Kind == keyturn.Person {
		return nil
	}
	var list []keyturn.Delivered
	add := func(name string, ref keyturn.Ref) {
		list = append(list, keyturn.Delivered{Name: name, Ref: ref, Open: b.may(c.actor, keyturn.Reveal, ref)})
	}
	for _, bd := range run.Env {
		add(bd.Name, bd.Ref)
	}
	for _, bd := range run.Files {
		add(bd.Name, bd.Ref)
	}
	for _, src := range run.From {
		add("", src.Ref) // its fields give the names
	}
	return b.mixed(c, list)
}

// approveMixed is mixed by who gave the values that were read. It passes under an approval
// of the operation, which is asked for where there is none.
func (b *Broker) approveMixed(ctx context.Context, c *call, list []keyturn.Delivered) error {
	if c.approval != "" {
		return nil
	}
	v := b.mixed(c, list)
	if v == nil {
		return nil
	}
	e := v.Refusal(c.actor, c.op)
	err := b.approved(ctx, c, e)
	if err == nil {
		c.lateApproval = c.approval
		return b.spend(ctx, c)
	}
	if e.Approval != nil {
		c.lateApproval = e.Approval.ID
	}
	return err
}
