package files

import (
	"strconv"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/migrate/judge"
	"github.com/keyturn/keyturn/internal/migrate/places"
)

// plainBody is a JSON or YAML file of no particular kind.
type plainBody struct {
	yaml   *places.File // nil for JSON
	leaves []places.Leaf
}

func readJSON(f *File, o Options) error {
	leaves, err := places.ReadJSON(f.name, f.data)
	if err != nil {
		return err
	}
	for i := range leaves {
		leaves[i].Path = append([]string{"0"}, leaves[i].Path...)
	}
	if secrets := findSecrets(leaves); len(secrets) > 0 {
		return readManifest(f, nil, leaves, secrets, o)
	}
	f.kind = JSON
	readPlain(f, &plainBody{leaves: leaves}, o)
	return nil
}

func readYAML(f *File, o Options) error {
	y, err := places.ReadYAML(f.name, f.data)
	if err != nil {
		return err
	}
	if secrets := findSecrets(y.Leaves); len(secrets) > 0 {
		return readManifest(f, y, y.Leaves, secrets, o)
	}
	if isCompose(f.name, y) {
		return readCompose(f, y, o)
	}
	f.kind = YAML
	readPlain(f, &plainBody{yaml: y, leaves: y.Leaves}, o)
	return nil
}

func readPlain(f *File, b *plainBody, o Options) {
	f.body = b
	named := map[string]string{} // by the path of a mapping: the name that it has in itself
	for _, l := range b.leaves {
		if n := len(l.Path) - 1; n >= 0 && (l.Path[n] == "name" || l.Path[n] == "Name" || l.Path[n] == "key") {
			named[strings.Join(l.Path[:n], "\x00")] = l.Text
		}
	}
	for _, l := range b.leaves {
		name := dotted(l.Path[1:])
		it := item{Entry: Entry{Name: name, Where: name, Line: l.Line, Value: keyturn.NewValue([]byte(l.Text))}, span: span{l.Start, l.End}, stuck: string(l.Kind)}
		it.known = calledBy(l.Path[1:])
		if n := len(l.Path) - 1; n > 0 && strings.EqualFold(l.Path[n], "value") {
			if name := named[strings.Join(l.Path[:n], "\x00")]; name != "" { // {name: API_TOKEN, value: …}
				it.known = name
			}
		}
		if b.yaml != nil && len(b.yaml.Docs) > 1 {
			it.Where = "document " + l.Path[0] + ": " + name
		}
		it.appraise(false, o)
		f.items = append(f.items, it)
	}
	f.fields(func(it *item) string { return it.Name }, func(it *item) string { return it.Name }, nil)
}

// calledBy returns the name to judge a value by: the last key of its path, with the key
// above it if that is a collection of secrets.
func calledBy(path []string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if _, err := strconv.Atoi(path[i]); err != nil {
			if i > 0 && judge.Collection(path[i-1]) {
				return path[i-1] + "." + path[i]
			}
			return path[i]
		}
	}
	return "value"
}

// dotted joins the keys of a path.
func dotted(path []string) string {
	if len(path) == 0 {
		return "value"
	}
	return strings.Join(path, ".")
}

func (b *plainBody) choose(*File) error { return nil }

func (b *plainBody) rewrite(f *File, secret keyturn.Ref) (Rewritten, error) {
	var moved []*item
	texts := map[int]string{} // of a leaf
	for i := range f.items {
		it := &f.items[i]
		ref, err := f.reference(it, secret)
		if err != nil {
			return Rewritten{}, err
		}
		if ref != nil {
			texts[i], it.leaf = ref.String(), i
			moved = append(moved, it)
		}
	}
	data, err := replace(f, b.leaves, moved, texts, b.same)
	return Rewritten{Data: data}, err
}

// replace writes texts in the places of the leaves of moved, and checks that nothing
// else has changed.
func replace(f *File, leaves []places.Leaf, moved []*item, texts map[int]string, same func(*File, []byte, map[int]string) bool) ([]byte, error) {
	first := func(n int) ([]byte, map[int]string) {
		var edits []edit
		changed := map[int]string{}
		for _, it := range moved[:n] {
			if _, ok := changed[it.leaf]; !ok {
				changed[it.leaf] = texts[it.leaf]
				edits = append(edits, edit{it.span, leaves[it.leaf].Written(texts[it.leaf])})
			}
		}
		return splice(f.data, edits), changed
	}
	data, changed := first(len(moved))
	if same(f, data, changed) {
		return data, nil
	}
	n := culprit(len(moved), func(n int) bool {
		data, changed := first(n)
		return same(f, data, changed)
	})
	if n < len(moved) {
		return nil, wrong(f, moved[n])
	}
	return nil, wrong(f, nil)
}

func (b *plainBody) same(f *File, data []byte, changed map[int]string) bool {
	if b.yaml != nil {
		after, err := places.ReadYAML(f.name, data)
		return err == nil && places.SameYAML(b.yaml, after, changed)
	}
	after, err := places.ReadJSON(f.name, data)
	return err == nil && sameLeaves(b.leaves, after, changed, 1)
}

// sameLeaves reports whether two JSON texts have the same scalars, except that those at
// the indexes of changed have its texts. The paths of x have skip more elements.
func sameLeaves(x, y []places.Leaf, changed map[int]string, skip int) bool {
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		want, ok := changed[i]
		if !ok {
			want = x[i].Text
		}
		if y[i].Text != want || y[i].Kind != x[i].Kind || strings.Join(x[i].Path[skip:], "\x00") != strings.Join(y[i].Path, "\x00") {
			return false
		}
	}
	return true
}
