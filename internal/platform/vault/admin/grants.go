package admin

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/policy"
)

func grantActions() []action {
	inputs := []keyturn.Input{
		{Name: "principal", Kind: keyturn.InputText, Short: "who", Place: true, Required: true},
		{Name: "ref", Kind: keyturn.InputOn, Short: "the secret", Place: true, Required: true},
		{Name: "can", Kind: keyturn.InputList, Short: "what it may do", Required: true, Choices: policy.Words},
		{Name: "name", Kind: keyturn.InputText, Short: "of the policy; without it, METHOD-NAME-policy"},
		expects,
	}
	return []action{
		{Action: keyturn.Action{
			Name: keyturn.ActionCheckGrant, Operation: "check-grant", Short: "Show what a grant would change", Reads: true,
			Long:    "Show what 'keyturn vault policy grant' would change, and whether it could, and change\nnothing.",
			Example: "  keyturn vault policy check-grant vault:approle/myapp vault/secret/myapp/config --can read",
			Inputs:  inputs,
		}, Do: checkGrant},
		{Action: keyturn.Action{
			Name: keyturn.ActionGrant, Operation: "grant-policy", Short: "Let a principal do something with a secret", Document: "policy", Preview: keyturn.ActionCheckGrant,
			Long: `Let a principal do something with a secret, by the least policy that does: a policy of
the principal's own gets what it lacks, and the principal gets the policy. Its name is
METHOD-NAME-policy, but NAME-policy of vault:approle/NAME, or what --name says. --can takes read, list, describe, write, delete, restore, rollback and destroy, as
'keyturn vault policy for' says.

A principal is vault:METHOD/NAME: METHOD is where a login method is (approle, userpass,
kubernetes, jwt, oidc, ldap, cert), NAME a role or user there; or vault:entity/NAME and
vault:group/NAME. It is checked before anything is written that all of this can be done.
Then the policy is tested as 'keyturn vault policy for' does. A policy of that name that
the principal does not have is somebody else's, and is neither touched nor given, whatever
it grants: choose a --name.`,
			Example: "  keyturn vault policy grant vault:approle/myapp vault/secret/myapp/config --can read --yes\n  keyturn vault policy grant vault:approle/myapp vault/secret/myapp/config --can read,write --policy-out policy.hcl --yes",
			Columns: []string{"path", "capabilities", "tested"},
			Inputs:  inputs,
		}, Do: grantPolicy},
	}
}

// principal is a role, user, entity or group that has policies.
type principal struct {
	name   string         // as the caller wrote it
	at     string         // its path
	member string         // the member that lists its policies
	have   []string       // its policies
	live   bool           // a new policy also counts for tokens that exist already
	back   []string       // members that the server resets unless they are sent back
	data   map[string]any // all its members
	policy string         // the name of the policy that is its own
}

// principalTypes says, for each type of login method, where its principals are, which
// member lists their policies, and which members a write of only the policies resets
// (server 1.21): https://developer.hashicorp.com/vault/api-docs/auth
var principalTypes = map[string]struct {
	folder, member string
	back           []string
}{
	"approle": {"role", "token_policies", nil}, "kubernetes": {"role", "token_policies", nil},
	"userpass": {"users", "token_policies", nil}, "cert": {"certs", "token_policies", nil},
	"jwt": {"role", "token_policies", []string{"role_type", "bound_claims_type"}}, "oidc": {"role", "token_policies", []string{"role_type", "bound_claims_type"}},
	"ldap": {"users", "policies", []string{"groups"}},
}

// findPrincipal reads the principal that an action names.
func findPrincipal(ctx context.Context, s *server, said string) (principal, error) {
	bad := keyturn.E(keyturn.Invalid, quoted(said)+" is no principal of this platform", "write vault:METHOD/NAME, for instance vault:approle/myapp")
	rest, ok := strings.CutPrefix(said, "vault:")
	i := strings.LastIndexByte(rest, '/')
	if !ok || i <= 0 {
		return principal{}, bad
	}
	method, name := rest[:i], rest[i+1:]
	if name == "" || checkSegment("principal", name) != nil || checkPath("a login method", method) != nil || method != trimSlashes(method) {
		return principal{}, bad
	}
	h := principal{name: said, policy: strings.ToLower(strings.ReplaceAll(method, "/", "-") + "-" + name + "-policy"), data: map[string]any{}}
	if method == "entity" || method == "group" {
		h.at, h.member, h.live = "identity/"+method+"/name/"+name, "policies", true
	} else {
		m, err := loginMounts.at(ctx, s, method)
		if err != nil {
			return principal{}, err
		}
		kind := m.Type
		where, known := principalTypes[kind]
		if !known {
			return principal{}, keyturn.E(keyturn.Unsupported, "the login method "+quoted(method)+" is of type "+keyturn.Clean(kind)+", whose policies keyturn cannot change", "write the policy, and give it by hand: keyturn vault policy for")
		}
		if kind == "approle" {
			name = strings.ToLower(name)
		}
		if kind == "approle" && method == "approle" { // the usual one
			h.policy = name + "-policy"
		}
		h.at, h.member, h.back = "auth/"+method+"/"+where.folder+"/"+name, where.member, where.back
	}
	if err := s.call(ctx, http.MethodGet, h.at, nil, &h.data); errors.Is(err, keyturn.NotFound) {
		have, _ := s.names(ctx, h.at[:strings.LastIndexByte(h.at, '/')])
		return principal{}, notFound(method, name, have)
	} else if err != nil {
		return principal{}, err
	}
	list, _ := h.data[h.member].([]any)
	for _, p := range list {
		if p, ok := p.(string); ok {
			h.have = append(h.have, p)
		}
	}
	return h, nil
}

// grant is a grant that planGrant found to be possible.
type grant struct {
	to     principal
	rules  []policy.Rule // granted
	before string        // the policy's text now
	after  string        // and with the grant
}

// planGrant checks that all steps of a grant can be done, and changes nothing.
func planGrant(ctx context.Context, s *server, a platform.Act) (g grant, err error) {
	if g.rules, err = leastRules(ctx, s, a); err != nil {
		return g, err
	}
	if g.to, err = findPrincipal(ctx, s, a.Args.Text("principal")); err != nil {
		return g, err
	}
	if a.Args.Has("name") {
		g.to.policy = strings.ToLower(a.Args.Text("name"))
	}
	name := g.to.policy
	if err := checkNewPolicyName(name); err != nil {
		return g, err
	}
	if err := s.requireCapability(ctx, g.to.at, "update"); err != nil {
		return g, err
	}
	if g.before, err = mayWritePolicy(ctx, s, name); err != nil {
		return g, err
	}
	if err := checkExpected(a, name, g.before); err != nil {
		return g, err
	}
	if g.after, err = policy.Grow(g.before, g.rules); err != nil {
		return g, err
	}
	// A grant that was cut short left one that grants this and nothing else.
	if g.before != "" && g.before != policy.Text(g.rules) && !slices.Contains(g.to.have, name) {
		return g, keyturn.E(keyturn.Conflict, "there is a policy "+quoted(name)+", which "+keyturn.Clean(g.to.name)+" does not have: it is somebody else's",
			"choose another one: keyturn vault policy grant "+keyturn.Quote(g.to.name)+" "+keyturn.Quote(a.On.Short())+" --can "+strings.Join(a.Args["can"], ",")+" --name NAME")
	}
	return g, nil
}

func (g grant) told(applied bool) keyturn.Told {
	return keyturn.Told{Change: &keyturn.TextChange{Name: g.to.policy, Before: g.before, After: g.after},
		Policy: &keyturn.PolicyTold{Name: g.to.policy, Text: g.after, Applied: applied}}
}

func checkGrant(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	g, err := planGrant(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	out := platform.Acted{Told: g.told(false)}
	switch has := slices.Contains(g.to.have, g.to.policy); {
	case has && g.before == g.after:
		out.Says = keyturn.Clean(g.to.name) + " may do that already, by its policy " + g.to.policy
	case has:
		out.Says = "the policy " + g.to.policy + " of " + keyturn.Clean(g.to.name) + " would grow"
	default:
		out.Says = keyturn.Clean(g.to.name) + " would get the policy " + g.to.policy
	}
	return out, nil
}

func grantPolicy(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	g, err := planGrant(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	name := g.to.policy
	if g.before != g.after {
		if err := putPolicy(ctx, s, name, g.after); err != nil {
			return platform.Acted{}, err
		}
	}
	out := platform.Acted{Told: g.told(true)}
	if !slices.Contains(g.to.have, name) {
		if err := givePolicy(ctx, s, &g.to); err != nil {
			e := *keyturn.AsError(err)
			e.Message = "the policy " + quoted(name) + " was written, but not given to " + keyturn.Clean(g.to.name) + " as it should be: " + e.Message
			return platform.Acted{}, &e
		}
	}
	out.Says = keyturn.Clean(g.to.name) + " may " + strings.Join(a.Args["can"], ", ") + " " + keyturn.Clean(a.On.Short()) + ", by its policy " + name
	if !g.to.live && !slices.Contains(g.to.have, name) {
		out.Says += ", from its next login on" // tokens that are there keep the policies that they have
	}
	testPolicy(ctx, s, name, policy.At(g.after, g.rules), &out)
	return out, nil
}

// givePolicy adds the principal's own policy to its policies. The server takes only the
// whole list, so a change that somebody else makes at that moment is lost, or ours is.
// Therefore the principal is read back and compared.
func givePolicy(ctx context.Context, s *server, h *principal) error {
	list := append(slices.Clone(h.have), h.policy)
	body := map[string]any{h.member: list}
	for _, m := range h.back {
		if v, ok := h.data[m]; ok {
			body[m] = v
		}
	}
	if err := s.call(ctx, http.MethodPost, h.at, body, nil); err != nil {
		return err
	}
	now, err := findPrincipal(ctx, s, h.name)
	if err != nil {
		return err
	}
	for _, p := range list {
		if !slices.Contains(now.have, p) {
			return keyturn.E(keyturn.Conflict, "somebody else changed its policies at the same time: it has no "+quoted(p), "look at it, and repeat the command")
		}
	}
	if other := h.differs(now); len(other) > 0 {
		return keyturn.E(keyturn.Conflict, "more of it has changed at the same time: "+joinSome(other), "look at it: keyturn or somebody else has changed what was not asked for")
	}
	return nil
}

// differs returns the members that changed, except for the policies and the server's
// counters.
func (h principal) differs(now principal) (out []string) {
	all := maps.Clone(h.data)
	maps.Copy(all, now.data)
	for _, m := range slices.Sorted(maps.Keys(all)) {
		counted := slices.Contains([]string{h.member, "policies", "last_update_time", "modify_index"}, m)
		if !counted && !reflect.DeepEqual(h.data[m], now.data[m]) {
			out = append(out, m)
		}
	}
	return out
}
