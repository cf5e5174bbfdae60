package places

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/keyturn/keyturn"
)

// put returns data with one leaf replaced.
func put(data []byte, l Leaf, text string) []byte {
	return append(append(bytes.Clone(data[:l.Start]), l.Written(text)...), data[l.End:]...)
}

func TestReadYAML(t *testing.T) {
	const file = "\uFEFFplain: a b # c\r\nfolded: a\r\n  b\r\n\r\n  c\r\n'single': 'it''s'\r\n\"dou\\u0062le\": \"a\\\"b\"\r\n" +
		"literal: |2-\r\n   x\r\n  y\r\n\r\nkept: >+ # c\r\n  x\r\n\r\nflow: {a: b, 'c': [d, \"e\"]}\r\nanchored: &x !!str y\r\nalias: *x\r\n" +
		"ünï: ä日🔑 \r\nnumbers: [1, 1.5, true, null, ~, 2024-01-01]\r\n---\r\nsecond: z"
	y, err := ReadYAML("a.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	want := []struct{ path, source, text string }{
		{"0 plain", "a b", "a b"}, {"0 folded", "a\r\n  b\r\n\r\n  c", "a b\nc"}, {"0 single", "'it''s'", "it's"}, {"0 double", `"a\"b"`, `a"b`},
		{"0 literal", "|2-\r\n   x\r\n  y", " x\ny"}, {"0 kept", ">+ # c\r\n  x", "x\n\n"}, {"0 flow a", "b", "b"}, {"0 flow c 0", "d", "d"}, {"0 flow c 1", `"e"`, "e"},
		{"0 anchored", "y", "y"}, {"0 ünï", "ä日🔑", "ä日🔑"}, {"0 numbers 0", "1", "1"}, {"0 numbers 1", "1.5", "1.5"}, {"0 numbers 2", "true", "true"},
		{"0 numbers 3", "null", "null"}, {"0 numbers 4", "~", "~"}, {"0 numbers 5", "2024-01-01", "2024-01-01"}, {"1 second", "z", "z"},
	}
	if len(y.Leaves) != len(want) || y.Alias == 0 {
		t.Fatalf("%d leaves, alias in line %d", len(y.Leaves), y.Alias)
	}
	for i, w := range want {
		l := y.Leaves[i]
		if got := strings.Join(l.Path, " "); got != w.path || l.Text != w.text || file[l.Start:l.End] != w.source {
			t.Errorf("%s is %q in %q, want %s, %q in %q", got, l.Text, file[l.Start:l.End], w.path, w.text, w.source)
		}
		after, err := ReadYAML("a.yaml", put([]byte(file), l, "kt://local/app#x"))
		if err != nil || l.Kind == String && !SameYAML(y, after, map[int]string{i: "kt://local/app#x"}) {
			t.Errorf("%s cannot be replaced: %v", w.path, err)
		}
	}
}

// TestWritten: any text stands as itself in any place.
func TestWritten(t *testing.T) {
	for _, file := range []string{"a: x\n", "a: 'x'\n", "a: \"x\"\n", "a: |\n  x\n", "a: {b: x}\n", "- x\n", "a: [x, y]\n", "x"} {
		y, err := ReadYAML("a.yaml", []byte(file))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"plain", "a: b", "a #b", "a:", "-", "- a", "? a", "*a", "&a", "!a", "|", "'", `"`, `it's "x" \`, "{a}", "[a]", "a, b", "%a", "@a", "`a`", "# a",
			"true", "", " ", "a\nb", "ü🔑", "${A:?b c}", "<b>&"} {
			got, err := ReadYAML("a.yaml", put([]byte(file), y.Leaves[0], text))
			switch {
			case text == "true" && (file[0] != 'a' || !strings.ContainsAny(file, "'\"")): // plain words that are no text are not for Written to know
			case (strings.Contains(text, "\n") || text == " ") && !strings.Contains(file, `"`): // nor are line breaks: no reference has one
			case err != nil || got.Leaves[0].Text != text:
				t.Errorf("%q in %q: %v", text, file, err)
			}
		}
	}
}

func TestReadJSON(t *testing.T) {
	const file = "\uFEFF{\n  \"a\": \"x\",\"b\":[1,\"y\",{\"c\":null}, [], {}],\n\"d\" : {\"e\": true, \"\\u0066\": \"\\ud83d\\udd11\\\"\\/\"}, \"a\": \"z\"}\n"
	leaves, err := ReadJSON("a.json", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		path, source, text string
		kind               Kind
		line               int
	}{
		{"a", `"x"`, "x", String, 2}, {"b 0", "1", "1", Number, 2}, {"b 1", `"y"`, "y", String, 2}, {"b 2 c", "null", "", Null, 2},
		{"d e", "true", "", Bool, 3}, {"d f", `"\ud83d\udd11\"\/"`, "🔑\"/", String, 3}, {"a", `"z"`, "z", String, 3},
	}
	if len(leaves) != len(want) {
		t.Fatalf("%d leaves", len(leaves))
	}
	for i, w := range want {
		l := leaves[i]
		if strings.Join(l.Path, " ") != w.path || file[l.Start:l.End] != w.source || l.Text != w.text || l.Kind != w.kind || l.Line != w.line {
			t.Errorf("%v %q %q %q line %d, want %v", l.Path, file[l.Start:l.End], l.Text, l.Kind, l.Line, w)
		}
	}
	for _, one := range []string{`"x"`, `5`, `[]`, `{}`, `null`} {
		if l, err := ReadJSON("a.json", []byte(one)); err != nil || len(l) > 1 {
			t.Errorf("%s: %v, %v", one, l, err)
		}
	}
}

// FuzzYAML: every leaf that has a place stands there: what is written in its
// place is read in its place, and nothing else changes.
func FuzzYAML(f *testing.F) {
	for _, s := range []string{"a: b\n", "a: |\n  b\n\n c: d", "- 'a'\n- {b: \"c\"}\n", "&a !!str b", "a: b\n  c\n# d\n", "? a\n: b\n", "a:\n- |2\n   b\n-\n", "\uFEFFa: b", "a: b\r\nc: d\r\n", "a: b\rc: d"} {
		f.Add([]byte(s), uint(0))
	}
	f.Fuzz(func(t *testing.T, data []byte, which uint) {
		y, err := ReadYAML("a.yaml", data)
		if err != nil {
			if !errors.Is(err, keyturn.Invalid) {
				t.Errorf("%v", err)
			}
			return
		}
		if len(y.Leaves) == 0 {
			return
		}
		i := int(which % uint(len(y.Leaves)))
		l := y.Leaves[i]
		if l.Kind != String || l.Text == "" {
			return
		}
		after, err := ReadYAML("a.yaml", put(data, l, "kt://local/app#x"))
		if err != nil || !SameYAML(y, after, map[int]string{i: "kt://local/app#x"}) {
			t.Errorf("line %d cannot be replaced: %v", l.Line, err)
		}
	})
}

// FuzzJSON: the places of leaves are those of encoding/json's own reading.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":"b"}`, `["a", {"b": ["c"]}, 1e5]`, `"a"`, ` [ true , null ] `, `{"a":{},"b":[]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		leaves, err := ReadJSON("a.json", data)
		if err != nil {
			return
		}
		for _, l := range leaves {
			var s string
			if err := json.Unmarshal(data[l.Start:l.End], &s); l.Kind == String && (err != nil || s != l.Text) {
				t.Errorf("line %d: %q is not what stands there: %v", l.Line, l.Text, err)
			}
			if l.Kind == String && !json.Valid(put(data, l, "kt://local/app#x")) {
				t.Errorf("line %d cannot be replaced", l.Line)
			}
		}
	})
}

// TestMerge: aliases are not followed, so that a small file stays small.
func TestMerge(t *testing.T) {
	var b strings.Builder
	b.WriteString("a00: &a00 [x, x]\n")
	for i := 1; i < 30; i++ {
		b.WriteString(strings.ReplaceAll(strings.ReplaceAll("aN: &aN [*aM, *aM]\n", "N", itoa(i)), "M", itoa(i-1)))
	}
	y, err := ReadYAML("a.yaml", []byte(b.String()))
	if err != nil || len(y.Leaves) != 2 {
		t.Fatalf("%v", err)
	}
	if _, ok := y.At(&yaml.Node{}); ok {
		t.Error("a node of another file has a place")
	}
}

func itoa(n int) string { return string(rune('0'+n/10)) + string(rune('0'+n%10)) }
