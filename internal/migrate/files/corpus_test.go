package files

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/document"
)

var update = flag.Bool("update", false, "make golden files that are missing")

var (
	target = keyturn.MustRef("kt://local/app")
	others = map[string]string{"op:Private": "team", "vault": "vault"}
)

// corpus returns the made-up files of real shapes, and the name that each would
// have.
func corpus(t testing.TB) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("testdata/corpus/*")
	if err != nil || len(paths) < 40 {
		t.Fatalf("%d files in the corpus: %v", len(paths), err)
	}
	out := map[string]string{}
	for _, p := range paths {
		name := filepath.Base(p)
		if strings.Contains(name, "compose") {
			name = "docker-compose.yml"
		}
		out[p] = name
	}
	return out
}

func load(t testing.TB, path, name string) (*File, []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Read(name, data, Options{Mounts: others})
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return f, data
}

// stored are the fields that somebody who calls Rewrite has stored before.
func stored(t testing.TB, f *File) map[keyturn.Ref]keyturn.Value {
	t.Helper()
	out := map[keyturn.Ref]keyturn.Value{}
	for _, e := range f.Entries() {
		switch {
		case e.Secret && (e.Foreign || e.Reference != nil):
			t.Errorf("%s: a reference is to be stored", e.Where)
		case e.Secret:
			ref, err := target.WithField(e.Field)
			if err != nil {
				t.Fatal(err)
			}
			if was, ok := out[ref]; ok && !was.Equal(e.Value) {
				t.Errorf("%s: line %d: the field %s stands for two values", f.Name(), e.Line, e.Field)
			}
			out[ref] = e.Value
		case e.Foreign:
			out[*e.Reference] = e.Value // another tool fills it in; here its text stands for that
		}
	}
	return out
}

// golden compares with a file beside the corpus.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", "golden", filepath.Base(path))
	want, err := os.ReadFile(file)
	if os.IsNotExist(err) && *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s (-want +got):\n%s", path, cmp.Diff(string(want), string(got)))
	}
}

// report says what is thought of each entry, without values.
func report(f *File) []byte {
	var b bytes.Buffer
	for _, e := range f.Entries() {
		does := "stays"
		if e.Secret {
			does = "moves to " + e.Field
		} else if e.Foreign {
			does = "becomes " + e.Reference.String()
		}
		fmt.Fprintf(&b, "%d\t%s\t%s\t%s\n", e.Line, e.Where, does, e.Why)
	}
	for _, n := range f.Notices() {
		fmt.Fprintf(&b, "notice\t%s\n", n)
	}
	return b.Bytes()
}

// TestCorpus: of every file, the environment or the content is the same before
// and after, nothing but scalars is replaced, and the outcome is the golden one.
func TestCorpus(t *testing.T) {
	kinds := map[Kind]int{}
	for path, name := range corpus(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			f, data := load(t, path, name)
			kinds[f.Kind()]++
			values := stored(t, f)
			out, err := f.Rewrite(target)
			if err != nil {
				t.Fatal(err)
			}
			said := report(f)
			golden(t, path+".report", said)
			for ref, v := range values {
				if secret := v.Reveal(); len(secret) > 4 && ref.Mount() == "local" && ref.Field() != "ALREADY" && bytes.Contains(said, secret) {
					t.Errorf("what is said of the file holds the value of %s", ref)
				}
			}
			switch f.Kind() {
			case Env:
				golden(t, path, out.Data)
				sameEnvironment(t, data, out.Data, values)
			case Compose:
				golden(t, path, out.Data)
				env, err := JoinEnv(".env", nil, out.Env)
				if err != nil {
					t.Fatal(err)
				}
				golden(t, path+".env", env)
				sameServices(t, data, out.Data, env, values)
			case Manifest:
				if out.Data != nil {
					t.Error("a manifest was rewritten in place")
				}
				golden(t, path, out.Template)
				sameRendered(t, data, out.Template, values)
				return
			default:
				golden(t, path, out.Data)
				sameDocument(t, data, out.Data, values)
			}
			onlyScalars(t, f, data, out.Data)
		})
	}
	t.Logf("%v", kinds)
	if kinds[Env]+kinds[Compose] < 40 {
		t.Errorf("%v: at least 40 .env and compose files are promised", kinds)
	}
}

// sameEnvironment compares what a child gets.
func sameEnvironment(t *testing.T, before, after []byte, values map[keyturn.Ref]keyturn.Value) {
	t.Helper()
	outside := map[string]string{"HOME": "/home/fake", "USER": "fake-user"}
	lookup := func(name string) (keyturn.Value, bool) {
		v, ok := outside[name]
		return keyturn.NewValue([]byte(v)), ok
	}
	get := func(data []byte) map[string]string {
		file, err := document.ParseEnv(".env", data)
		if err != nil {
			t.Fatal(err)
		}
		vars, _, err := file.Expand(lookup)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, v := range vars {
			value := v.Value
			if v.Ref != nil {
				if known, ok := values[*v.Ref]; ok {
					value = known
				}
			}
			out[v.Name] = string(value.Reveal())
		}
		return out
	}
	if diff := cmp.Diff(get(before), get(after)); diff != "" {
		t.Errorf("the environment is another (-before +after):\n%s", diff)
	}
}

// putIn returns the length of what Rewrite wrote for an item, which stands at the
// front of text: a reference or a variable, in quotes of any kind.
func putIn(t *testing.T, f *File, it item, text []byte) int {
	t.Helper()
	ref, err := f.reference(&it, target)
	if err != nil {
		t.Fatal(err)
	}
	inner := ref.String()
	if f.kind == Compose {
		inner = it.begin + "${" + it.Field + startWith
	}
	quoted, err := json.Marshal(inner)
	if err != nil {
		t.Fatal(err)
	}
	var plain bytes.Buffer
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false)
	if err := e.Encode(inner); err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{inner, string(quoted), strings.TrimSuffix(plain.String(), "\n"), "'" + strings.ReplaceAll(inner, "'", "''") + "'", "'" + inner + "'", "`" + inner + "`", `"` + inner + `"`} {
		if bytes.HasPrefix(text, []byte(form)) {
			return len(form)
		}
	}
	t.Fatalf("line %d: something else stands in the place of %s", it.Line, it.Name)
	return 0
}

// onlyScalars puts the replaced scalars back, and must have the file again.
func onlyScalars(t *testing.T, f *File, before, after []byte) {
	t.Helper()
	var back []byte
	at := 0 // in before
	var moved []item
	for _, it := range f.items {
		if it.Secret || it.Foreign {
			moved = append(moved, it)
		}
	}
	for _, it := range moved {
		if it.start < at {
			t.Fatalf("%s overlaps with what stands before it", it.Where)
		}
		gap := before[at:it.start]
		if !bytes.HasPrefix(after, gap) {
			t.Fatalf("before %s the file is another", it.Where)
		}
		after = after[len(gap):]
		after = after[putIn(t, f, it, after):]
		back = append(append(back, gap...), before[it.start:it.end]...)
		at = it.end
	}
	back = append(back, after...)
	if !bytes.Equal(back, before) {
		t.Errorf("more than scalars was replaced:\n%s", cmp.Diff(string(before), string(back)))
	}
}

// sameDocument compares the content of JSON and YAML.
func sameDocument(t *testing.T, before, after []byte, values map[keyturn.Ref]keyturn.Value) {
	t.Helper()
	var resolve func(v any) any
	resolve = func(v any) any {
		switch v := v.(type) {
		case string:
			if ref, err := keyturn.ParseRef(v); err == nil && strings.HasPrefix(v, keyturn.Scheme) {
				if known, ok := values[ref]; ok {
					return string(known.Reveal())
				}
			}
		case map[string]any:
			for k := range v {
				v[k] = resolve(v[k])
			}
		case []any:
			for i := range v {
				v[i] = resolve(v[i])
			}
		}
		return v
	}
	if x, y := decode(t, before), resolve(decode(t, after)); !cmp.Equal(x, y) {
		t.Errorf("the content is another (-before +after):\n%s", cmp.Diff(x, y))
	}
}

// decode reads all documents of a file by the library alone. Surrogates of JSON
// are no YAML, and are replaced.
func decode(t *testing.T, data []byte) any {
	t.Helper()
	data = bytes.ReplaceAll(data, []byte(`\ud83d\udd11`), []byte("🔑"))
	var out []any
	d := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var v any
		if err := d.Decode(&v); err != nil {
			if err.Error() == "EOF" {
				return out
			}
			t.Fatal(err)
		}
		out = append(out, v)
	}
}

// sameRendered fills the template with the values and compares every byte but
// for how the filled scalars are quoted, and their content.
func sameRendered(t *testing.T, before, template []byte, values map[keyturn.Ref]keyturn.Value) {
	t.Helper()
	p, err := document.ParseTemplate("template", template)
	if err != nil {
		t.Fatal(err)
	}
	filled, err := p.Render(func(r keyturn.Ref) (keyturn.Value, error) { return values[r], nil })
	if err != nil {
		t.Fatal(err)
	}
	if x, y := decode(t, before), decode(t, filled.Reveal()); !cmp.Equal(x, y) {
		t.Errorf("the manifest is another (-before +after):\n%s", cmp.Diff(x, y))
	}
	if bytes.Contains(template, []byte("fake")) || bytes.Contains(template, []byte("ZmFrZ")) {
		t.Error("the template still holds a value")
	}
}

// sameServices compares what the containers and builds of a compose file get,
// for several environments around it.
func sameServices(t *testing.T, before, after, env []byte, values map[keyturn.Ref]keyturn.Value) {
	t.Helper()
	lines, err := document.ParseEnv(".env", env)
	if err != nil {
		t.Fatal(err)
	}
	for _, around := range []map[string]string{
		{"DB_PASSWORD": "around-1"},
		{"DB_PASSWORD": "around-2", "TOKEN": "around-token", "A": "a", "C": "c", "DB_PASSWORD_DEFAULT": "around-3", "TAG": "1", "POSTGRES_PASSWORD": "p", "ANON_KEY": "k"},
	} {
		around = maps.Clone(around)
		for name := range around { // what the file does not use could be anything
			if !bytes.Contains(before, []byte("${"+name)) {
				delete(around, name)
			}
		}
		with := maps.Clone(around)
		for _, e := range lines.Entries {
			v, ok := values[*e.Ref]
			if !ok {
				v = keyturn.NewValue([]byte(e.Ref.String())) // a reference that stood there as text
			}
			if _, ok := around[e.Name]; ok {
				t.Errorf("%s is given by somebody else already", e.Name)
			}
			with[e.Name] = string(v.Reveal())
		}
		x, y := services(t, before, around), services(t, after, with)
		if diff := cmp.Diff(x, y); diff != "" {
			t.Errorf("the containers get something else (-before +after):\n%s", diff)
		}
		// Without keyturn, compose must say so instead of starting with nothing.
		if len(lines.Entries) > 0 && !slices.Contains(slices.Collect(maps.Values(services(t, after, around))), "error: start with keyturn run -- docker compose up") {
			t.Error("compose would start without the values")
		}
	}
}

// services reads, by the library's own merging and an interpolation written for
// this test, the variables of all services: "SERVICE NAME" to value.
func services(t *testing.T, data []byte, env map[string]string) map[string]string {
	t.Helper()
	var doc struct {
		Services map[string]struct {
			Environment yaml.Node
			Build       yaml.Node
		}
	}
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	add := func(where string, n yaml.Node) {
		var m map[string]any
		var l []string
		if n.Decode(&m) == nil {
			for k, v := range m {
				if s, ok := v.(string); ok {
					out[where+k] = fillIn(s, env)
				} else {
					out[where+k] = fmt.Sprint(v)
				}
			}
		} else if err := n.Decode(&l); err == nil {
			for _, s := range l {
				name, value, _ := strings.Cut(s, "=")
				out[where+name] = fillIn(value, env)
			}
		} else {
			t.Fatal(err)
		}
	}
	for name, s := range doc.Services {
		if !s.Environment.IsZero() {
			add(name+" ", s.Environment)
		}
		var build struct{ Args yaml.Node }
		if s.Build.Decode(&build) == nil && !build.Args.IsZero() {
			add(name+" build ", build.Args)
		}
	}
	return out
}

// fillIn is the interpolation of the compose specification, written apart from
// the package's own reading of it.
func fillIn(s string, env map[string]string) string {
	var out strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 || i+1 == len(s) {
			return out.String() + s
		}
		out.WriteString(s[:i])
		switch s = s[i+1:]; {
		case s[0] == '$':
			out.WriteByte('$')
			s = s[1:]
		case s[0] == '{':
			depth, end := 0, -1
			for j := 0; j < len(s) && end < 0; j++ {
				switch s[j] {
				case '{':
					depth++
				case '}':
					if depth--; depth == 0 {
						end = j
					}
				}
			}
			body := s[1:end]
			s = s[end+1:]
			n := strings.IndexAny(body, ":-+?")
			if n < 0 {
				n = len(body)
			}
			name, op := body[:n], body[n:]
			v, set := env[name]
			if strings.HasPrefix(op, ":") {
				op, set = op[1:], set && v != ""
			}
			switch {
			case op == "" || op[0] == '-' && set:
				out.WriteString(v)
			case op[0] == '-', op[0] == '+' && set:
				out.WriteString(fillIn(op[1:], env))
			case op[0] == '?' && !set:
				return "error: " + op[1:]
			case op[0] == '?':
				out.WriteString(v)
			}
		default:
			n := 0
			for n < len(s) && (s[n] == '_' || s[n] >= 'a' && s[n] <= 'z' || s[n] >= 'A' && s[n] <= 'Z' || n > 0 && s[n] >= '0' && s[n] <= '9') {
				n++
			}
			if n == 0 {
				return "error: invalid interpolation"
			}
			out.WriteString(env[s[:n]])
			s = s[n:]
		}
	}
}
