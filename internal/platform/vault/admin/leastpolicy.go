package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
	"github.com/keyturn/keyturn/internal/platform/vault/policy"
)

// leastPolicy is the policy that grants the least for one secret.
type leastPolicy struct {
	name, text string
	rules      []policy.Rule
}

func makeLeastPolicy(ctx context.Context, s *server, a platform.Act) (leastPolicy, error) {
	rules, err := leastRules(ctx, s, a)
	if err != nil {
		return leastPolicy{}, err
	}
	name := strings.ToLower(a.Args.Text("name"))
	if name == "" {
		words := slices.Clone(a.Args["can"])
		slices.Sort(words)
		name = policyNameOf(a.On.Name()) + "-" + strings.Join(slices.Compact(words), "-")
	}
	if err := checkNewPolicyName(name); err != nil {
		return leastPolicy{}, err
	}
	return leastPolicy{name, policy.Text(rules), rules}, nil
}

// policyNameOf turns a secret's name into part of a policy's name: small letters, with -
// for /. Where another secret could get the same name, a part of the SHA-256 is added.
func policyNameOf(secret string) string {
	plain := strings.ToLower(strings.ReplaceAll(secret, "/", "-"))
	last := secret[strings.LastIndexByte(secret, '/')+1:]
	if strings.ReplaceAll(plain, "-", "/") == secret && !slices.Contains(policy.Words, last) { // what is read back is that name alone
		return plain
	}
	sum := sha256.Sum256([]byte(secret))
	return plain + "-" + hex.EncodeToString(sum[:4])
}

// told returns p and how it differs from the text before.
func (p leastPolicy) told(before string, applied bool) keyturn.Told {
	return keyturn.Told{Change: &keyturn.TextChange{Name: p.name, Before: before, After: p.text}, Policy: &keyturn.PolicyTold{Name: p.name, Text: p.text, Applied: applied}}
}

// showLeastPolicy shows the least policy for one secret. A token that may not read the
// policy of that name still gets the text, to hand to somebody who may write it.
func showLeastPolicy(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	p, err := makeLeastPolicy(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	before, err := policyText(ctx, s, p.name)
	if err != nil && !errors.Is(err, keyturn.Denied) {
		return platform.Acted{}, err
	}
	if err == nil {
		if err := checkExpected(a, p.name, before); err != nil {
			return platform.Acted{}, err
		}
	}
	out := platform.Acted{Told: p.told(before, false)}
	out.Text = p.text
	if err != nil {
		out.Notices = append(out.Notices, "your token may not see whether there is a policy "+p.name)
	}
	return out, nil
}

// writeLeastPolicy writes the least policy for one secret, and tests it.
func writeLeastPolicy(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	p, err := makeLeastPolicy(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	before, err := mayWritePolicy(ctx, s, p.name)
	if err != nil {
		return platform.Acted{}, err
	}
	if err := checkExpected(a, p.name, before); err != nil {
		return platform.Acted{}, err
	}
	if before != "" && before != p.text && !a.Args.Has("replace") {
		return platform.Acted{}, keyturn.E(keyturn.Conflict, "there is a policy "+quoted(p.name)+" that says something else", "choose another --name, look at it with 'keyturn vault policy read "+keyturn.Quote(p.name)+"', or say --replace")
	}
	if before != p.text {
		if err := putPolicy(ctx, s, p.name, p.text); err != nil {
			return platform.Acted{}, err
		}
	}
	out := platform.Acted{Told: p.told(before, true)}
	out.Says = "the policy " + p.name + " lets a token " + strings.Join(a.Args["can"], ", ") + " " + keyturn.Clean(a.On.Short())
	testPolicy(ctx, s, p.name, p.rules, &out)
	if slices.ContainsFunc(p.rules, func(r policy.Rule) bool { return slices.Contains(r.Capabilities, "list") }) {
		out.Notices = append(out.Notices, "to list is to see all names in the same folder, not only this one")
	}
	return out, nil
}

// leastRules returns the fewest rules that let a token do what an action grants.
func leastRules(ctx context.Context, s *server, a platform.Act) ([]policy.Rule, error) {
	if a.On.Version() != "" || a.On.Field() != "" {
		return nil, keyturn.E(keyturn.Invalid, "a policy is about whole secrets, with all of their versions", "leave version and field out").About(a.On)
	}
	e, within, err := s.engineOf(ctx, a.On.Name())
	if err != nil {
		return nil, err
	}
	if policy.Wild(a.On.Name()) {
		return nil, keyturn.E(keyturn.Invalid, "in a policy this name would stand for more than itself", "write a policy by hand: keyturn vault policy write").About(a.On)
	}
	return policy.Least(e, within, a.Args["can"])
}

// checkNewPolicyName refuses names that a policy written by keyturn may not have.
func checkNewPolicyName(name string) error {
	if name == "root" || name == "default" {
		return keyturn.E(keyturn.Invalid, "the policy "+name+" is the server's own", "choose another --name")
	}
	return checkSegment("policy", name)
}

// mayWritePolicy returns Denied where this token may not write the policy, else the text
// that is there.
func mayWritePolicy(ctx context.Context, s *server, name string) (string, error) {
	at := policyPath + "/" + name
	have, err := s.capabilities(ctx, "sys/capabilities-self", map[string]any{"paths": []string{at}})
	if err != nil {
		return "", err
	}
	if !slices.Contains(have[at], "root") && !slices.Contains(have[at], "update") && !slices.Contains(have[at], "create") {
		e := keyturn.E(keyturn.Denied, "your token may not write policies, so it cannot grant anything", api.Grant(at, `"create", "update"`)+"; nothing was done")
		e.By = "platform"
		return "", e
	}
	return policyText(ctx, s, name)
}

// testPolicy compares the policy with the capabilities that a token gets by it alone, and
// adds the result to out. Where the test fails, a notice says so and the policy stays.
func testPolicy(ctx context.Context, s *server, name string, rules []policy.Rule, out *platform.Acted) {
	var paths []string
	for _, r := range rules {
		paths = append(paths, r.Path)
	}
	have, err := policyCapabilities(ctx, s, name, paths)
	if err != nil {
		out.Notices = append(out.Notices, "it was not tested, since a token for the test could not be made or asked about: "+keyturn.AsError(err).Message)
	}
	for _, r := range rules {
		item := map[string]any{"path": r.Path, "capabilities": r.Capabilities}
		if err == nil {
			got := slices.Clone(have[r.Path])
			slices.Sort(got)
			item["tested"] = slices.Equal(got, r.Capabilities)
			if !slices.Equal(got, r.Capabilities) {
				out.Notices = append(out.Notices, "the test found something else: a token with this policy may "+strings.Join(got, ", ")+" at "+keyturn.Clean(r.Path))
			}
		}
		out.Items = append(out.Items, item)
	}
}

// policyCapabilities makes a token that has only the policy, asks what it may do, and
// revokes it.
func policyCapabilities(ctx context.Context, s *server, name string, paths []string) (map[string][]string, error) {
	made, err := s.send(ctx, http.MethodPost, "auth/token/create", map[string]any{"policies": []string{name}, "no_default_policy": true, "ttl": "60s",
		"explicit_max_ttl": "60s", "renewable": false, "display_name": "keyturn-test"}, 0)
	if err != nil {
		return nil, err
	}
	if made.Auth == nil {
		return nil, keyturn.E(keyturn.Unavailable, "the server made no token", "")
	}
	have, err := s.capabilities(ctx, "sys/capabilities-accessor", map[string]any{"accessor": made.Auth.Accessor, "paths": paths})
	// It lives for a minute at most, also where this fails.
	_ = s.call(context.WithoutCancel(ctx), http.MethodPost, "auth/token/revoke-accessor", map[string]string{"accessor": made.Auth.Accessor}, nil)
	return have, err
}
