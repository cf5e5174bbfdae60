package files

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/migrate/judge"
	"github.com/keyturn/keyturn/internal/migrate/places"
)

// startWith ends a variable in a rewritten compose file. Compose shows it as an error
// when it is started without the value: by its specification, "Interpolation",
// ${NAME:?message} is an error if NAME is unset or empty.
const startWith = ":?start with keyturn run -- docker compose up}"

// composeBody is a compose file.
type composeBody struct {
	yaml  *places.File
	names map[string]bool // variables that the file uses already
	seen  map[*yaml.Node]bool
	opts  Options
	walker
}

func isCompose(name string, y *places.File) bool {
	base := strings.ToLower(filepath.Base(filepath.ToSlash(name)))
	named := strings.HasPrefix(base, "compose") || strings.HasPrefix(base, "docker-compose")
	var w walker
	for _, doc := range y.Docs {
		for _, p := range w.pairs(root(doc), 0) {
			if p.key.Value != "services" {
				continue
			}
			if named {
				return true
			}
			for _, service := range w.pairs(p.value, 0) {
				for _, q := range w.pairs(service.value, 0) {
					if q.key.Value == "image" || q.key.Value == "build" {
						return true
					}
				}
			}
		}
	}
	return false
}

func root(doc *yaml.Node) *yaml.Node {
	if len(doc.Content) == 0 {
		return nil
	}
	return doc.Content[0]
}

// pair is a key of a mapping and its value, aliases followed.
type pair struct{ key, value *yaml.Node }

// walker follows aliases and merges and counts its steps, because a small file can
// expand to a very large one.
type walker struct{ spent int }

// pairs returns the pairs of a mapping, including those that it merges (<<).
func (w *walker) pairs(n *yaml.Node, depth int) []pair {
	n = follow(n)
	if w.spent++; depth > maxDepth {
		w.spent = maxNodes + 1 // rather than to leave something unseen
	}
	if n == nil || w.spent > maxNodes {
		return nil
	}
	var out []pair
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].ShortTag() == "!!merge" {
				out = append(out, w.pairs(n.Content[i+1], depth+1)...)
			} else {
				out = append(out, pair{n.Content[i], follow(n.Content[i+1])})
			}
			w.spent++
		}
	case yaml.SequenceNode:
		if depth > 0 { // << with a list of mappings
			for _, c := range n.Content {
				out = append(out, w.pairs(c, depth+1)...)
			}
		}
	}
	return out
}

func follow(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode { // an alias of an alias is none in YAML
		n = n.Alias
	}
	return n
}

func readCompose(f *File, y *places.File, o Options) error {
	b := &composeBody{yaml: y, names: map[string]bool{}, seen: map[*yaml.Node]bool{}, opts: o}
	f.kind, f.body = Compose, b
	for _, l := range y.Leaves {
		for _, v := range interpolate(l.Text).vars {
			b.names[v.name] = true
		}
	}
	for _, doc := range y.Docs {
		for _, p := range b.pairs(root(doc), 0) {
			switch p.key.Value {
			case "services":
				for _, service := range b.pairs(p.value, 0) {
					b.service(f, service)
				}
			case "secrets", "configs":
				f.notice(p.key.Line, p.key.Value, "is left alone: what it names are files and variables of their own")
			case "include":
				f.notice(p.key.Line, p.key.Value, "names other compose files, which are migrated one by one")
			}
		}
	}
	slices.SortStableFunc(f.items, func(x, y item) int { return x.leaf - y.leaf })
	b.name(f)
	if b.spent > maxNodes {
		return places.Bad(f.name, 0, "the file's aliases and merges (<<) stand for too much", "write the values out")
	}
	return nil
}

// service reads the variables that a service gives to its containers and its build.
func (b *composeBody) service(f *File, service pair) {
	name := service.key.Value
	if service.value == nil || b.seen[service.value] {
		return
	}
	b.seen[service.value] = true
	for _, p := range b.pairs(service.value, 0) {
		switch p.key.Value {
		case "environment":
			b.environment(f, name, p.value, 0)
		case "build":
			for _, q := range b.pairs(p.value, 0) {
				if q.key.Value == "args" {
					b.environment(f, name, q.value, 0)
				}
			}
		case "env_file":
			b.envFile(f, p)
		case "extends":
			for _, q := range b.pairs(p.value, 0) {
				if q.key.Value == "file" {
					f.notice(q.key.Line, "extends", "names another compose file, which is migrated by itself")
				}
			}
		case "command", "entrypoint", "healthcheck", "labels":
			b.mentions(f, p.value, 0)
		}
	}
}

// envFile adds a notice about each file of variables that compose itself reads.
func (b *composeBody) envFile(f *File, p pair) {
	if p.value == nil || b.seen[p.value] {
		return
	}
	b.seen[p.value] = true
	tell := func(n *yaml.Node) {
		if n = follow(n); n != nil && n.Kind == yaml.ScalarNode && n.Value != "" {
			f.notice(n.Line, "env_file", "names "+keyturn.Quote(keyturn.Clean(n.Value))+
				", which compose hands on as it is written: name its variables under environment, as NAME: ${NAME}, and migrate it too")
		}
	}
	tell(p.value)
	if p.value.Kind == yaml.SequenceNode {
		for _, c := range p.value.Content {
			tell(c)
			for _, q := range b.pairs(c, 0) {
				if q.key.Value == "path" {
					tell(q.value)
				}
			}
		}
	}
}

// mentions adds a notice for each text that holds a secret but cannot move as a whole.
func (b *composeBody) mentions(f *File, n *yaml.Node, depth int) {
	n = follow(n)
	if n == nil || b.seen[n] || depth > maxDepth {
		return
	}
	b.seen[n] = true
	if n.Kind == yaml.ScalarNode {
		if t := interpolate(n.Value); t.ok && judge.Certain(t.text) != "" {
			f.notice(n.Line, "command", "or label seems to hold a secret inside other text, which stays: write ${NAME} there")
		}
		return
	}
	for _, c := range n.Content {
		b.mentions(f, c, depth+1)
	}
}

// environment reads a map or a list of variables.
func (b *composeBody) environment(f *File, service string, n *yaml.Node, depth int) {
	n = follow(n)
	if n == nil || b.seen[n] || depth > maxDepth {
		return
	}
	b.seen[n] = true
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if key.ShortTag() == "!!merge" {
				b.merged(f, service, value, depth+1)
				continue
			}
			b.variable(f, service, key.Value, value, false)
		}
	case yaml.SequenceNode:
		for _, c := range n.Content {
			if v := follow(c); v != nil && v.Kind == yaml.ScalarNode {
				if name, _, ok := strings.Cut(v.Value, "="); ok {
					b.variable(f, service, name, v, true)
				}
			}
		}
	}
}

// merged reads what a merge (<<) brings in: one mapping, or a list of mappings.
func (b *composeBody) merged(f *File, service string, n *yaml.Node, depth int) {
	if n = follow(n); n == nil {
		return
	}
	if n.Kind != yaml.SequenceNode {
		b.environment(f, service, n, depth)
		return
	}
	for _, c := range n.Content {
		b.environment(f, service, c, depth)
	}
}

// variable reads one variable. Each scalar of the file is read once.
func (b *composeBody) variable(f *File, service, name string, n *yaml.Node, listed bool) {
	n = follow(n)
	if n == nil || n.Kind != yaml.ScalarNode || b.seen[n] {
		return
	}
	at, ok := b.yaml.At(n)
	if !ok {
		return
	}
	b.seen[n] = true
	l := b.yaml.Leaves[at]
	begin, text := "", l.Text
	if listed {
		begin = name + "="
		text = strings.TrimPrefix(l.Text, begin)
	}
	path := slices.Clone(l.Path[1:])
	if listed {
		path[len(path)-1] = name
	}
	it := item{Entry: Entry{Name: name, Field: name, Where: dotted(path), Line: l.Line}, span: span{l.Start, l.End}}
	it.leaf, it.begin, it.owner = at, begin, service
	if len(path) > 0 && path[0] != "services" {
		it.owner = strings.TrimPrefix(path[0], "x-")
	}
	t := interpolate(text)
	it.Value = keyturn.NewValue(t.text)
	switch {
	case l.Kind == places.Number:
		// Compose writes numbers anew; only one that it writes as it stands is text.
		if v, err := strconv.ParseInt(text, 10, 64); err != nil || strconv.FormatInt(v, 10) != text {
			it.stuck = string(l.Kind)
		}
	case l.Kind != places.String:
		it.stuck = string(l.Kind)
	case !t.ok:
		it.stuck = "compose cannot read it: a $ that means itself is written $$"
	case len(t.vars) > 0:
		it.stuck = "filled in by compose from " + t.names()
		for _, v := range t.vars {
			if v.fallback != "" && judge.Of(v.name, []byte(v.fallback)).Leaning == judge.Moves {
				f.notice(l.Line, name, "has a default for "+keyturn.Clean(v.name)+" that stays in the file, and looks like a secret")
			}
		}
	}
	it.appraise(true, b.opts)
	if it.Reference != nil && !it.Foreign {
		it.Foreign, it.Why = true, "a reference, which compose cannot fill in by itself"
	}
	f.items = append(f.items, it)
}

// name gives each value the name of the variable that fills it in: its own name, or its
// service's name and its own if that name is taken by another value.
func (b *composeBody) name(f *File) {
	taken := map[string]bool{}
	for name := range b.names {
		taken[name] = true
	}
	for _, name := range b.opts.Taken {
		taken[name] = true
	}
	for i := range f.items {
		if base := variableName(f.items[i].Name); reserved(base) {
			taken[base] = true
		}
	}
	f.fields(func(it *item) string { return variableName(it.Name) },
		func(it *item) string { return variableName(strings.ToUpper(it.owner) + "_" + it.Name) }, taken)
}

// variableName turns s into the name of an environment variable.
func variableName(s string) string {
	var out strings.Builder
	for i, c := range s {
		ok := c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if i == 0 && c >= '0' && c <= '9' {
			out.WriteByte('_')
		}
		if ok {
			out.WriteRune(c)
		} else {
			out.WriteByte('_')
		}
	}
	if out.Len() == 0 {
		return "VALUE"
	}
	return out.String()
}

// reserved reports whether a variable of this name would change what the shell, docker
// or compose itself does. A container's variable then needs another name.
func reserved(name string) bool {
	upper := strings.ToUpper(name)
	switch upper {
	case "PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "TERM", "LANG", "TMPDIR", "TEMP", "TMP", "IFS", "HOSTNAME",
		"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "GODEBUG", "KUBECONFIG", "EDITOR":
		return true
	}
	for _, p := range []string{"DOCKER_", "COMPOSE_", "BUILDKIT_", "BUILDX_", "LD_", "DYLD_", "SSH_", "KEYTURN_", "XDG_", "LC_", "OTEL_"} {
		if strings.HasPrefix(upper, p) {
			return true
		}
	}
	return false
}

func (b *composeBody) choose(*File) error { return nil }

func (b *composeBody) rewrite(f *File, secret keyturn.Ref) (Rewritten, error) {
	var out Rewritten
	texts := map[int]string{} // of a leaf
	var moved []*item
	lines := map[string]keyturn.Ref{}
	for i := range f.items {
		it := &f.items[i]
		ref, err := f.reference(it, secret)
		if err != nil {
			return Rewritten{}, err
		}
		if ref == nil {
			continue
		}
		moved = append(moved, it)
		texts[it.leaf] = it.begin + "${" + it.Field + startWith
		if was, ok := lines[it.Field]; ok && was != *ref {
			return Rewritten{}, wrong(f, it)
		} else if !ok {
			out.Env = append(out.Env, EnvLine{it.Field, *ref})
		}
		lines[it.Field] = *ref
	}
	var err error
	out.Data, err = replace(f, b.yaml.Leaves, moved, texts, b.same)
	if err != nil {
		return Rewritten{}, err
	}
	return out, nil
}

func (b *composeBody) same(f *File, data []byte, changed map[int]string) bool {
	after, err := places.ReadYAML(f.name, data)
	return err == nil && places.SameYAML(b.yaml, after, changed)
}
