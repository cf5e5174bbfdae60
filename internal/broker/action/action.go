// Package action has a platform carry out one of its actions: it gathers the values
// that the action takes, and delivers the secret that it answers with.
package action

import (
	"context"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// Door is what broker does for one action. All of it is within what was decided.
type Door struct {
	// Mount finds a mount.
	Mount func(name string) (*platform.Mount, error)
	// Receipt is that of an answer of a mount.
	Receipt func(m *platform.Mount) keyturn.Receipt
	// Use reads the secrets whose values the action takes.
	Use func(ctx context.Context) map[keyturn.Ref]platform.Outcome
	// Only is the field that a reference means.
	Only func(ref keyturn.Ref, s keyturn.Secret) (string, error)
	// Ask gets what is typed: a zero Value where there is nobody to ask.
	Ask func(ctx context.Context, question string) (keyturn.Value, error)
	// Expects is the version that must be current where the secret is stored, "" for any.
	Expects func(m *platform.Mount, ref keyturn.Ref) string
	// Wrote records what came of storing it.
	Wrote func(ctx context.Context, version string, err error)
}

// Perform carries out op on its mount.
func Perform(ctx context.Context, d Door, op keyturn.PlatformAction) (*keyturn.Performed, error) {
	m, err := d.Mount(op.Mount)
	if err != nil {
		return nil, err
	}
	if !op.To.IsZero() { // before anything is made that could not be stored
		if _, err := d.Mount(op.To.Mount()); err != nil {
			return nil, err
		}
	}
	act := platform.Act{Action: op.Action, Args: op.Args, On: op.On, Wrap: time.Duration(op.Wrap) * time.Second, Taken: !op.To.IsZero() || op.Out != "",
		Ask: func(ctx context.Context, question string) (keyturn.Value, error) { return typed(ctx, d, question) }}
	if act.Values, err = taken(ctx, d, op); err != nil {
		return nil, err
	}
	did, err := m.Perform(ctx, act)
	if err != nil {
		return nil, err
	}
	out := &keyturn.Performed{Receipt: d.Receipt(m), Told: did.Told, Target: m.Target(), Main: did.Main}
	switch {
	case op.Wrap > 0:
		out.Wrapped = did.Wrapped
	case op.Out != "":
		out.Secret = did.Secret
	case !op.To.IsZero():
		if out.Stored, err = store(ctx, d, op.To, did); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// taken are the values of the references that an action uses, by input.
func taken(ctx context.Context, d Door, op keyturn.PlatformAction) (map[string]keyturn.Value, error) {
	values := map[string]keyturn.Value{}
	if len(op.Uses) == 0 {
		return values, nil
	}
	answers := d.Use(ctx)
	for _, u := range op.Uses {
		a := answers[u.Ref]
		if a.Err != nil {
			return nil, a.Err
		}
		field, err := d.Only(u.Ref, a.Secret)
		if err != nil {
			return nil, err
		}
		values[u.Name] = a.Secret.Values[field]
	}
	return values, nil
}

// typed asks for an input that no operation holds.
func typed(ctx context.Context, d Door, question string) (keyturn.Value, error) {
	v, err := d.Ask(ctx, question)
	if err == nil && v.Len() == 0 {
		return v, keyturn.E(keyturn.Invalid, "there is nobody to ask for it: "+keyturn.Clean(question), "do it at a terminal, name a secret that holds it, or pipe it in and write -")
	}
	return v, err
}

// store stores what an action answered with; where that fails it is taken back, so
// that no credential is left that nobody has.
func store(ctx context.Context, d Door, to keyturn.Ref, did platform.Acted) (keyturn.Info, error) {
	values := did.Secret
	if f := to.Field(); f != "" {
		values = map[string]keyturn.Value{f: did.Secret[did.Main]}
	}
	m, err := d.Mount(to.Mount())
	var ch platform.Change
	if err == nil {
		ch, err = m.Put(ctx, to.Secret(), platform.Put{Values: values, Mode: keyturn.Merge, IfVersion: d.Expects(m, to)})
	}
	d.Wrote(ctx, ch.Info.Version, err)
	if err == nil || did.Undo == nil {
		return ch.Info, err
	}
	e := *keyturn.AsError(err)
	if e.Unknown { // it may be stored, and then it must work
		e.Message = "it was made, and whether it was stored is not known: " + e.Message + left(did)
		return ch.Info, &e
	}
	e.Message = "it was made, but could not be stored, and was taken back: " + e.Message
	if undoErr := did.Undo(context.WithoutCancel(ctx)); undoErr != nil {
		e.Message, e.Unknown, e.Err = "it was made, but could neither be stored nor taken back: "+keyturn.AsError(err).Message+left(did), true, undoErr
	}
	return ch.Info, &e
}

// left tells how to take back what may be left.
func left(did platform.Acted) string {
	if did.TakeBack == nil {
		return ""
	}
	return "; to take it back: " + did.TakeBack.Command
}
