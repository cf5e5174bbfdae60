package platform

import (
	"context"
	"errors"

	"github.com/keyturn/keyturn"
)

// A caller may be allowed to write a secret and not to read it. A put then uses what
// little the caller may read, and drops no field without being told to.

// Hidden is the cause of the NotFound of a Get whose version is there, and cannot be
// read: deleted, or destroyed.
type Hidden struct {
	Version string
	State   keyturn.State
}

// Error implements error.
func (h Hidden) Error() string { return "version " + h.Version + " is " + string(h.State) }

// seen is the base of a put whose caller may not describe the secret: what reading it
// tells. Where that is denied too, unseen says so.
func (m *Mount) seen(ctx context.Context, ref keyturn.Ref) (base, error) {
	s, err := m.get(ctx, ref)
	var hidden Hidden
	switch {
	case err == nil:
		return m.baseOf(ref, s)
	case errors.Is(err, keyturn.NotFound) && errors.As(err, &hidden):
		return base{secret: keyturn.Secret{Info: keyturn.Info{Ref: ref.Secret(), Version: hidden.Version, State: hidden.State}}}, nil
	case errors.Is(err, keyturn.NotFound):
		return base{}, nil
	case errors.Is(err, keyturn.Denied):
		return base{unseen: keyturn.AsError(m.fault(ref, err, false))}, nil
	}
	return base{}, m.fault(ref, err, false)
}

// putUnseen puts where nothing is known of what is there: as a new secret, if the
// platform can be told to; over another one only to replace it.
func (m *Mount) putUnseen(ctx context.Context, ref keyturn.Ref, put Put, b base) (Change, error) {
	if put.Mode == keyturn.Merge {
		return Change{}, b.unseen
	}
	if put.Mode == "" && (put.IfVersion != "" && put.IfVersion != keyturn.None || !m.spec.CompareAndSet) {
		return Change{}, m.covered(ref, b)
	}
	named := put.IfVersion
	put.IfVersion = ""
	next, err := m.next(ref, put, base{})
	if err != nil {
		return Change{}, err
	}
	write := func() (keyturn.Info, error) {
		return retried(ctx, m, func() (keyturn.Info, error) { return m.able.putter.Put(ctx, ref, next) })
	}
	out := Change{Created: named == "" || named == keyturn.None}
	if m.spec.CompareAndSet {
		if next.IfVersion, next.Demanded = keyturn.None, true; named != "" {
			next.IfVersion = named
		}
		out.Info, err = write()
	}
	there := errors.Is(err, keyturn.Conflict) || errors.Is(err, keyturn.Unsupported)
	switch {
	case there && named == "" && put.Mode == "":
		return Change{}, m.covered(ref, b)
	case there && named == "" || !m.spec.CompareAndSet:
		next.IfVersion, next.Demanded = "", false
		out.Created, out.Unseen = false, true
		out.Info, err = write()
	case errors.Is(err, keyturn.Conflict):
		return Change{}, keyturn.E(keyturn.Conflict, shown(ref)+" is not as --if-version says, and you may not see which version it is at", b.unseen.Hint).About(ref).Because(err)
	}
	if err != nil {
		return Change{}, m.fault(ref, err, true)
	}
	out.Info.Fields = sorted(next.Values)
	out.Info, err = m.made(ref, out.Info)
	return out, err
}

// covered is the Conflict of a put over what the caller may not see.
func (m *Mount) covered(ref keyturn.Ref, b base) error {
	return keyturn.E(keyturn.Conflict, "there is a version of "+shown(ref)+" whose fields you may not see: they would vanish",
		"say --replace to let them go; --merge keeps them, for who may read them\n"+b.unseen.Hint).About(ref).With(keyturn.WouldVanish)
}
