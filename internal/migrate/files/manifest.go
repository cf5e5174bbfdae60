package files

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/document"
	"github.com/keyturn/keyturn/internal/migrate/places"
)

// manifestBody is a file with Secrets of Kubernetes, and possibly other objects.
type manifestBody struct {
	yaml   *places.File // nil for JSON
	leaves []places.Leaf
}

// secretObject is a Secret in a file: its path and its name.
type secretObject struct {
	path []string
	name string
}

// findSecrets returns the Secrets of a file. Each is a document of its own or an item
// of a List.
func findSecrets(leaves []places.Leaf) []secretObject {
	words := map[string]string{}
	var found [][]string
	for _, l := range leaves {
		n := len(l.Path) - 1
		if n != 1 && !(n == 3 && l.Path[1] == "items") && !(len(l.Path) > 2 && l.Path[n-1] == "metadata") {
			continue
		}
		words[strings.Join(l.Path, "\x00")] = l.Text
		if l.Path[n] == "kind" && l.Text == "Secret" && l.Path[n-1] != "metadata" {
			found = append(found, l.Path[:n])
		}
	}
	var out []secretObject
	for _, p := range found {
		key := strings.Join(p, "\x00")
		if words[key+"\x00apiVersion"] == "v1" {
			out = append(out, secretObject{p, words[key+"\x00metadata\x00name"]})
		}
	}
	return out
}

func readManifest(f *File, y *places.File, leaves []places.Leaf, secrets []secretObject, o Options) error {
	b := &manifestBody{yaml: y, leaves: leaves}
	f.kind, f.body = Manifest, b
	if y != nil && y.Alias > 0 {
		return places.Bad(f.name, y.Alias, "a manifest of a Secret with aliases (*name) cannot become a template", "write the values out")
	}
	for i, l := range leaves {
		for _, s := range secrets {
			if len(l.Path) < len(s.path)+2 || !slices.Equal(l.Path[:len(s.path)], s.path) {
				continue
			}
			rest := l.Path[len(s.path):]
			if rest[0] == "metadata" && rest[len(rest)-1] == "kubectl.kubernetes.io/last-applied-configuration" && strings.Contains(l.Text, "ata\"") {
				return places.Bad(f.name, l.Line, "the manifest holds its values a second time, in the annotation last-applied-configuration",
					"take the annotation out: kubectl writes it anew")
			}
			if len(rest) != 2 || rest[0] != "data" && rest[0] != "stringData" {
				continue
			}
			name := keyturn.Clean(s.name)
			it := item{Entry: Entry{Name: rest[1], Where: "Secret/" + name + "." + rest[0] + "." + rest[1], Line: l.Line,
				Value: keyturn.NewValue([]byte(l.Text))}, span: span{l.Start, l.End}, stuck: string(l.Kind)}
			if rest[0] == "data" && it.stuck == "" {
				if raw, err := base64.StdEncoding.DecodeString(l.Text); err == nil {
					it.Value = keyturn.NewValue(raw)
				} else {
					it.stuck = "it is not valid base64"
				}
			}
			it.appraise(true, o)
			if it.stuck == "" && !it.Secret {
				it.Secret, it.Why = true, "in a Secret"
			}
			it.Foreign = it.Reference != nil
			it.leaf, it.owner, it.coded = i, s.name, rest[0] == "data"
			f.items = append(f.items, it)
			break
		}
	}
	f.fields(func(it *item) string { return it.Name }, func(it *item) string { return it.owner + "." + it.Name }, nil)
	return nil
}

func (b *manifestBody) choose(*File) error { return nil }

func (b *manifestBody) rewrite(f *File, secret keyturn.Ref) (Rewritten, error) {
	filter := " | json }}"
	if b.yaml != nil {
		filter = " | yaml }}"
	}
	brace := func(text []byte) []byte { return bytes.ReplaceAll(text, []byte("{{"), []byte(`{{ "{{" }}`)) }
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	var out []byte
	values := map[keyturn.Ref]keyturn.Value{}
	changed := map[int]string{}
	at := 0
	for i := range f.items {
		it := &f.items[i]
		ref, err := f.reference(it, secret)
		if err != nil {
			return Rewritten{}, err
		}
		if ref == nil {
			continue
		}
		values[*ref] = it.Value
		place := `{{ "` + escape.Replace(ref.String()) + `"`
		changed[it.leaf] = string(bytesOf(it.Value))
		if it.coded {
			place += " | base64"
			changed[it.leaf] = base64.StdEncoding.EncodeToString(bytesOf(it.Value))
		}
		out = append(append(out, brace(f.data[at:it.start])...), place+filter...)
		at = it.end
	}
	out = append(out, brace(f.data[at:])...)
	if !b.same(f, out, values, changed) {
		return Rewritten{}, wrong(f, nil)
	}
	return Rewritten{Template: out}, nil
}

// same fills the template with the values of the file and compares the result with it.
func (b *manifestBody) same(f *File, template []byte, values map[keyturn.Ref]keyturn.Value, changed map[int]string) bool {
	t, err := document.ParseTemplate(f.name, template)
	if err != nil {
		return false
	}
	filled, err := t.Render(func(r keyturn.Ref) (keyturn.Value, error) { return values[r], nil })
	if err != nil {
		return false
	}
	if b.yaml == nil {
		after, err := places.ReadJSON(f.name, bytesOf(filled))
		return err == nil && sameLeaves(b.leaves, after, changed, 1)
	}
	after, err := places.ReadYAML(f.name, bytesOf(filled))
	return err == nil && places.SameYAML(b.yaml, after, changed)
}
