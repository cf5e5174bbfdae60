package platform

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
)

// Args are the inputs of an action, by name.
type Args map[string][]string

// Text returns the input as text; "" where it was not given.
func (a Args) Text(name string) string {
	if len(a[name]) == 0 {
		return ""
	}
	return a[name][0]
}

// Has reports whether an input was given.
func (a Args) Has(name string) bool { return len(a[name]) > 0 }

// Number returns the input as a number; 0 where it was not given.
func (a Args) Number(name string) int {
	n, _ := strconv.Atoi(a.Text(name)) // checked by fits
	return n
}

// Seconds returns a duration in whole seconds, as "90s"; "" where it was not given.
func (a Args) Seconds(name string) string {
	if !a.Has(name) {
		return ""
	}
	d, _ := parseDuration(a.Text(name)) // checked by fits
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}

// parseDuration reads a duration of whole seconds: "90m", "30d".
func parseDuration(s string) (time.Duration, error) {
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

// fits checks the inputs in a against those that act takes. It returns Invalid for an
// input that is missing, malformed or unknown, and where act returns a secret and a
// names no place for it.
func (a Act) fits(act keyturn.Action, platform, mount string) error {
	delivered := a.Taken || a.Wrap > 0
	wrong := func(why, hint string) error {
		return keyturn.E(keyturn.Invalid, "'"+act.Name+"' "+why, hint)
	}
	switch {
	case act.Secret == "" && delivered:
		return wrong("answers with no secret", "leave out where it is to go")
	case act.Secret != "" && !delivered:
		return wrong("does not show "+act.Secret, "say where it is to go: --to REF, --to-file FILE or --wrap 60s")
	}
	for _, name := range slices.Sorted(maps.Keys(a.Args)) {
		i := slices.IndexFunc(act.Inputs, func(in keyturn.Input) bool { return in.Name == name })
		if i < 0 || act.Inputs[i].Kind == keyturn.InputOn || act.Inputs[i].Kind == keyturn.InputSecret {
			return wrong("takes no "+keyturn.Clean(name), "see 'keyturn "+platform+" "+act.Name+" --help'")
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
			if !a.On.IsZero() && a.On.Mount() != mount {
				return wrong("is about "+mount+", not about "+keyturn.Clean(a.On.Mount()), "")
			}
		case keyturn.InputSecret:
			missing = false // it is asked for
		}
		if missing {
			return wrong("needs "+named(in), "see 'keyturn "+platform+" "+act.Name+" --help'")
		}
	}
	if !a.On.IsZero() && !slices.ContainsFunc(act.Inputs, func(in keyturn.Input) bool { return in.Kind == keyturn.InputOn }) {
		return wrong("is about no secret", "")
	}
	return nil
}

func fit(in keyturn.Input, list []string) error {
	if len(list) != 1 && in.Kind != keyturn.InputList || len(list) == 0 {
		return keyturn.E(keyturn.Invalid, "takes one "+named(in), "give it once")
	}
	for _, s := range list {
		if s == "" && in.Kind != keyturn.InputFile || strings.ContainsRune(s, 0) {
			return keyturn.E(keyturn.Invalid, "takes no empty "+named(in), "leave it out")
		}
		if in.Choices != nil && !slices.Contains(in.Choices, s) {
			return keyturn.E(keyturn.Invalid, "does not take "+named(in)+" '"+keyturn.Clean(s)+"'", "there are "+strings.Join(in.Choices, ", "))
		}
		switch in.Kind {
		case keyturn.InputNumber:
			if n, err := strconv.Atoi(s); err != nil || n < 0 {
				return keyturn.E(keyturn.Invalid, "takes a number for "+named(in), "write it in digits")
			}
		case keyturn.InputDuration:
			if _, err := parseDuration(s); err != nil {
				return keyturn.E(keyturn.Invalid, "takes a duration for "+named(in)+", and '"+keyturn.Clean(s)+"' is none", keyturn.AsError(err).Hint)
			}
		case keyturn.InputAddress:
			if !keyturn.PlainAddress(s) {
				return keyturn.E(keyturn.Invalid, "takes no password in "+named(in), "write {{username}}:{{password}} in its place")
			}
		case keyturn.InputStatements:
			if !keyturn.PlainStatements(s) {
				return keyturn.E(keyturn.Invalid, "takes no password in "+named(in), "write '{{password}}' in its place: each user gets one of its own")
			}
		case keyturn.InputYes:
			if s != "true" {
				return keyturn.E(keyturn.Invalid, "takes no text for "+named(in), "")
			}
		}
	}
	return nil
}

// named returns the input as the command line spells it.
func named(in keyturn.Input) string {
	if in.Place {
		return strings.ToUpper(in.Name)
	}
	return "--" + in.Name
}
