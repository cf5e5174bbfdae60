package broker

import (
	"context"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// platformAction has a platform carry out one of its actions: it gathers the values that
// the action takes, and delivers the secret that it answers with.
func (b *Broker) platformAction(ctx context.Context, c *call, op keyturn.PlatformAction) (keyturn.Result, error) {
	m, err := b.Mounts.Mount(op.Mount)
	if err != nil {
		return nil, err
	}
	if !op.To.IsZero() { // before anything is made that could not be stored
		if _, err := b.Mounts.Mount(op.To.Mount()); err != nil {
			return nil, err
		}
	}
	act := platform.Act{Action: op.Action, Args: op.Args, On: op.On, Wrap: time.Duration(op.Wrap) * time.Second, Taken: !op.To.IsZero() || op.Out != "",
		Ask: func(ctx context.Context, question string) (keyturn.Value, error) {
			return b.askTyped(ctx, op.Mount, question)
		}}
	if act.Values, err = b.actionValues(ctx, c, op); err != nil {
		return nil, err
	}
	did, err := m.Perform(ctx, act)
	if err != nil {
		return nil, err
	}
	out := &keyturn.Performed{Receipt: c.receipt(m), Told: did.Told, Target: m.Target(), Main: did.Main}
	switch {
	case op.Wrap > 0:
		out.Wrapped = did.Wrapped
	case op.Out != "":
		out.Secret = did.Secret
	case !op.To.IsZero():
		if out.Stored, err = b.storeMade(ctx, c, op.To, did); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// actionValues reads the secrets that an action uses, and returns their values by the
// name of the input. The children of c are these secrets and, where the action stores
// one, behind them the secret that it writes.
func (b *Broker) actionValues(ctx context.Context, c *call, op keyturn.PlatformAction) (map[string]keyturn.Value, error) {
	values := map[string]keyturn.Value{}
	if len(op.Uses) == 0 {
		return values, nil
	}
	use := c.children
	if !op.To.IsZero() {
		use = use[:len(use)-1]
	}
	answers := b.use(ctx, use, nil)
	for _, u := range op.Uses {
		a := answers[u.Ref]
		if a.Err != nil {
			return nil, a.Err
		}
		field, err := fieldOf(u.Ref, a.Secret)
		if err != nil {
			return nil, err
		}
		values[u.Name] = a.Secret.Values[field]
	}
	return values, nil
}

// askTyped asks beside the caller for an input that no operation may hold.
func (b *Broker) askTyped(ctx context.Context, mount, question string) (v keyturn.Value, err error) {
	if b.Entrance != nil {
		v, err = b.Entrance.Ask(ctx, mount, platform.Input{Name: "typed", Help: question, Secret: true})
	}
	if err == nil && v.Len() == 0 {
		return v, keyturn.E(keyturn.Invalid, "there is nobody to ask for it: "+keyturn.Clean(question), "do it at a terminal, name a secret that holds it, or pipe it in and write -")
	}
	return v, err
}

// storeMade stores the secret that an action made. Where that fails it has the platform
// take the secret back, so that no credential is left that nobody has.
func (b *Broker) storeMade(ctx context.Context, c *call, to keyturn.Ref, did platform.Acted) (keyturn.Info, error) {
	values := did.Secret
	if f := to.Field(); f != "" {
		values = map[string]keyturn.Value{f: did.Secret[did.Main]}
	}
	given := map[string]bool{}
	for f := range values {
		given[f] = false // the platform made it
	}
	m, err := b.Mounts.Mount(to.Mount())
	var ch platform.Change
	if err == nil {
		ch, err = m.Put(ctx, to.Secret(), platform.Put{Values: values, Given: given, Mode: keyturn.Merge, IfVersion: c.expects(m, to, "")})
	}
	b.recordWrite(ctx, c.children[len(c.children)-1], ch.Info.Version, err)
	if err == nil || did.Undo == nil {
		return ch.Info, err
	}
	e := *keyturn.AsError(err)
	if e.Unknown { // it may be stored, and then it must work
		e.Message = "it was made, and whether it was stored is not known: " + e.Message + toTakeBack(did)
		return ch.Info, &e
	}
	e.Message = "it was made, but could not be stored, and was taken back: " + e.Message
	if undoErr := did.Undo(context.WithoutCancel(ctx)); undoErr != nil {
		e.Message, e.Unknown, e.Err = "it was made, but could neither be stored nor taken back: "+keyturn.AsError(err).Message+toTakeBack(did), true, undoErr
	}
	return ch.Info, &e
}

// toTakeBack says how to take back a secret that may be left.
func toTakeBack(did platform.Acted) string {
	if did.TakeBack == nil {
		return ""
	}
	return "; to take it back: " + did.TakeBack.Command
}
