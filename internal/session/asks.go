package session

import (
	"cmp"
	"maps"
	"slices"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/document"
	"github.com/keyturn/keyturn/internal/variable"
)

// TrustOfFile returns a file of variables, or a template, as it would be trusted. name is for
// messages, and path absolute; lookup is the caller's environment. Where text of places for
// secrets is in it, it is a template.
func TrustOfFile(name, path string, data []byte, lookup func(name string) (string, bool)) (Trust, error) {
	if text, err := document.ParseTemplate(name, data); err == nil && len(text.Refs()) > 0 {
		f := keyturn.RenderTemplate{Found: Found(path), Secrets: text.Refs()}.Asks()
		return Trust{TrustProject: keyturn.TrustProject{Path: f.Path, Pinned: f.Asks}}, nil
	}
	t, _, _, err := AsksOf(name, data, lookup)
	t.Path = Found(path)
	return t, err
}

// AsksOf reads a file of variables: what it asks for, with its plain variables, as what is
// trusted; and its variables, with what to know about them. lookup is the caller's
// environment, which the file may use, but for the file of the store's passphrase. name is
// for messages.
func AsksOf(name string, data []byte, lookup func(name string) (string, bool)) (asks Trust, vars []document.Variable, notices []string, err error) {
	file, err := document.ParseEnv(name, data)
	if err != nil {
		return asks, nil, nil, err
	}
	vars, expanded, err := file.Expand(func(n string) (keyturn.Value, bool) {
		if variable.Key(n) == variable.PassphraseFile {
			return keyturn.Value{}, false
		}
		v, ok := lookup(n)
		return keyturn.NewValue([]byte(v)), ok
	})
	if err != nil {
		return asks, nil, nil, err
	}
	for _, n := range slices.Concat(file.Notices, expanded) {
		notices = append(notices, keyturn.Clean(n.String()))
	}
	asks.Lines = map[string]keyturn.Value{}
	for _, v := range vars {
		switch {
		case v.Ref != nil:
			asks.Pinned = append(asks.Pinned, keyturn.Binding{Name: v.Name, Ref: *v.Ref})
		case variable.Key(v.Name) == variable.PassphraseFile:
		default:
			if variable.Steers(v.Name) || !variable.Leads(v.Name) { // where a command of an agent leads is for a rule
				asks.Lines[v.Name] = v.Value
			}
			if variable.Redirects(v.Name) {
				asks.Steers = append(asks.Steers, keyturn.Setting{Name: v.Name, Text: string(v.Value.Reveal())})
			}
		}
	}
	asks.Kept = slices.Sorted(maps.Keys(asks.Lines))
	slices.SortFunc(asks.Pinned, func(a, b keyturn.Binding) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(asks.Steers, func(a, b keyturn.Setting) int { return cmp.Compare(a.Name, b.Name) })
	return asks, vars, notices, nil
}
