package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/variable"
	yaml "go.yaml.in/yaml/v3"
)

// Project is a project's file: it names references, and narrows.
type Project struct {
	File   string // absolute, where it was read from a file
	Env    []Binding
	Expect []Expectation
	Never  []Rule // each forbids every verb
}

// Binding is one variable and the reference that it stands for.
type Binding struct {
	keyturn.Binding
	Line int
}

// Expectation is what a mount must be for this project: each setting must be the
// same in the operator's file.
type Expectation struct {
	Mount    string
	Settings []Setting
	Line     int
}

// ParseProject reads the text of a project's file; name is for messages and
// positions. Invalid, with file and line, for anything that is not exactly one.
// Of a value that is not a reference nothing is repeated: it may be a secret.
func ParseProject(name string, data []byte) (*Project, error) {
	f, p := file(name), &Project{File: name}
	top, err := f.root(data)
	if err != nil || top == nil {
		return p, err
	}
	pairs, err := f.mapping(top, "a project's file", "env", "expect", "never")
	if err != nil {
		for _, k := range []string{"mounts", "groups", "rules", "reveal", "notify"} {
			if strings.HasSuffix(err.Error(), "unknown key '"+k+"' in a project's file") {
				keyturn.AsError(err).Hint = "'" + k + "' decides, so it belongs in the operator's file; a project's only names and narrows"
			}
		}
		return nil, err
	}
	for _, k := range pairs {
		switch k.key {
		case "env":
			p.Env, err = f.env(k.node)
		case "expect":
			p.Expect, err = f.expect(k.node)
		case "never":
			p.Never, err = f.nevers(k.node)
		}
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (f file) env(n *yaml.Node) ([]Binding, error) {
	if isNull(n) {
		return nil, nil
	}
	pairs, err := f.mapping(n, "env")
	if err != nil {
		return nil, err
	}
	var out []Binding
	for _, p := range pairs {
		if why, hint := checkVariable(p.key); why != "" {
			return nil, f.errAt(p.line, quote(p.key)+" "+why, hint)
		}
		ref, err := f.ref(p)
		if err != nil {
			return nil, err
		}
		out = append(out, Binding{keyturn.Binding{Name: p.key, Ref: ref}, p.line})
	}
	return out, nil
}

// ref reads a value that must be a canonical reference and nothing else.
func (f file) ref(p pair) (keyturn.Ref, error) {
	if p.node.Kind != yaml.ScalarNode || !strings.HasPrefix(p.node.Value, keyturn.Scheme) {
		return keyturn.Ref{}, f.errAt(p.line, quote(p.key)+" is not given as a reference",
			"write kt://MOUNT/NAME#FIELD; a value is stored with 'keyturn put', settings without a secret belong elsewhere")
	}
	ref, err := keyturn.ParseRef(p.node.Value)
	if err != nil {
		hint := keyturn.AsError(err).Hint
		if canonical, ok := strings.CutPrefix(hint, "write "); ok {
			hint = "write it as it is spelled here, with " + keyturn.Scheme + " before it: " + canonical
		}
		return keyturn.Ref{}, f.errAt(p.line, "the reference of "+quote(p.key)+" is not in canonical form", hint)
	}
	return ref, nil
}

func checkVariable(name string) (why, hint string) {
	ok := name != "" && len(name) <= 256
	for i := 0; ok && i < len(name); i++ {
		c := name[i]
		ok = c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '_' || i > 0 && c >= '0' && c <= '9'
	}
	if !ok {
		return "cannot be the name of a variable", "use A-Z, 0-9 and _"
	}
	if variable.SteersMachines(name) || variable.SteersMachines(strings.ToUpper(name)) {
		return "is not for a project's file to set: it changes how programs run", "set it with --env if you mean it"
	}
	return "", ""
}

func (f file) expect(n *yaml.Node) ([]Expectation, error) {
	if isNull(n) {
		return nil, nil
	}
	pairs, err := f.mapping(n, "expect")
	if err != nil {
		return nil, err
	}
	var out []Expectation
	for _, p := range pairs {
		if err := f.mountName(p); err != nil {
			return nil, err
		}
		settings, err := f.mapping(p.node, "what is expected of "+quote(p.key))
		if err != nil {
			return nil, err
		}
		if len(settings) == 0 {
			return nil, f.errAt(p.line, "nothing is expected of "+quote(p.key), `write for instance {account: "123456789012"}`)
		}
		e := Expectation{Mount: p.key, Line: p.line}
		for _, s := range settings {
			v, err := f.setting(s)
			if err != nil {
				return nil, err
			}
			e.Settings = append(e.Settings, v)
		}
		out = append(out, e)
	}
	return out, nil
}

// nevers reads the rules of a project: they have who and on, and forbid
// everything.
func (f file) nevers(n *yaml.Node) ([]Rule, error) {
	if isNull(n) {
		return nil, nil
	}
	if n.Kind != yaml.SequenceNode {
		return nil, f.errAt(n.Line, "never is not a list", `write never: [{who: agents, on: ["prod/**"]}]`)
	}
	var out []Rule
	for _, c := range n.Content {
		if _, err := f.mapping(c, "a 'never' of a project", "who", "on"); err != nil {
			return nil, err
		}
		r, err := f.rule(c)
		if err != nil {
			return nil, err
		}
		for _, v := range keyturn.Verbs() {
			r.Never = append(r.Never, string(v))
		}
		out = append(out, r)
	}
	return out, nil
}

// Bindings returns the variables and their references, sorted by name.
func (p *Project) Bindings() []keyturn.Binding {
	if p == nil {
		return nil
	}
	out := make([]keyturn.Binding, len(p.Env))
	for i, b := range p.Env {
		out[i] = b.Binding
	}
	slices.SortFunc(out, func(a, b keyturn.Binding) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Digest is what trusting a project pins: its file's absolute path and the set
// of variables and references. Comments, order and what narrows do not count. It
// is "" for nil.
func (p *Project) Digest() string {
	if p == nil {
		return ""
	}
	h := sha256.New()
	add := func(s string) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	add("keyturn project 1")
	add(p.File)
	for _, b := range p.Bindings() {
		add(b.Name)
		add(b.Ref.String())
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Diff says what changed between two sets of bindings, a line for each, sorted by
// name: "+ NAME  REF", "- NAME  REF" or "~ NAME  OLD → NEW". Nothing if they are
// the same.
func Diff(old, now []keyturn.Binding) []string {
	before, after := map[string]string{}, map[string]string{}
	for _, b := range old {
		before[b.Name] = b.Ref.String()
	}
	for _, b := range now {
		after[b.Name] = b.Ref.String()
	}
	names := map[string]bool{}
	for n := range before {
		names[n] = true
	}
	for n := range after {
		names[n] = true
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, is := before[name], after[name]
		shown := keyturn.Visible(name)
		switch {
		case was == "":
			out = append(out, "+ "+shown+"  "+keyturn.Visible(is))
		case is == "":
			out = append(out, "- "+shown+"  "+keyturn.Visible(was))
		case was != is:
			out = append(out, "~ "+shown+"  "+keyturn.Visible(was)+" → "+keyturn.Visible(is))
		}
	}
	return out
}
