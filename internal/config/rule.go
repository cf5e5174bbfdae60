package config

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/keyturn/keyturn"
	yaml "go.yaml.in/yaml/v3"
)

// Rule is a rule as a file says it; what its words mean is not checked here. Its
// fields are those of rules.Source, so that the one converts to the other.
type Rule struct {
	Who, May, Never, On      []string
	Run, HTTP, Mounts, Hosts []string
	In, Env                  []string
	Needs                    bool // "needs" is there
	Approvals                int
	From, Proof              string
	Output                   string
	File                     string
	Line                     int
	Text                     string // the rule in one line, as Remember writes it
}

// Group is a named list of principals, as a file says it. Its fields are those of
// rules.Group.
type Group struct {
	Name    string
	Members []string
	File    string
	Line    int
}

var ruleKeys = []string{"who", "may", "never", "on", "run", "http", "mounts", "hosts", "in", "env", "output", "needs"}

func (f file) rules(n *yaml.Node) ([]Rule, error) {
	if isNull(n) {
		return nil, nil
	}
	if n.Kind != yaml.SequenceNode {
		return nil, f.errAt(n.Line, "rules is not a list", "begin each rule with '- '")
	}
	var out []Rule
	for _, c := range n.Content {
		r, err := f.rule(c)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func (f file) rule(n *yaml.Node) (Rule, error) {
	r := Rule{File: string(f), Line: n.Line}
	pairs, err := f.mapping(n, "a rule", ruleKeys...)
	if err != nil {
		return r, err
	}
	lists := map[string]*[]string{"who": &r.Who, "may": &r.May, "never": &r.Never, "on": &r.On,
		"run": &r.Run, "http": &r.HTTP, "mounts": &r.Mounts, "hosts": &r.Hosts, "in": &r.In, "env": &r.Env}
	for _, p := range pairs {
		switch p.key {
		case "needs":
			err = f.needs(p.node, &r)
		case "output":
			r.Output, err = f.text(p.node, p.key)
		default:
			*lists[p.key], err = f.list(p.node, p.key)
		}
		if err != nil {
			return r, err
		}
	}
	r.Text, err = r.OneLine()
	if err != nil {
		return r, f.errAt(r.Line, err.Error(), "")
	}
	return r, nil
}

func (f file) needs(n *yaml.Node, r *Rule) error {
	pairs, err := f.mapping(n, "needs", "approvals", "from", "proof")
	if err != nil {
		return err
	}
	r.Needs = true
	for _, p := range pairs {
		s, err := f.text(p.node, p.key)
		if err != nil {
			return err
		}
		switch p.key {
		case "from":
			r.From = s
		case "proof":
			r.Proof = s
		case "approvals":
			if r.Approvals, err = strconv.Atoi(s); err != nil || r.Approvals < 1 || r.Approvals > 100 || strconv.Itoa(r.Approvals) != s {
				return f.errAt(p.line, "approvals is not a number of 1 to 100", "write approvals: 1")
			}
		}
	}
	if r.Approvals == 0 {
		return f.errAt(n.Line, "needs has no approvals", "write needs: {approvals: 1}")
	}
	return nil
}

// OneLine renders r in one line, as it stands behind "- " in a file. Every text that
// is not a harmless word is quoted, so none can end its scalar or begin another.
func (r Rule) OneLine() (string, error) {
	var parts []string
	add := func(key string, list []string) {
		switch {
		case len(list) == 0:
		case len(list) == 1 && key == "who":
			parts = append(parts, key+": "+scalar(list[0]))
		default:
			out := make([]string, len(list))
			for i, s := range list {
				out[i] = scalar(s)
			}
			parts = append(parts, key+": ["+strings.Join(out, ", ")+"]")
		}
	}
	lists := [][]string{r.Who, r.May, r.Never, r.On, r.Run, r.HTTP, r.Mounts, r.Hosts, r.In, r.Env}
	for i, key := range ruleKeys[:len(lists)] {
		for _, s := range lists[i] {
			if s == "" || strings.ToValidUTF8(s, "") != s {
				return "", keyturn.E(keyturn.Invalid, "a text of this rule is empty or not UTF-8", "")
			}
		}
		add(key, lists[i])
	}
	if r.Output != "" {
		parts = append(parts, "output: "+scalar(r.Output))
	}
	if r.Needs {
		needs := "needs: {approvals: " + strconv.Itoa(r.Approvals)
		if r.From != "" {
			needs += ", from: " + scalar(r.From)
		}
		if r.Proof != "" {
			needs += ", proof: " + scalar(r.Proof)
		}
		parts = append(parts, needs+"}")
	}
	return "{" + strings.Join(parts, ", ") + "}", nil
}

// words that YAML, in one version or another, takes for something else than text.
var special = map[string]bool{"null": true, "true": true, "false": true, "yes": true, "no": true, "on": true,
	"off": true, "y": true, "n": true}

// scalar writes s so that YAML reads exactly s, whatever stands around it.
func scalar(s string) string {
	plain := s != "" && !special[s]
	for i := 0; plain && i < len(s); i++ {
		c := s[i]
		plain = c >= 'a' && c <= 'z' || i > 0 && (c >= '0' && c <= '9' || c == '-' || c == '_')
	}
	if plain {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x80 && r >= ' ' && r != 0x7f, r >= 0xa1 && unicode.IsPrint(r):
			b.WriteRune(r)
		case r <= 0xff:
			b.WriteString(`\x` + hexDigits(r, 2))
		case r <= 0xffff:
			b.WriteString(`\u` + hexDigits(r, 4))
		default:
			b.WriteString(`\U` + hexDigits(r, 8))
		}
	}
	b.WriteByte('"')
	return b.String()
}

func hexDigits(r rune, digits int) string {
	s := strconv.FormatInt(int64(r), 16)
	return strings.Repeat("0", max(0, digits-len(s))) + s
}
