package platform

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
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

// Args are inputs by name.
type Args map[string][]string

// Text is a text; "" where it is left out.
func (a Args) Text(name string) string {
	if len(a[name]) == 0 {
		return ""
	}
	return a[name][0]
}

// Has reports whether an input was given.
func (a Args) Has(name string) bool { return len(a[name]) > 0 }

// Number is a number; 0 where it is left out.
func (a Args) Number(name string) int {
	n, _ := strconv.Atoi(a.Text(name)) // checked by Mount
	return n
}

// Seconds is a duration in whole seconds, "" where it is left out.
func (a Args) Seconds(name string) string {
	if !a.Has(name) {
		return ""
	}
	d, _ := Duration(a.Text(name)) // checked by Mount
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}

// Duration reads a duration of whole seconds: "90m", "30d".
func Duration(s string) (time.Duration, error) {
	bad := keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(s)+"' is not a duration", "write 90s, 30m, 12h or 30d, in whole seconds")
	if n, ok := strings.CutSuffix(s, "d"); ok {
		days, err := strconv.Atoi(n)
		if err != nil || days < 0 || days > 36500 {
			return 0, bad
		}
		return time.Duration(days) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d != d.Truncate(time.Second) {
		return 0, bad
	}
	return d, nil
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
	if err := m.fits(act, a); err != nil {
		return Acted{}, err
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

// fits checks inputs against what an action takes.
func (m *Mount) fits(act keyturn.Action, a Act) error {
	wrong := func(why, hint string) error {
		return keyturn.E(keyturn.Invalid, "'"+act.Name+"' "+why, hint)
	}
	switch {
	case act.Secret == "" && (a.Taken || a.Wrap > 0):
		return wrong("answers with no secret", "leave out where it is to go")
	case act.Secret != "" && !a.Taken && a.Wrap == 0:
		return wrong("does not show "+act.Secret, "say where it is to go: --to REF, --to-file FILE or --wrap 60s")
	}
	for _, name := range sorted(a.Args) {
		i := slices.IndexFunc(act.Inputs, func(in keyturn.Input) bool { return in.Name == name })
		if i < 0 || act.Inputs[i].Kind == keyturn.InputOn || act.Inputs[i].Kind == keyturn.InputSecret {
			return wrong("takes no "+keyturn.Clean(name), "see 'keyturn "+m.spec.Platform+" "+act.Name+" --help'")
		}
		if err := fit(act.Inputs[i], a.Args[name]); err != nil {
			return wrong(err.Error(), keyturn.AsError(err).Hint)
		}
	}
	for name := range a.Values {
		if !slices.ContainsFunc(act.Inputs, func(in keyturn.Input) bool { return in.Name == name && in.Kind == keyturn.InputSecret }) {
			return wrong("takes no secret "+keyturn.Clean(name), "")
		}
	}
	for _, in := range act.Inputs {
		missing := in.Required && len(a.Args[in.Name]) == 0
		switch in.Kind {
		case keyturn.InputOn:
			missing = in.Required && a.On.IsZero()
			if !a.On.IsZero() && a.On.Mount() != m.name {
				return wrong("is about "+m.name+", not about "+keyturn.Clean(a.On.Mount()), "")
			}
		case keyturn.InputSecret:
			missing = false // it is asked for
		}
		if missing {
			return wrong("needs "+in.Name, "see 'keyturn "+m.spec.Platform+" "+act.Name+" --help'")
		}
	}
	if !a.On.IsZero() && !slices.ContainsFunc(act.Inputs, func(in keyturn.Input) bool { return in.Kind == keyturn.InputOn }) {
		return wrong("is about no secret", "")
	}
	return nil
}

func fit(in keyturn.Input, list []string) error {
	if len(list) != 1 && in.Kind != keyturn.InputList || len(list) == 0 {
		return keyturn.E(keyturn.Invalid, "takes one "+in.Name, "give it once")
	}
	for _, s := range list {
		if s == "" && in.Kind != keyturn.InputFile || strings.ContainsRune(s, 0) {
			return keyturn.E(keyturn.Invalid, "takes no empty "+in.Name, "leave it out")
		}
		if in.Choices != nil && !slices.Contains(in.Choices, s) {
			return keyturn.E(keyturn.Invalid, "does not take "+in.Name+" '"+keyturn.Clean(s)+"'", "there are "+strings.Join(in.Choices, ", "))
		}
		switch in.Kind {
		case keyturn.InputNumber:
			if n, err := strconv.Atoi(s); err != nil || n < 0 {
				return keyturn.E(keyturn.Invalid, "takes a number for "+in.Name, "write it in digits")
			}
		case keyturn.InputDuration:
			if _, err := Duration(s); err != nil {
				return err
			}
		case keyturn.InputAddress:
			if !keyturn.PlainAddress(s) {
				return keyturn.E(keyturn.Invalid, "takes no password in --"+in.Name, "write {{username}}:{{password}} in its place")
			}
		case keyturn.InputYes:
			if s != "true" {
				return keyturn.E(keyturn.Invalid, "takes no text for "+in.Name, "")
			}
		}
	}
	return nil
}
