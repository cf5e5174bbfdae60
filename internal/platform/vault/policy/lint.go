package policy

import (
	"slices"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn"
)

// Engine is a mounted engine, or a login method below "auth/".
type Engine struct {
	Path string // without a slash at its end
	KV   int    // version of a key/value engine, else 0
}

// below lists the first segments of paths below a kv-v2 engine.
var below = []string{"data", "metadata", "delete", "undelete", "destroy", "subkeys", "config"}

// Lint judges a policy. Findings describe rules that do something else than they seem
// to. An error describes a rule that Vault refuses or that nobody can mean. Without
// engines, Lint does not judge whether paths lead to a mount.
func Lint(rules []Rule, engines []Engine) (findings []string, err error) {
	if len(rules) == 0 {
		return []string{"the policy grants nothing: it has no path"}, nil
	}
	for _, r := range rules {
		if err := capabilities(r); err != nil {
			return nil, err
		}
		for _, f := range slices.Concat(paths(r), reach(r, engines), mountedAt(r, engines), useless(r)) {
			findings = append(findings, at(r)+f)
		}
	}
	return slices.Concat(findings, twice(rules), denials(rules)), nil
}

// twice finds paths that occur more than once. Vault adds up their capabilities, and deny
// removes all of them (https://developer.hashicorp.com/vault/docs/concepts/policies#policy-syntax).
func twice(rules []Rule) (out []string) {
	for i, r := range rules {
		before := slices.IndexFunc(rules[:i], func(b Rule) bool { return b.Path == r.Path })
		switch {
		case before < 0:
		case slices.Contains(r.Capabilities, "deny") != slices.Contains(rules[before].Capabilities, "deny"):
			out = append(out, at(r)+"this path is there twice, and deny takes away what the other one grants")
		default:
			out = append(out, at(r)+"this path is there twice: what both grant adds up")
		}
	}
	return out
}

// at returns the place of a rule, to begin a finding.
func at(r Rule) string {
	s := "'" + r.Path + "': "
	if r.Line > 0 {
		s = "line " + strconv.Itoa(r.Line) + ", " + s
	}
	return s
}

// capabilities refuses, as Invalid, capabilities that Vault does not know.
func capabilities(r Rule) error {
	for _, c := range r.Capabilities {
		if slices.Contains(Capabilities, c) {
			continue
		}
		e := keyturn.E(keyturn.Invalid, at(r)+"there is no capability '"+keyturn.Clean(c)+"'", "there are "+strings.Join(Capabilities, ", "))
		meant := map[string]string{"write": "create, update", "put": "create, update", "get": "read", "view": "read", "remove": "delete", "destroy": "update, on ENGINE/destroy/NAME", "all": "each by its name", "*": "each by its name"}
		if m := meant[strings.ToLower(c)]; m != "" {
			e.Hint = "Vault calls that: " + m
		} else if near := keyturn.Nearest(strings.ToLower(c), slices.Values(Capabilities)); near != "" {
			e.Hint = "did you mean '" + near + "'?"
		}
		return e
	}
	return nil
}

// paths finds mistakes in the spelling of a path.
func paths(r Rule) (out []string) {
	p := r.Path
	if strings.HasPrefix(p, "v1/") || strings.HasPrefix(p, "/v1/") {
		out = append(out, "v1/ is part of an address, not of a path: write '"+strings.TrimPrefix(strings.TrimPrefix(p, "/"), "v1/")+"'")
	}
	if i := strings.IndexByte(p, '*'); i >= 0 && i < len(p)-1 {
		out = append(out, "a * that is not at the end stands for itself: + stands for one whole segment")
	}
	for seg := range strings.SplitSeq(p, "/") {
		if strings.Contains(seg, "+") && seg != "+" {
			out = append(out, "a + within a segment stands for itself: it has to be the whole segment")
			break
		}
	}
	return out
}

// reach finds wildcards that match more than they seem to.
func reach(r Rule, engines []Engine) (out []string) {
	if found := far(r); found != nil {
		return found
	}
	stem, star := strings.CutSuffix(r.Path, "*")
	if !star || strings.Contains(stem, "*") || slices.Contains(r.Capabilities, "deny") {
		return nil
	}
	switch {
	case stem == "":
		return []string{"this is everything, the server's own settings included"}
	case strings.HasPrefix(stem, "sys/") && strings.Count(stem, "/") == 1:
		return []string{"this reaches the server's own settings: policies, engines, the seal"}
	case strings.HasPrefix("auth/", stem) || stem == "auth/":
		return []string{"this reaches the settings of all login methods, and their tokens"}
	case !strings.HasSuffix(stem, "/"):
		last := stem[strings.LastIndexByte(stem, '/')+1:]
		out = append(out, "this also reaches names that only begin like it, such as '"+last+"-other': write '"+stem+"/*' for what is below it")
	}
	for _, e := range engines {
		if e.KV == 2 && (stem == e.Path+"/" || stem == e.Path) {
			out = append(out, "this reaches all secrets of the engine, and their deletion: data/, metadata/, delete/, destroy/ and config")
		}
	}
	return out
}

// mountedAt finds paths that lead to no mount, or wrongly into one.
func mountedAt(r Rule, engines []Engine) []string {
	p := strings.TrimPrefix(r.Path, "/")
	if r.Path == "" {
		return []string{"an empty path is that of nothing, so it grants nothing"}
	}
	for _, e := range engines {
		if e.KV > 0 && (p == e.Path || p == e.Path+"/" && e.KV == 2) {
			return []string{"this is the engine and not what is in it, so it grants nothing: write '" + e.Path + map[int]string{1: "/NAME'", 2: "/data/NAME', or '" + e.Path + "/metadata/' to list"}[e.KV]}
		}
	}
	if len(engines) == 0 || strings.HasPrefix(p, "sys/") || p == "sys" || strings.ContainsAny(first(p), "+*") || strings.Contains(p, "{{") && strings.Index(p, "{{") < len(first(p)) {
		return nil
	}
	var names []string
	for _, e := range engines {
		rest, within := strings.CutPrefix(p, e.Path+"/")
		if found := trailing(r); within && e.KV > 0 && found != nil {
			return found
		}
		if within && e.KV == 2 {
			return version2(e, rest, r)
		}
		if within || strings.HasPrefix(e.Path+"/", strings.TrimSuffix(p, "*")) {
			return nil
		}
		names = append(names, e.Path)
	}
	said := "nothing is mounted there, so it grants nothing now"
	if near := keyturn.Nearest(first(p), slices.Values(names)); near != "" {
		said += ": did you mean '" + near + strings.TrimPrefix(p, first(p)) + "'?"
	}
	return []string{said}
}

// trailing finds a path within a key/value engine that ends in a slash.
func trailing(r Rule) []string {
	path, slash := strings.CutSuffix(r.Path, "/")
	if !slash || !slices.ContainsFunc(r.Capabilities, func(c string) bool { return c != "list" && c != "deny" && c != "sudo" }) {
		return nil
	}
	return []string{"no secret's path ends in /, which only list is asked with: write '" + path + "', or '" + path + "/*' for what is below it"}
}

// version2 finds mistakes in a path within a kv-v2 engine.
func version2(e Engine, rest string, r Rule) []string {
	head, tail, _ := strings.Cut(rest, "/")
	if head == "+" && tail != "" && !slices.Contains(r.Capabilities, "deny") {
		return []string{"this + stands for data, metadata, delete, undelete, destroy and subkeys alike: write '" + e.Path + "/data/" + tail + "' for the secret"}
	}
	if stem, star := strings.CutSuffix(head, "*"); star && slices.ContainsFunc(below, func(b string) bool { return strings.HasPrefix(b, stem) }) || head == "+" || rest == "" {
		return nil
	}
	if !slices.Contains(below, head) {
		under := "data"
		if len(r.Capabilities) > 0 && !slices.ContainsFunc(r.Capabilities, func(c string) bool { return c != "list" }) {
			under = "metadata"
		}
		return []string{"data/ is forgotten: under " + e.Path + ", an engine of version 2, write '" + e.Path + "/" + under + "/" + rest + "'"}
	}
	changes := func(c string) bool { return c == "update" || c == "create" || c == "deny" }
	if slices.Contains([]string{"delete", "undelete", "destroy"}, head) && len(r.Capabilities) > 0 && !slices.ContainsFunc(r.Capabilities, changes) {
		return []string{"under " + head + "/ versions are named in a request that needs update, which is missing"}
	}
	if head == "data" && slices.Contains(r.Capabilities, "list") {
		return []string{"list does nothing under data/: names are listed under '" + e.Path + "/metadata/" + tail + "'"}
	}
	return nil
}

// useless finds a rule whose own capabilities cancel each other.
func useless(r Rule) []string {
	switch {
	case len(r.Capabilities) == 0:
		return []string{"it has no capabilities, and grants nothing"}
	case slices.Contains(r.Capabilities, "deny") && len(r.Capabilities) > 1:
		return []string{"deny takes away all other capabilities of the same path"}
	}
	return nil
}

// denials finds denials that another path of the same policy overrides: only the most
// specific path counts.
func denials(rules []Rule) (out []string) {
	for _, deny := range rules {
		if !slices.Contains(deny.Capabilities, "deny") {
			continue
		}
		stem, star := strings.CutSuffix(deny.Path, "*")
		for _, r := range rules {
			past := star && strings.HasPrefix(r.Path, stem) || !Wild(r.Path) && matches(deny.Path, r.Path)
			if past && r.Path != deny.Path && !slices.Contains(r.Capabilities, "deny") {
				out = append(out, at(deny)+"deny does not hold for '"+r.Path+"': the more specific path counts")
			}
		}
		if !granted(deny, rules) {
			out = append(out, at(deny)+"nothing in this policy grants it: deny changes something only for tokens that another policy lets in there")
		}
	}
	return out
}

// granted reports whether another path of the policy grants, or may grant, a denied one.
func granted(deny Rule, rules []Rule) bool {
	for _, r := range rules {
		if slices.Contains(r.Capabilities, "deny") {
			continue
		}
		if matches(r.Path, deny.Path) || matches(deny.Path, r.Path) || Wild(r.Path) && Wild(deny.Path) && first(r.Path) == first(deny.Path) {
			return true
		}
	}
	return false
}

func first(p string) string {
	head, _, _ := strings.Cut(p, "/")
	return head
}

// matches reports whether a path of a policy matches a name: + is one segment, * at the
// end is any rest (https://developer.hashicorp.com/vault/docs/concepts/policies#policy-syntax).
func matches(path, name string) bool {
	stem, star := strings.CutSuffix(path, "*")
	want, have := strings.Split(stem, "/"), strings.Split(name, "/")
	if len(have) < len(want) || len(have) > len(want) && !star {
		return false
	}
	for i, seg := range want {
		last := star && i == len(want)-1
		switch {
		case last && strings.HasPrefix(have[i], seg):
		case seg == "+" && !last && have[i] != "":
		case seg == have[i] && !last:
		default:
			return false
		}
	}
	return true
}

// far finds wildcards that let a token give itself more rights, or seal the server.
func far(r Rule) []string {
	changes := slices.ContainsFunc(r.Capabilities, func(c string) bool { return c == "create" || c == "update" || c == "sudo" })
	switch {
	case !Wild(r.Path) || slices.Contains(r.Capabilities, "deny"):
		return nil
	case first(r.Path) == "+" && (matches(r.Path, "sys/seal") || matches(r.Path, "sys/policies/acl/x")):
		return []string{"the + stands for each engine, and for the server's own settings: policies, engines, the seal"}
	case changes && strings.HasPrefix(r.Path, "sys/") && r.Path != "sys/*" && (matches(r.Path, "sys/policies/acl/x") || matches(r.Path, "sys/policy/x")):
		return []string{"this writes any policy, and whoever may do that may do everything"}
	case changes && strings.HasPrefix(r.Path, "auth/") && r.Path != "auth/*" && matches(r.Path, "auth/token/create"):
		return []string{"this makes tokens, and revokes those of others"}
	}
	return nil
}
