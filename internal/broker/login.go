package broker

import (
	"context"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker/entry"
	"github.com/keyturn/keyturn/internal/broker/verdict"
	"github.com/keyturn/keyturn/internal/rules"
)

// displaces has a person asked before an agent or a service ends the login of a person,
// whatever the rules let it do: a login is for all who use this store.
func (b *Broker) displaces(ctx context.Context, c *call) error {
	if c.actor.Kind == keyturn.Person || c.verdict.Effect == rules.Deny { // who needs a yes anyway learns nothing
		return nil
	}
	end, err := entry.Ends(ctx, b.Mounts.Mount, c.op)
	if err != nil || end.Words == "" || !end.Person {
		return err
	}
	on := ""
	switch op := c.op.(type) {
	case keyturn.Login:
		on = op.On()
	case keyturn.Logout:
		on = op.On()
	}
	c.verdict = c.verdict.And(verdict.Verdict{Effect: rules.Deny, Where: "built in", Why: "this " + end.Words,
		No: []verdict.Refused{{Verb: c.op.Verb(), Path: on}}})
	return nil
}
