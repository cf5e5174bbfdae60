package policy

import (
	"slices"
	"strings"
)

// matches reports whether a path of a policy takes in another one: + is one segment, *
// at the end is whatever begins so
// (https://developer.hashicorp.com/vault/docs/concepts/policies#policy-syntax).
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

// far looks at wildcards that reach what makes their holder more than it seems to be.
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
