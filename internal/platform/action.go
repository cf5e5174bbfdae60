package platform

import (
	"context"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/input"
)

// Administrator does what only this platform can do beside keeping secrets.
type Administrator interface {
	// Administration lists what it can do. It is always the same, and nothing is
	// asked of the server.
	Administration() keyturn.Administration
	// Perform carries out one of its actions, whose inputs Mount has checked
	// against the list. It never prints. Whatever fails, nothing is half done, or
	// the error says what is.
	Perform(ctx context.Context, a Act) (Acted, error)
}

// Args are inputs by name.
type Args = input.Args

// Act is one action as it is asked for.
type Act struct {
	Action string
	Args   Args
	On     keyturn.Ref              // of the mount; zero where the action takes none
	Values map[string]keyturn.Value // of inputs that are secret, those that are known
	// Ask gets an input that is secret and not among Values; Denied where there is
	// nobody to ask.
	Ask func(ctx context.Context, question string) (keyturn.Value, error)
	// Wrap is for how long the secret that it answers with is to be wrapped; 0:
	// it is to be answered.
	Wrap time.Duration
	// Taken tells that the secret it answers with has somewhere to go.
	Taken bool
}

// Secret is an input that is secret: the value of a reference, or what is typed.
func (a Act) Secret(ctx context.Context, input, question string) (keyturn.Value, error) {
	if v, ok := a.Values[input]; ok {
		return v, nil
	}
	return a.Ask(ctx, question)
}

// Acted is what an action did.
type Acted struct {
	keyturn.Told
	Secret  map[string]keyturn.Value // by field
	Main    string                   // the field that is meant where one is
	Wrapped *keyturn.Wrapped
	// Undo takes back what Secret lets in, where it could not be delivered; nil
	// where there is nothing to take back.
	Undo func(ctx context.Context) error
}

// Perform carries out an action: Unsupported where the platform has no such one,
// Invalid where an input is not what the action takes. One that reads is tried
// again where the server does not answer.
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
	given := input.Given{Args: a.Args, Values: a.Values, On: a.On, Goes: a.Taken || a.Wrap > 0}
	if err := given.Fits(act, m.spec.Platform, m.name); err != nil {
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
