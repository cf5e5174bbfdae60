package files

import (
	"bytes"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/document"
	"github.com/keyturn/keyturn/internal/migrate/imports"
	"github.com/keyturn/keyturn/internal/migrate/judge"
	"github.com/keyturn/keyturn/internal/migrate/places"
)

const hintKinds = "it reads .env files, compose files, manifests of Kubernetes Secrets, JSON and YAML; the name's ending says which"

// Read reads a file and judges its values. name is used in messages, and tells,
// together with the content, what kind of file it is. In .env and compose files a
// value moves unless it is empty, a boolean, a short number or well-known
// configuration; in the manifest of a Secret it moves unless it is empty; in other
// JSON and YAML files it moves only if its name or its shape says that it is a secret.
//
// Errors are Invalid, with file and line: the kind of file is unknown, the file cannot
// be parsed or is over the limits, or sops encrypted it (package imports reads those).
// data is kept, and must not be changed afterwards.
func Read(name string, data []byte, o Options) (*File, error) {
	if len(data) > document.MaxSize {
		return nil, places.Bad(name, 0, "the file is too large", "a file may have 4 MiB")
	}
	if tool := imports.Detect(name, data); tool == imports.SOPS {
		return nil, places.Bad(name, 0, "the file is encrypted by sops", "import its values instead of migrating the file")
	}
	f := &File{name: name, data: data}
	base := strings.ToLower(filepath.Base(filepath.ToSlash(name)))
	var err error
	switch {
	case strings.HasSuffix(base, ".json"):
		err = readJSON(f, o)
	case strings.HasSuffix(base, ".yaml"), strings.HasSuffix(base, ".yml"):
		err = readYAML(f, o)
	case isEnvName(base):
		err = readEnv(f, o)
	case imports.StartsLikeJSON(data):
		err = readJSON(f, o)
	case document.Assigns(data):
		err = readEnv(f, o)
	default:
		return nil, places.Bad(name, 0, "keyturn cannot tell what kind of file this is", hintKinds)
	}
	if err != nil {
		return nil, err
	}
	if f.kind != JSON && f.kind != Manifest {
		f.comments()
	}
	f.first = slices.Clone(f.items)
	if err := f.body.choose(f); err != nil {
		f.unsettled = err // told when it is rewritten without another choice
		f.items = slices.Clone(f.first)
	}
	if len(f.items) > MaxEntries {
		return nil, places.Bad(name, 0, "the file has too many values", "a file may have 20000")
	}
	return f, nil
}

func isEnvName(base string) bool {
	return strings.HasPrefix(base, ".env") || strings.HasSuffix(base, ".env") || strings.HasPrefix(base, "env.") || base == "env" || base == ".flaskenv" || base == ".envrc"
}

// appraise judges an entry, or notes that it is a reference already. doubt says whether
// an entry moves that nothing speaks for or against.
func (it *item) appraise(doubt bool, o Options) {
	v := bytesOf(it.Value)
	if it.stuck != "" {
		it.Secret, it.Why = false, it.stuck
		return
	}
	if bytes.HasPrefix(v, []byte(keyturn.Scheme)) {
		if ref, err := keyturn.ParseRef(string(v)); err == nil {
			it.Reference = &ref
		}
		it.Why = "already a reference"
		it.stuck = it.Why
		return
	}
	if ref, known, err := imports.Reference(string(v), o.Mounts); known {
		if err == nil {
			it.Reference, it.Foreign, it.Why = &ref, true, "a reference of another tool, which becomes one of keyturn's"
		} else {
			it.Why = "a reference of another tool: " + keyturn.AsError(err).Message
		}
		it.stuck = it.Why
		return
	}
	name := it.Name
	if it.known != "" {
		name = it.known
	}
	j := judge.Of(name, v)
	if j.Leaning == judge.Unsure {
		j = judge.Verdict{Leaning: judge.Stays, Why: "nothing says that it is a secret"}
		if doubt {
			j = judge.Verdict{Leaning: judge.Moves, Why: "not known to be configuration"}
		}
	}
	if j.Why == judge.Empty {
		it.stuck = j.Why
	}
	it.Secret, it.Why = j.Leaning == judge.Moves, j.Why
}

// Choose sets which entries move, starting from what Read judged. In a .env file an
// entry made of one that moves (DATABASE_URL=postgres://u:${DB_PASS}@h/db) has to move
// too, with the value that it has then: a reference cannot stand inside other text.
//
// It is Invalid to keep such an entry, to move one that cannot move, and to name one
// that does not exist; the previous choice then stays.
func (f *File) Choose(c Choice) error {
	before, unsettled := f.items, f.unsettled
	f.items, f.unsettled = slices.Clone(f.first), nil
	err := f.mark(c)
	if err == nil {
		err = f.body.choose(f)
	}
	if err != nil {
		f.items, f.unsettled = before, unsettled
	}
	return err
}

// mark sets Secret of each entry by a choice.
func (f *File) mark(c Choice) error {
	hit := map[string]bool{}
	matches := func(list []string, it *item) bool {
		found := false
		for _, s := range list {
			if s == it.Name || s == it.Field || s == it.Where {
				hit[s], found = true, true
			}
		}
		return found
	}
	for i := range f.items {
		it := &f.items[i]
		kept, only := matches(c.Keep, it), matches(c.Only, it)
		switch {
		case kept:
			it.Secret, it.Foreign, it.Why, it.kept = false, false, "kept, as asked for", true
		case it.Foreign:
			it.Foreign = only || len(c.Only) == 0
		case only && it.stuck != "":
			return places.Bad(f.name, it.Line, keyturn.Clean(it.Name)+" cannot move: "+it.stuck, "leave it out of --only")
		case only, c.All && it.stuck == "":
			if !it.Secret {
				it.Secret, it.Why = true, "asked for"
			}
		case len(c.Only) > 0:
			if it.Secret {
				it.Secret, it.Why = false, "not asked for"
			}
		}
	}
	for _, s := range slices.Concat(c.Keep, c.Only) {
		if !hit[s] {
			names := func(yield func(string) bool) {
				for _, it := range f.items {
					if !yield(it.Name) {
						return
					}
				}
			}
			hint := "--dry-run shows the names"
			if near := keyturn.Nearest(s, names); near != "" {
				hint = "did you mean " + keyturn.Quote(keyturn.Clean(near)) + "?"
			}
			return places.Bad(f.name, 0, "nothing in it is named "+keyturn.Quote(keyturn.Clean(s)), hint)
		}
	}
	return nil
}

// notice adds a notice.
func (f *File) notice(line int, name, text string) {
	f.notices = append(f.notices, document.Notice{File: f.name, Line: line, Name: keyturn.Clean(name), Text: text})
}

// remark is a comment that looks like a setting: "# DB_PASSWORD=…".
var remark = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[ \t]*#[#\s]*(?:export[ \t]+|-[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*[=:][ \t]*(.*)$`)
})

// comments adds a notice for each secret that was commented out: comments stay as they
// are.
func (f *File) comments() {
	inside := map[int]bool{} // lines that are part of a value
	for _, it := range f.items {
		for i := range bytes.Count(f.data[it.start:it.end], []byte{'\n'}) {
			inside[it.Line+i+1] = true
		}
	}
	n := 0
	for line := range bytes.Lines(f.data) {
		m := remark().FindSubmatch(bytes.TrimRight(line, "\r\n"))
		if n++; m == nil || inside[n] {
			continue
		}
		value := bytes.Trim(m[2], " \t\"'`")
		if bytes.HasPrefix(value, []byte(keyturn.Scheme)) || bytes.ContainsAny(value, " $<{") {
			continue // words, a reference, or an example with a gap to fill in
		}
		if judge.Of(string(m[1]), value).Leaning == judge.Moves {
			f.notice(n, string(m[1]), "seems to be a secret that was commented out: comments stay as they are")
		}
	}
}

// splice returns data with edits made; their spans must be in order and must not
// overlap.
func splice(data []byte, edits []edit) []byte {
	out := make([]byte, 0, len(data)+64*len(edits))
	at := 0
	for _, e := range edits {
		out = append(append(out, data[at:e.start]...), e.text...)
		at = e.end
	}
	return append(out, data[at:]...)
}

// edit is a text in place of a span.
type edit struct {
	span
	text string
}

// reference returns the reference that replaces an entry once secret holds its field;
// nil if the entry is not replaced.
func (f *File) reference(it *item, secret keyturn.Ref) (*keyturn.Ref, error) {
	if it.Foreign {
		return it.Reference, nil
	}
	if !it.Secret {
		return nil, nil
	}
	ref, err := secret.WithField(it.Field)
	if err != nil {
		return nil, places.Bad(f.name, it.Line, "the name of the value cannot be a field: "+keyturn.AsError(err).Message, "keep it with --keep, or give it a shorter name")
	}
	return &ref, nil
}

// wrong returns the error for a new text that does not read as it should.
func wrong(f *File, it *item) error {
	line, name := 0, "the file"
	if it != nil {
		line, name = it.Line, keyturn.Clean(it.Name)
	}
	return places.Bad(f.name, line, name+" would not read the same after it is rewritten; nothing was changed",
		"write the value in quotes, on one line, or keep it with --keep")
}

// culprit returns the index of the first of n edits with which same becomes false; with
// all n it must be false.
func culprit(n int, same func(first int) bool) int {
	return sort.Search(n, func(i int) bool { return !same(i + 1) })
}

// fields gives each item that can be replaced its field: base(item) if that is free or
// holds the same value, else longer(item), else longer(item) with a number behind it.
func (f *File) fields(base, longer func(*item) string, taken map[string]bool) {
	values := map[string]keyturn.Value{}
	clash := map[string]bool{}
	for i := range f.items {
		if it := &f.items[i]; it.replaceable() {
			b := base(it)
			if v, ok := values[b]; ok && !v.Equal(it.Value) || taken[b] {
				clash[b] = true
			}
			values[b] = it.Value
		}
	}
	used := map[string]keyturn.Value{}
	next := map[string]int{}
	free := func(name string, it *item, own bool) bool {
		v, ok := used[name]
		_, others := values[name]
		return !taken[name] && (!ok || v.Equal(it.Value)) && (own || !others)
	}
	for i := range f.items {
		it := &f.items[i]
		if it.Field = base(it); !it.replaceable() {
			continue
		}
		if clash[it.Field] {
			first := longer(it)
			it.Field = first
			for n := max(2, next[first]); !free(it.Field, it, first == base(it) && it.Field == first); n++ {
				it.Field, next[first] = first+"_"+itoa(n), n
			}
		}
		used[it.Field] = it.Value
	}
}

// replaceable reports whether Rewrite can replace the item.
func (it *item) replaceable() bool { return it.stuck == "" || it.Foreign }
