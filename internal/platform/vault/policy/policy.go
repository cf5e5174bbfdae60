// Package policy reads the text of Vault's policies (policy.go), judges them (lint.go),
// and writes the least policy for a secret (least.go). It is pure: the caller passes in
// which engines are mounted.
//
// Facts about policies are from
// https://developer.hashicorp.com/vault/docs/concepts/policies.
package policy

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn"
)

// Rule is one path block of a policy.
type Rule struct {
	Path         string
	Capabilities []string
	Line         int // 0 in JSON, which tells no lines
}

// Capabilities lists the capabilities that Vault knows.
var Capabilities = []string{"create", "read", "update", "patch", "delete", "list", "sudo", "deny", "subscribe", "recover"}

// Parse reads the path blocks of a policy in HCL or JSON. It returns Invalid for a text
// that it cannot read. Vault may accept such a text: Parse knows only the part of HCL that
// policies use.
func Parse(text string) ([]Rule, error) {
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		return parseJSON(text)
	}
	p := &parser{text: text, line: 1}
	return p.policy()
}

func parseJSON(text string) ([]Rule, error) {
	var doc struct {
		Path map[string]struct {
			Capabilities []string `json:"capabilities"`
			Policy       string   `json:"policy"`
		} `json:"path"`
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return nil, keyturn.E(keyturn.Invalid, "this is not JSON of a policy", "it is {\"path\": {\"PATH\": {\"capabilities\": [\"read\"]}}}").Because(err)
	}
	var rules []Rule
	for path, r := range doc.Path {
		rules = append(rules, Rule{Path: path, Capabilities: append(r.Capabilities, legacy[r.Policy]...)})
	}
	slices.SortFunc(rules, func(a, b Rule) int { return strings.Compare(a.Path, b.Path) })
	return rules, nil
}

// legacy maps values of the old member 'policy' of a block to capabilities.
var legacy = map[string][]string{
	"deny": {"deny"}, "read": {"read", "list"}, "write": {"create", "read", "update", "delete", "list"},
	"sudo": {"create", "read", "update", "delete", "list", "sudo"},
}

// parser reads the part of HCL that policies use.
type parser struct {
	text string
	at   int
	line int
}

func (p *parser) wrong(why string) error {
	return keyturn.E(keyturn.Invalid, "line "+strconv.Itoa(p.line)+": "+why, "a block is: path \"PATH\" { capabilities = [\"read\"] }")
}

// space skips white space and comments.
func (p *parser) space() {
	for p.at < len(p.text) {
		rest := p.text[p.at:]
		switch {
		case rest[0] == '\n':
			p.line++
			p.at++
		case rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\r' || rest[0] == ',':
			p.at++
		case rest[0] == '#' || strings.HasPrefix(rest, "//"):
			if i := strings.IndexByte(rest, '\n'); i >= 0 {
				p.at += i
			} else {
				p.at = len(p.text)
			}
		case strings.HasPrefix(rest, "/*"):
			i := strings.Index(rest[2:], "*/")
			if i < 0 {
				p.at = len(p.text)
				return
			}
			p.line += strings.Count(rest[:i+4], "\n")
			p.at += i + 4
		default:
			return
		}
	}
}

// take consumes c where it is the next character.
func (p *parser) take(c byte) bool {
	p.space()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

// word consumes a name or a number; "" where there is none.
func (p *parser) word() string {
	p.space()
	from := p.at
	for p.at < len(p.text) {
		c := p.text[p.at]
		if c != '_' && c != '-' && c != '.' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			break
		}
		p.at++
	}
	return p.text[from:p.at]
}

// quoted consumes a text in quotes.
func (p *parser) quoted() (string, bool) {
	p.space()
	if p.at >= len(p.text) || p.text[p.at] != '"' {
		return "", false
	}
	end := p.at + 1
	for end < len(p.text) && p.text[end] != '"' && p.text[end] != '\n' {
		if p.text[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(p.text) || p.text[end] != '"' {
		return "", false
	}
	s, err := strconv.Unquote(p.text[p.at : end+1])
	p.at = end + 1
	return s, err == nil
}

func (p *parser) policy() ([]Rule, error) {
	var rules []Rule
	for {
		if p.space(); p.at >= len(p.text) {
			return rules, nil
		}
		name := p.word()
		if name == "" {
			name, _ = p.quoted()
		}
		line := p.line
		switch {
		case name == "path":
			p.take('=') // HCL takes it, too
			path, ok := p.quoted()
			if !ok {
				return nil, p.wrong("the path is not a text in quotes")
			}
			r, err := p.block()
			if err != nil {
				return nil, err
			}
			r.Path, r.Line = path, line
			rules = append(rules, r)
		case name == "name" && p.take('='):
			if err := p.value(0); err != nil {
				return nil, err
			}
		case name == "":
			return nil, p.wrong("something else stands where a block begins")
		default:
			return nil, p.wrong("'" + keyturn.Clean(name) + "' is no part of a policy")
		}
	}
}

// block reads the block of a path, with its braces.
func (p *parser) block() (Rule, error) {
	var r Rule
	if !p.take('{') {
		return r, p.wrong("a { is missing")
	}
	for !p.take('}') {
		name := p.word()
		if name == "" {
			name, _ = p.quoted()
		}
		if name == "" {
			return r, p.wrong("a } is missing, or something else stands where it should")
		}
		equals := p.take('=')
		switch {
		case name == "capabilities" && equals:
			list, err := p.list()
			if err != nil {
				return r, err
			}
			r.Capabilities = append(r.Capabilities, list...)
		case name == "policy" && equals:
			s, ok := p.quoted()
			if !ok {
				return r, p.wrong("policy takes a text in quotes")
			}
			r.Capabilities = append(r.Capabilities, legacy[s]...)
		default:
			if err := p.value(0); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

// list reads ["a", "b"].
func (p *parser) list() ([]string, error) {
	if !p.take('[') {
		return nil, p.wrong("a list begins with [")
	}
	out := []string{}
	for !p.take(']') {
		s, ok := p.quoted()
		if !ok {
			return nil, p.wrong("a list of texts in quotes ends with ]")
		}
		out = append(out, s)
	}
	return out, nil
}

// value skips a value of any kind.
func (p *parser) value(depth int) error {
	if depth > 20 {
		return p.wrong("it is nested too deep")
	}
	switch {
	case p.take('['):
		for !p.take(']') {
			if err := p.value(depth + 1); err != nil {
				return err
			}
		}
		return nil
	case p.take('{'):
		for !p.take('}') {
			if p.word() == "" {
				if _, ok := p.quoted(); !ok {
					return p.wrong("a } is missing")
				}
			}
			p.take('=')
			p.take(':')
			if err := p.value(depth + 1); err != nil {
				return err
			}
		}
		return nil
	}
	if p.word() != "" {
		return nil
	}
	if _, ok := p.quoted(); !ok {
		return p.wrong("a value is missing")
	}
	// A block with labels: control_group "name" { … }
	if p.space(); p.at < len(p.text) && p.text[p.at] == '{' {
		return p.value(depth + 1)
	}
	return nil
}
