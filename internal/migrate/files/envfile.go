package files

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/document"
	"github.com/keyturn/keyturn/internal/migrate/places"
)

func itoa(n int) string { return strconv.Itoa(n) }

// envBody is a .env file. Its entries are the file's items, one for one.
type envBody struct {
	parsed document.EnvFile
	times  map[string]int // how often the file gives a name
	own    []keyturn.Value
}

func readEnv(f *File, o Options) error {
	parsed, err := document.ParseEnv(f.name, f.data)
	if err != nil {
		return err
	}
	b := &envBody{parsed: parsed, times: map[string]int{}}
	f.kind, f.body, f.notices = Env, b, parsed.Notices
	for _, e := range parsed.Entries {
		b.times[e.Name]++
	}
	vars, errs := parsed.Each(nil)
	outside := map[string][]string{} // by name: the variables it needs that the file does not give, so far
	for i, e := range parsed.Entries {
		it := item{Entry: Entry{Name: e.Name, Field: e.Name, Where: e.Name, Line: e.Line, Value: e.Value},
			span: span{e.Start, e.End}}
		var from []string
		for _, name := range e.Uses() {
			if more, ok := outside[name]; !ok {
				from = append(from, name)
			} else {
				from = append(from, more...)
			}
		}
		outside[e.Name] = from
		target, alias := e.Alias()
		switch {
		case len(from) > 0:
			slices.Sort(from)
			it.stuck = "made of " + list(slices.Compact(from)) + ", which the file does not give"
		case errs[i] != nil:
			it.stuck = "it cannot be filled in"
		case alias && b.times[target] == 1:
			it.stuck = "another name of " + keyturn.Clean(target)
			it.Value = vars[i].Value
		default:
			it.Value = vars[i].Value
		}
		b.own = append(b.own, it.Value)
		it.appraise(true, o)
		if what := dialect(e.Quote, f.data[e.Start:e.End]); what != "" && it.Secret {
			f.notice(e.Line, e.Name, "has "+what+", which programs that read .env files take in different ways: the value that moves is as 'keyturn run --env-file' reads it")
		}
		f.items = append(f.items, it)
	}
	return nil
}

// dialect names the part of a value that programs read differently; "" for none. Single
// quotes are literal for all of them.
func dialect(q document.Quote, written []byte) string {
	switch {
	case q == document.Backtick:
		return "backticks around it"
	case q == document.Single:
		return ""
	case bytes.Contains(written, []byte("$$")):
		return "$$"
	case q == document.Bare && bytes.IndexByte(written, '\\') >= 0, q == document.Double && oddEscape().Match(written):
		return "a backslash"
	}
	return ""
}

// oddEscape matches an escape that not every reader undoes; all of them know \n.
var oddEscape = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\\[^n]`) })

// list joins the first few names, for people.
func list(names []string) string {
	const few = 4
	if len(names) > few {
		names = append(slices.Clone(names[:few]), "…")
	}
	return keyturn.Clean(strings.Join(names, ", "))
}

// choose also moves entries that are made of entries that move, and gives a name that
// moves more than once the value that wins.
func (b *envBody) choose(f *File) error {
	now := map[string]*item{} // by name: the entry that gives it so far
	last := map[string]int{}
	for i, e := range b.parsed.Entries {
		it := &f.items[i]
		it.Value = b.own[i]
		if target, ok := e.Alias(); ok && b.times[target] == 1 && now[target] != nil {
			now[e.Name] = now[target] // it takes over the reference
			continue
		}
		for _, name := range e.Uses() {
			used := now[name]
			if used == nil || !used.Secret && !used.Foreign || it.Secret {
				continue
			}
			part := keyturn.Clean(name)
			switch {
			case it.stuck != "":
				return places.Bad(f.name, it.Line, keyturn.Clean(it.Name)+" uses "+part+", which moves, and cannot move itself: "+it.stuck,
					"give those variables in the file above it, or keep "+part+" with --keep")
			case it.kept:
				return places.Bad(f.name, it.Line, keyturn.Clean(it.Name)+" cannot be kept: it is made of "+part+", which moves",
					"keep "+part+" too, or let both move")
			}
			it.Secret, it.Why = true, "made of "+part+", which moves"
		}
		now[e.Name] = it
		if it.Secret {
			last[e.Name] = i
		}
	}
	for i, e := range b.parsed.Entries {
		if f.items[i].Secret {
			f.items[i].Value = b.own[last[e.Name]]
		}
	}
	return nil
}

func (b *envBody) rewrite(f *File, secret keyturn.Ref) (Rewritten, error) {
	var edits []edit
	refs := make([]*keyturn.Ref, len(f.items))
	for i := range f.items {
		it := &f.items[i]
		ref, err := f.reference(it, secret)
		if err != nil {
			return Rewritten{}, err
		}
		if refs[i] = ref; ref == nil {
			continue
		}
		text, ok := envQuoted(ref.String(), b.parsed.Entries[i].Quote)
		if !ok {
			return Rewritten{}, places.Bad(f.name, it.Line, "the reference for "+keyturn.Clean(it.Name)+" cannot stand in a .env file", "give the secret a name without quotes")
		}
		edits = append(edits, edit{it.span, text})
	}
	data := splice(f.data, edits)
	if it, ok := b.same(f, data, refs); !ok {
		return Rewritten{}, wrong(f, it)
	}
	return Rewritten{Data: data}, nil
}

// same reports whether the new text has the same entries, with references where values
// were, and gives every variable the same value. If not, it returns the entry to blame.
func (b *envBody) same(f *File, data []byte, refs []*keyturn.Ref) (*item, bool) {
	after, err := document.ParseEnv(f.name, data)
	if err != nil || len(after.Entries) != len(f.items) {
		return nil, false
	}
	stored, foreign := map[keyturn.Ref]keyturn.Value{}, map[keyturn.Ref]bool{}
	for i := range f.items {
		x, y := b.parsed.Entries[i], after.Entries[i]
		switch {
		case x.Name != y.Name, x.Export != y.Export:
			return &f.items[i], false
		case refs[i] == nil && (!x.Value.Equal(y.Value) || x.Quote != y.Quote):
			return &f.items[i], false
		case refs[i] != nil && (y.Ref == nil || *y.Ref != *refs[i]):
			return &f.items[i], false
		case f.items[i].Secret:
			stored[*refs[i]] = f.items[i].Value
		case f.items[i].Foreign:
			foreign[*refs[i]] = true // what another tool would have filled in
		}
	}
	before, errsBefore := b.parsed.Each(nil)
	now, errsNow := after.Each(nil)
	winner := map[string]int{}
	for i, e := range b.parsed.Entries {
		winner[e.Name] = i
	}
	for _, i := range winner {
		v := now[i].Value
		if now[i].Ref != nil {
			if foreign[*now[i].Ref] {
				continue
			}
			if was, ok := stored[*now[i].Ref]; ok {
				v = was
			}
		}
		if (errsBefore[i] == nil) != (errsNow[i] == nil) || errsNow[i] == nil && !v.Equal(before[i].Value) {
			return &f.items[i], false
		}
	}
	return nil, true
}

// envQuoted writes a reference as a value of a .env file: in the quotes that the value
// had, or in others if the reference holds a character that is special in those.
func envQuoted(ref string, q document.Quote) (string, bool) {
	for _, q := range []document.Quote{q, document.Single, document.Backtick, document.Double} {
		var bad string
		switch q {
		case document.Bare:
			bad = "$\\'\"` \t"
		case document.Double:
			bad = "$\\\""
		default:
			bad = string(q)
		}
		if !strings.ContainsAny(ref, bad) {
			if q == document.Bare {
				return ref, true
			}
			return string(q) + ref + string(q), true
		}
	}
	return "", false
}

// JoinEnv returns a .env file with lines added at its end; existing may be empty. A
// line that exists already stays as it is. It is a Conflict if a name exists with
// anything else, and Invalid if existing cannot be read. name is used in messages.
func JoinEnv(name string, existing []byte, lines []EnvLine) ([]byte, error) {
	parsed, err := document.ParseEnv(name, existing)
	if err != nil {
		return nil, err
	}
	have := map[string]document.Entry{}
	for _, e := range parsed.Effective() {
		have[e.Name] = e
	}
	eol := "\n"
	if i := strings.IndexByte(string(existing), '\n'); i > 0 && existing[i-1] == '\r' {
		eol = "\r\n"
	}
	out := slices.Clone(existing)
	for _, l := range lines {
		if e, ok := have[l.Name]; ok {
			if e.Ref != nil && *e.Ref == l.Ref {
				continue
			}
			err := places.Bad(name, e.Line, keyturn.Clean(l.Name)+" is there already with another value", "migrate this file first, or take the line out")
			err.Code = keyturn.Conflict
			return nil, err
		}
		text, ok := envQuoted(l.Ref.String(), document.Bare)
		if !ok {
			return nil, places.Bad(name, 0, "the reference for "+keyturn.Clean(l.Name)+" cannot stand in a .env file", "give the secret a name without quotes")
		}
		if n := len(out); n > 0 && out[n-1] != '\n' {
			out = append(out, eol...)
		}
		out = append(out, l.Name+"="+text+eol...)
	}
	return out, nil
}
