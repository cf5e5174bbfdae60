package platform

import (
	"context"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
)

// Administrator has actions that only this platform has, beside keeping secrets.
type Administrator interface {
	// Administration lists the actions. The list is always the same, and the server
	// is not asked.
	Administration() keyturn.Administration
	// Perform carries out one of the actions, whose inputs Mount has checked against
	// the list. It never prints. Where Perform fails, nothing is half done, or the
	// error says what is.
	Perform(ctx context.Context, a Act) (Acted, error)
}

// Act is a request for one action.
type Act struct {
	Action string
	Args   Args
	On     keyturn.Ref              // of the mount; zero where the action takes none
	Values map[string]keyturn.Value // of secret inputs, those that are known
	// Ask gets a secret input that is not among Values; Denied where there is nobody
	// to ask.
	Ask func(ctx context.Context, question string) (keyturn.Value, error)
	// Wrap is how long the wrapped form of the returned secret lives; 0 for a secret
	// that is not wrapped.
	Wrap time.Duration
	// Taken is set where the caller has a place for the secret that the action returns.
	Taken bool
}

// Secret returns a secret input: the value of a reference, or what a person types.
func (a Act) Secret(ctx context.Context, input, question string) (keyturn.Value, error) {
	if v, ok := a.Values[input]; ok {
		return v, nil
	}
	return a.Ask(ctx, question)
}

// Acted is the result of an action.
type Acted struct {
	keyturn.Told
	Secret  map[string]keyturn.Value // by field
	Main    string                   // the field that is delivered where only one can be
	Wrapped *keyturn.Wrapped
	// Undo revokes the credential in Secret, where it could not be delivered; nil
	// where there is nothing to revoke.
	Undo func(ctx context.Context) error
}

// Perform carries out an action. It returns Unsupported where the platform has no such
// action, and Invalid for an input that the action does not take. An action that only
// reads is retried where the server does not answer.
func (m *Mount) Perform(ctx context.Context, a Act) (Acted, error) {
	if err := m.begin(ctx, keyturn.Ref{}, m.name); err != nil {
		return Acted{}, err
	}
	if m.able.administrator == nil {
		return Acted{}, m.cannot(keyturn.Ref{}, "be administered", "name the mount of another platform: --mount NAME")
	}
	list := m.able.administrator.Administration().Actions
	i := slices.IndexFunc(list, func(x keyturn.Action) bool { return x.Name == a.Action })
	if i < 0 {
		return Acted{}, m.cannot(keyturn.Ref{}, "'"+keyturn.Clean(a.Action)+"'", "see 'keyturn "+m.spec.Platform+" --help'")
	}
	act := list[i]
	if err := a.fits(act, m.spec.Platform, m.name); err != nil {
		return Acted{}, err
	}
	if ask := a.Ask; ask != nil {
		a.Ask = func(ctx context.Context, question string) (keyturn.Value, error) {
			v, err := ask(ctx, question)
			if err != nil {
				err = m.fault(a.On, err, false) // who leaves at a prompt has sent nothing
			}
			return v, err
		}
	}
	do := func() (Acted, error) { return m.able.administrator.Perform(ctx, a) }
	var out Acted
	var err error
	if act.Reads {
		out, err = retried(ctx, m, do)
	} else {
		out, err = do()
	}
	if err != nil {
		unknown := keyturn.AsError(err).Unknown
		e := *keyturn.AsError(m.fault(a.On, err, !act.Reads))
		if unknown || e.Unknown {
			e.Hint = "the change may have happened: look at what is there before you try again"
		}
		return Acted{}, &e
	}
	return out, nil
}
