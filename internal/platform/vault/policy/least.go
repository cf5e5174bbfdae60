package policy

import (
	"maps"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
)

// Words lists what can be granted on a secret. Each word grants what keyturn's command of
// that name needs, and no more.
var Words = []string{"read", "list", "describe", "write", "delete", "restore", "rollback", "destroy"}

// Least returns the fewest rules that let a token do what words say with the secret at
// name in a key/value engine: one rule for each path, sorted. The word list grants
// listing the secret's folder, because Vault lists names by folders. In other engines name
// is a path of credentials, which can only be read. Where such credentials have a lease,
// read also grants renewing and revoking leases. Vault has no narrower path for these two;
// the random id of a lease, which nobody else learns, is what protects it
// (https://developer.hashicorp.com/vault/api-docs/system/leases).
func Least(e Engine, name string, words []string) ([]Rule, error) {
	grants := map[string][]string{}
	grant := func(path string, capabilities ...string) {
		for _, c := range capabilities {
			if !slices.Contains(grants[path], c) {
				grants[path] = append(grants[path], c)
			}
		}
	}
	folder := ""
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		folder = name[:i+1]
	}
	for _, w := range words {
		if e.KV == 2 {
			two(grant, e.Path, name, folder, w)
			continue
		}
		if e.KV == 0 {
			if w != "read" {
				return nil, keyturn.E(keyturn.Unsupported, "credentials that are made when they are asked for can only be read", "write --can read, which lets it renew and revoke them, too")
			}
			grant(e.Path+"/"+name, "read")
			if strings.HasPrefix(name, "creds/") {
				grant("sys/leases/renew", "update")
				grant("sys/leases/revoke", "update")
			}
			continue
		}
		switch w {
		case "read":
			grant(e.Path+"/"+name, "read")
		case "list", "describe": // that it is there is all that is known of a secret
			grant(e.Path+"/"+folder, "list")
		case "write":
			grant(e.Path+"/"+name, "create", "update")
		case "destroy":
			grant(e.Path+"/"+folder, "list")
			grant(e.Path+"/"+name, "delete")
		default:
			return nil, keyturn.E(keyturn.Unsupported, "an engine of version 1 keeps no versions: there is no "+w, "read, list, describe, write and destroy are what it has")
		}
	}
	var out []Rule
	for _, p := range slices.Sorted(maps.Keys(grants)) {
		slices.Sort(grants[p])
		out = append(out, Rule{Path: p, Capabilities: grants[p]})
	}
	return out, nil
}

// two grants what one word needs in a kv-v2 engine.
func two(grant func(string, ...string), engine, name, folder, word string) {
	switch word {
	case "read":
		grant(engine+"/data/"+name, "read")
	case "list":
		grant(engine+"/metadata/"+folder, "list")
	case "describe":
		grant(engine+"/metadata/"+name, "read")
		grant(engine+"/subkeys/"+name, "read")
	case "write":
		grant(engine+"/data/"+name, "create", "update")
	case "delete":
		grant(engine+"/data/"+name, "delete")
	case "restore":
		grant(engine+"/metadata/"+name, "read") // which version is newest, and deleted
		grant(engine+"/undelete/"+name, "update")
	case "rollback":
		grant(engine+"/data/"+name, "create", "read", "update")
		grant(engine+"/metadata/"+name, "read") // which versions there are
	case "destroy":
		grant(engine+"/destroy/"+name, "update")
		grant(engine+"/metadata/"+name, "delete", "read")
	}
}

// Text returns rules as HCL.
func Text(rules []Rule) string {
	var b strings.Builder
	for i, r := range rules {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString("path \"" + escape(r.Path) + "\" {\n  capabilities = [")
		for j, c := range r.Capabilities {
			if j > 0 {
				b.WriteString(", ")
			}
			b.WriteString("\"" + c + "\"")
		}
		b.WriteString("]\n}\n")
	}
	return b.String()
}

// Grow returns the policy text with rules added, or text itself where it grants them
// already. A text that keyturn wrote is written anew, sorted; to any other text the rules
// are appended. Grow returns Conflict where text denies one of the rules, and Unsupported
// where text cannot be read.
func Grow(text string, rules []Rule) (string, error) {
	if strings.TrimSpace(text) == "" {
		return Text(rules), nil
	}
	have, err := Parse(text)
	if err != nil || strings.HasPrefix(strings.TrimSpace(text), "{") {
		return "", keyturn.E(keyturn.Unsupported, "the policy is not in the HCL that keyturn can add to", "choose another --name, or add it by hand: keyturn vault policy write").Because(err)
	}
	var add []Rule
	for _, r := range rules {
		missing := slices.Clone(r.Capabilities)
		for _, h := range have {
			if h.Path != r.Path {
				continue
			}
			if slices.Contains(h.Capabilities, "deny") {
				return "", keyturn.E(keyturn.Conflict, "the policy denies '"+keyturn.Clean(r.Path)+"'", "choose another --name, or change it: keyturn vault policy read")
			}
			missing = slices.DeleteFunc(missing, func(c string) bool { return slices.Contains(h.Capabilities, c) })
		}
		if len(missing) > 0 {
			add = append(add, Rule{Path: r.Path, Capabilities: missing})
		}
	}
	if len(add) == 0 {
		return text, nil
	}
	if Text(have) != text { // people's own words stay as they are
		return strings.TrimRight(text, "\n") + "\n\n" + Text(add), nil
	}
	byPath := map[string][]string{}
	for _, r := range slices.Concat(have, add) {
		byPath[r.Path] = append(byPath[r.Path], r.Capabilities...)
	}
	var all []Rule
	for _, p := range slices.Sorted(maps.Keys(byPath)) {
		slices.Sort(byPath[p])
		all = append(all, Rule{Path: p, Capabilities: slices.Compact(byPath[p])})
	}
	return Text(all), nil
}

// At returns all capabilities that a policy grants on the paths of rules.
func At(text string, rules []Rule) []Rule {
	have, err := Parse(text)
	if err != nil {
		return rules
	}
	var out []Rule
	for _, r := range rules {
		all := Rule{Path: r.Path}
		for _, h := range have {
			if h.Path == r.Path {
				all.Capabilities = append(all.Capabilities, h.Capabilities...)
			}
		}
		slices.Sort(all.Capabilities)
		all.Capabilities = slices.Compact(all.Capabilities)
		out = append(out, all)
	}
	return out
}

// escape escapes a path for a text in quotes. A template or wildcard cannot be escaped:
// the caller has refused such names (Wild).
func escape(s string) string { return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) }

// Wild reports whether a policy would take a name for a pattern or a template.
func Wild(name string) bool {
	if strings.HasSuffix(name, "*") || strings.Contains(name, "{{") || strings.Contains(name, "${") || strings.Contains(name, "%{") {
		return true
	}
	for seg := range strings.SplitSeq(name, "/") {
		if seg == "+" {
			return true
		}
	}
	return false
}
