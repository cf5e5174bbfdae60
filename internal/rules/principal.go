package rules

import (
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
)

// The principals that stand for many.
const (
	Agents   = "agents"
	Services = "services"
	Everyone = "everyone"
)

const maxPrincipal = 512

// Kinds of principal that stand before a colon. The platforms' own are known so
// that they can be refused with a reason.
var (
	ownKinds      = []string{"user", "agent", "service", "oidc"}
	platformKinds = []string{"vault", "aws", "azure", "gcp", "k8s"}
	// no group may be called so: each would look like a principal and be none.
	reserved = map[string]string{
		"user": "user:NAME", "users": "user:NAME", "people": "user:NAME", "humans": "user:NAME",
		"agent": Agents, "service": Services, "anyone": Everyone, "all": Everyone, "nobody": "",
	}
)

// Principal is who a rule speaks of, in the one grammar of keyturn:
//
//	user:NAME  agents  agent:NAME  services  service:NAME  everyone
//	oidc:group:NAME  oidc:sub:NAME  and groups by a bare name
//	vault:approle/myapp  aws:role/ARN  azure:spn/ID  gcp:serviceAccount/…  k8s:sa/ns/name
//
// Names are compared byte for byte. There are no patterns in it.
type Principal string

// ParsePrincipal reads a principal; Invalid for anything outside of the grammar.
// It does not know which groups exist.
func ParsePrincipal(s string) (Principal, error) {
	bad := func(why, hint string) (Principal, error) {
		return "", keyturn.E(keyturn.Invalid, quote(s)+" is not a principal: "+why, hint)
	}
	const forms = "write user:NAME, agents, agent:NAME, services, service:NAME, everyone, oidc:group:NAME, oidc:sub:NAME, or a group's name"
	switch {
	case s == "":
		return bad("it is empty", forms)
	case len(s) > maxPrincipal:
		return bad("it is too long", "a principal may have 512 bytes")
	case keyturn.Clean(s) != s || strings.TrimSpace(s) != s:
		return bad("it has control or invisible characters, or space around it", "write it without them")
	case strings.Contains(s, "*"):
		return bad("there are no patterns for principals", "write everyone, agents or services, or list the names in a group")
	}
	kind, name, colon := strings.Cut(s, ":")
	if !colon {
		if s == Agents || s == Services || s == Everyone {
			return Principal(s), nil
		}
		if instead, ok := reserved[s]; ok {
			return bad("no group may be called so", strings.TrimSuffix("write "+instead, "write "))
		}
		if !isWord(s) {
			return bad("a group is named with a-z, 0-9, - and _, beginning with a letter", forms)
		}
		return Principal(s), nil
	}
	switch kind {
	case "user", "agent", "service":
		if name == "" {
			return bad("a name is missing", "write "+kind+":NAME")
		}
		return Principal(s), nil
	case "oidc":
		what, claim, _ := strings.Cut(name, ":")
		if (what != "group" && what != "sub") || claim == "" {
			return bad("of OIDC only group and sub are known", "write oidc:group:NAME or oidc:sub:NAME")
		}
		return Principal(s), nil
	}
	for _, p := range platformKinds {
		if kind == p {
			if what, id, _ := strings.Cut(name, "/"); what == "" || id == "" {
				return bad("a platform's principal has a kind and a name", "write for instance vault:approle/myapp or k8s:sa/default/web")
			}
			return Principal(s), nil
		}
	}
	if near := keyturn.Nearest(kind, slices.Values(slices.Concat(ownKinds, platformKinds))); near != "" {
		return bad("unknown kind", "did you mean '"+near+":'?")
	}
	return bad("unknown kind", forms)
}

// OnPlatform reports whether p is known to a platform only, such as
// "vault:approle/myapp". No caller of keyturn is such a principal.
func (p Principal) OnPlatform() bool {
	kind, _, colon := strings.Cut(string(p), ":")
	if !colon {
		return false
	}
	for _, k := range platformKinds {
		if k == kind {
			return true
		}
	}
	return false
}

// IsGroup reports whether p is the name of a group.
func (p Principal) IsGroup() bool {
	return !strings.Contains(string(p), ":") && p != Agents && p != Services && p != Everyone
}

// machine reports whether p can only be an agent or a service.
func (p Principal) machine() bool {
	s := string(p)
	return p == Agents || p == Services || strings.HasPrefix(s, "agent:") || strings.HasPrefix(s, "service:")
}

// identities returns every principal that a is, groups left out; none for
// nobody: an actor of no known kind or without a name.
func identities(a keyturn.Actor) map[Principal]bool {
	if a.Name == "" {
		return nil
	}
	ids := map[Principal]bool{Everyone: true}
	switch a.Kind {
	case keyturn.Person:
	case keyturn.Agent:
		ids[Agents] = true
	case keyturn.ServiceKind:
		ids[Services] = true
	default:
		return nil
	}
	ids[Principal(a.Principal())] = true
	// Only what an identity provider vouches for comes from Also: it can make
	// nobody another user, and no agent a person.
	for _, also := range a.Also {
		if strings.HasPrefix(also, "oidc:group:") || strings.HasPrefix(also, "oidc:sub:") {
			ids[Principal(also)] = true
		}
	}
	return ids
}

func isWord(s string) bool {
	if s == "" || len(s) > 63 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}
