package parse

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
)

// Filter says which secrets of a listing are meant. All that it says must hold, and ""
// says nothing.
type Filter struct {
	Match     string   // a pattern, as Glob reads; it takes the whole name below the mount
	Labels    []string // each KEY=VALUE
	OlderThan string   // an age: the newest version is older
	Expiring  string   // an age: it has expired, or expires or is deleted by its platform within it
}

// OnlyNames reports whether the filter needs nothing of a secret but its name.
func (f Filter) OnlyNames() bool { return len(f.Labels) == 0 && f.OlderThan == "" && f.Expiring == "" }

// Test returns the test of one secret as of now; nil where every secret passes.
func (f Filter) Test(now time.Time) (func(keyturn.Info) bool, error) {
	var tests []func(keyturn.Info) bool
	if f.Match != "" {
		g, err := Glob(f.Match)
		if err != nil {
			return nil, err
		}
		tests = append(tests, func(i keyturn.Info) bool { return g.Match(i.Ref.Name()) })
	}
	for _, l := range f.Labels {
		k, v, ok := strings.Cut(l, "=")
		if !ok || k == "" {
			return nil, keyturn.E(keyturn.Invalid, "a label is KEY=VALUE", "for instance --label team=web")
		}
		tests = append(tests, func(i keyturn.Info) bool {
			have, ok := i.Labels[k]
			return ok && have == v
		})
	}
	if f.OlderThan != "" {
		age, err := Age(f.OlderThan)
		if err != nil {
			return nil, err
		}
		tests = append(tests, func(i keyturn.Info) bool { return i.Created.Before(now.Add(-age)) })
	}
	if f.Expiring != "" {
		age, err := Age(f.Expiring)
		if err != nil {
			return nil, err
		}
		tests = append(tests, func(i keyturn.Info) bool {
			soon := func(t time.Time) bool { return !t.IsZero() && t.Before(now.Add(age)) }
			return i.State == keyturn.Live && (soon(i.Expires) || soon(i.Ends))
		})
	}
	if tests == nil {
		return nil, nil
	}
	return func(i keyturn.Info) bool {
		for _, ok := range tests {
			if i.Ref.IsZero() || !ok(i) {
				return false
			}
		}
		return true
	}, nil
}

// Labels reads the labels of a new version: KEY=VALUE for one that is set and, with merge,
// KEY- for one that is taken away. The keys that are taken away are sorted.
func Labels(words []string, merge bool) (set map[string]string, gone []string, err error) {
	for _, l := range words {
		k, v, given := strings.Cut(l, "=")
		away := !given && strings.HasSuffix(k, "-")
		if away {
			k = strings.TrimSuffix(k, "-")
		}
		switch _, dup := set[k]; {
		case !given && !away || k == "":
			return nil, nil, keyturn.E(keyturn.Invalid, "a label is KEY=VALUE", "for instance --label team=web; --merge --label team- takes one away")
		case away && !merge:
			return nil, nil, keyturn.E(keyturn.Invalid, "a label is taken away from those that are there", "say --merge; without it --label names all of them")
		case dup || slices.Contains(gone, k):
			return nil, nil, keyturn.E(keyturn.Invalid, "the label '"+keyturn.Clean(k)+"' is given twice", "give it once")
		case away:
			gone = append(gone, k)
		case set == nil:
			set = map[string]string{k: v}
		default:
			set[k] = v
		}
	}
	slices.Sort(gone)
	return set, gone, nil
}

// Generate reads what is to be generated: FIELD[:LENGTH[:CHARSET]] or FIELD:uuid. A field
// whose name has a colon cannot be written so. n is the place of the text among several:
// the error names the place and not the text, which may be a value by mistake.
func Generate(s string, n int) (keyturn.Generate, error) {
	bad := keyturn.E(keyturn.Invalid, "--generate number "+strconv.Itoa(n)+" does not say what to generate",
		"write FIELD[:LENGTH[:CHARSET]] or FIELD:uuid, for instance --generate password:40:alnum")
	parts := strings.Split(s, ":")
	g := keyturn.Generate{Field: parts[0]}
	switch len(parts) {
	case 1:
	case 2, 3:
		if len(parts) == 2 && parts[1] == "uuid" {
			g.Charset = "uuid"
			break
		}
		n, err := strconv.Atoi(parts[1])
		if err != nil || n <= 0 {
			return g, bad
		}
		g.Length = n
		if len(parts) == 3 {
			g.Charset = parts[2]
			if g.Charset == "" || g.Charset == "uuid" {
				return g, bad
			}
		}
	default:
		return g, bad
	}
	if g.Field == "" {
		return g, bad
	}
	return g, nil
}
