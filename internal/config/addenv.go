package config

import (
	"bytes"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	yaml "go.yaml.in/yaml/v3"
)

// AddEnv returns the text of a project's file with bindings under 'env', in
// their order; old may be empty. A binding that is there already stays where it
// is. Everything else in the file keeps its bytes. The new text was read back and
// found to differ by these bindings alone.
//
// It is Conflict where a name stands for another reference, and Invalid where a
// name cannot be in a project's file, or where the entries are not written one
// below the other; then the hint has the lines to paste.
func AddEnv(name string, old []byte, bindings []keyturn.Binding) ([]byte, error) {
	f := file(name)
	before, err := ParseProject(name, old)
	if err != nil {
		return nil, err
	}
	var add []keyturn.Binding
	for _, b := range bindings {
		if why, hint := checkVariable(b.Name); why != "" {
			return nil, f.errAt(0, quote(b.Name)+" "+why, hint)
		}
		i := slices.IndexFunc(before.Env, func(x Binding) bool { return x.Name == b.Name })
		switch {
		case i < 0:
			add = append(add, b)
		case before.Env[i].Ref != b.Ref:
			return nil, keyturn.E(keyturn.Conflict, f.errAt(before.Env[i].Line, b.Name+" stands for another reference already", "").Message,
				"leave it out with --keep "+b.Name+", or change one of the two")
		}
	}
	if len(add) == 0 {
		return old, nil
	}
	top, err := f.root(old)
	if err != nil {
		return nil, err
	}
	at, head, indent := placeEnv(top, old)
	paste := strings.Join(envLines(add, "  "), "\n")
	if at < 0 {
		return nil, f.errAt(top.Line, "its entries are not written one below the other, so none can be added here", "add them yourself under 'env':\n"+paste)
	}
	nl := "\n"
	if i := bytes.IndexByte(old, '\n'); i > 0 && old[i-1] == '\r' {
		nl = "\r\n"
	}
	lines := bytes.SplitAfter(old, []byte("\n"))
	now := bytes.Join(lines[:at], nil)
	if len(now) > 0 && now[len(now)-1] != '\n' {
		now = append(now, nl...)
	}
	now = append(now, head...)
	if head != "" {
		now = append(now, nl...)
	}
	for _, l := range envLines(add, indent) {
		now = append(now, l+nl...)
	}
	now = append(now, bytes.Join(lines[at:], nil)...)
	if after, err := ParseProject(name, now); err != nil || !onlyEnvAdded(before, after, add) {
		return nil, f.errAt(0, "nothing can be added to this file without changing something else", "add it yourself under 'env':\n"+paste)
	}
	return now, nil
}

func envLines(list []keyturn.Binding, indent string) []string {
	out := make([]string, len(list))
	for i, b := range list {
		out[i] = indent + b.Name + `: "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(b.Ref.String()) + `"`
	}
	return out
}

// placeEnv finds where entries go: before the line with that index (from 0),
// under the line head if there is one. It returns -1 where they cannot go anywhere.
func placeEnv(top *yaml.Node, old []byte) (at int, head, indent string) {
	lines := bytes.SplitAfter(old, []byte("\n"))
	end := len(lines)
	if len(lines[end-1]) == 0 {
		end-- // what follows the last line's end is no line
	}
	if top == nil {
		return end, "env:", "  "
	}
	if top.Style&yaml.FlowStyle != 0 {
		return -1, "", ""
	}
	outer := strings.Repeat(" ", top.Column-1)
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, v := top.Content[i], top.Content[i+1]
		if key.Value != "env" {
			continue
		}
		switch {
		case isNull(v) && v.Value == "":
			return min(key.Line, end), "", outer + "  "
		case v.Kind != yaml.MappingNode || v.Style&yaml.FlowStyle != 0 || len(v.Content) == 0:
			return -1, "", ""
		}
		if i+2 < len(top.Content) {
			end = min(end, top.Content[i+2].Line-1)
		}
		for end > v.Line && isApart(lines[end-1], v.Column-1) {
			end--
		}
		return end, "", strings.Repeat(" ", v.Column-1)
	}
	return end, outer + "env:", outer + "  "
}

// onlyEnvAdded reports whether after is before with more bindings, and nothing
// else.
func onlyEnvAdded(before, after *Project, add []keyturn.Binding) bool {
	have := after.Bindings()
	want := append(before.Bindings(), add...)
	if len(have) != len(want) || len(after.Expect) != len(before.Expect) || len(after.Never) != len(before.Never) {
		return false
	}
	for _, b := range want {
		if !slices.Contains(have, b) {
			return false
		}
	}
	for i, r := range before.Never {
		if after.Never[i].Text != r.Text {
			return false
		}
	}
	return true
}
