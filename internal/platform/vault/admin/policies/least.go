package policies

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
	"github.com/keyturn/keyturn/internal/platform/vault/admin/policy"
	"github.com/keyturn/keyturn/internal/platform/vault/admin/server"
	"github.com/keyturn/keyturn/internal/platform/vault/admin/words"
)

// least is the least policy for one secret, before anything is written.
type least struct {
	name, text string
	rules      []policy.Rule
}

func leastOf(ctx context.Context, s *server.Server, a platform.Act) (least, error) {
	rules, err := leastRules(ctx, s, a)
	if err != nil {
		return least{}, err
	}
	name := strings.ToLower(a.Args.Text("name"))
	if name == "" {
		words := slices.Clone(a.Args["can"])
		slices.Sort(words)
		name = plainName(a.On.Name()) + "-" + strings.Join(slices.Compact(words), "-")
	}
	if err := ownPolicy(name); err != nil {
		return least{}, err
	}
	return least{name, policy.Text(rules), rules}, nil
}

// plainName is a secret's name as part of a policy's: small letters, with - for /. One
// that another secret's name would be the same as gets a part of its SHA-256, too.
func plainName(secret string) string {
	plain := strings.ToLower(strings.ReplaceAll(secret, "/", "-"))
	last := secret[strings.LastIndexByte(secret, '/')+1:]
	if strings.ReplaceAll(plain, "-", "/") == secret && !slices.Contains(policy.Words, last) { // what is read back is that name alone
		return plain
	}
	sum := sha256.Sum256([]byte(secret))
	return plain + "-" + hex.EncodeToString(sum[:4])
}

// told is what is told of p beside the one that is there.
func (p least) told(before string, applied bool) keyturn.Told {
	return keyturn.Told{Change: &keyturn.TextChange{Name: p.name, Before: before, After: p.text}, Policy: &keyturn.PolicyTold{Name: p.name, Text: p.text, Applied: applied}}
}

// policyLeast shows the least policy for one secret. Who may not see the one of that
// name can still hand it to somebody who may.
func policyLeast(ctx context.Context, s *server.Server, a platform.Act) (platform.Acted, error) {
	p, err := leastOf(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	before, err := textOf(ctx, s, p.name)
	if err != nil && !errors.Is(err, keyturn.Denied) {
		return platform.Acted{}, err
	}
	if err == nil {
		if err := seen(a, p.name, before); err != nil {
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

// policyFor writes the least policy for one secret, and tests it.
func policyFor(ctx context.Context, s *server.Server, a platform.Act) (platform.Acted, error) {
	p, err := leastOf(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	before, err := mayGrant(ctx, s, p.name)
	if err != nil {
		return platform.Acted{}, err
	}
	if err := seen(a, p.name, before); err != nil {
		return platform.Acted{}, err
	}
	if before != "" && before != p.text && !a.Args.Has("replace") {
		return platform.Acted{}, keyturn.E(keyturn.Conflict, "there is a policy "+words.Quoted(p.name)+" that says something else", "choose another --name, look at it with 'keyturn vault policy read "+keyturn.Quote(p.name)+"', or say --replace")
	}
	if before != p.text {
		if err := put(ctx, s, p.name, p.text); err != nil {
			return platform.Acted{}, err
		}
	}
	out := platform.Acted{Told: p.told(before, true)}
	out.Says = "the policy " + p.name + " lets a token " + strings.Join(a.Args["can"], ", ") + " " + keyturn.Clean(a.On.Short())
	tested(ctx, s, p.name, p.rules, &out)
	if slices.ContainsFunc(p.rules, func(r policy.Rule) bool { return slices.Contains(r.Capabilities, "list") }) {
		out.Notices = append(out.Notices, "to list is to see all names in the same folder, not only this one")
	}
	return out, nil
}

// least is the least that lets a token do with a secret what an action says.
func leastRules(ctx context.Context, s *server.Server, a platform.Act) ([]policy.Rule, error) {
	if a.On.Version() != "" || a.On.Field() != "" {
		return nil, keyturn.E(keyturn.Invalid, "a policy is about whole secrets, with all of their versions", "leave version and field out").About(a.On)
	}
	e, within, err := s.EngineOf(ctx, a.On.Name())
	if err != nil {
		return nil, err
	}
	if policy.Wild(a.On.Name()) {
		return nil, keyturn.E(keyturn.Invalid, "in a policy this name would stand for more than itself", "write a policy by hand: keyturn vault policy write").About(a.On)
	}
	return policy.Least(e, within, a.Args["can"])
}

// ownPolicy refuses names that no policy of keyturn's making may have.
func ownPolicy(name string) error {
	if name == "root" || name == "default" {
		return keyturn.E(keyturn.Invalid, "the policy "+name+" is the server's own", "choose another --name")
	}
	return words.Segment("policy", name)
}

// mayGrant checks that this token may write the policy, and returns the one that is
// there.
func mayGrant(ctx context.Context, s *server.Server, name string) (string, error) {
	at := server.Policies + "/" + name
	have, err := s.Capabilities(ctx, "sys/capabilities-self", map[string]any{"paths": []string{at}})
	if err != nil {
		return "", err
	}
	if !slices.Contains(have[at], "root") && !slices.Contains(have[at], "update") && !slices.Contains(have[at], "create") {
		e := keyturn.E(keyturn.Denied, "your token may not write policies, so it cannot grant anything", words.Lacks(at, `"create", "update"`)+"; nothing was done")
		e.By = "platform"
		return "", e
	}
	return textOf(ctx, s, name)
}

// tested makes a token that has the policy and nothing else, asks what it may do,
// and revokes it. Where that cannot be done the answer says so: the policy stays.
func tested(ctx context.Context, s *server.Server, name string, rules []policy.Rule, out *platform.Acted) {
	var paths []string
	for _, r := range rules {
		paths = append(paths, r.Path)
	}
	have, err := try(ctx, s, name, paths)
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

func try(ctx context.Context, s *server.Server, name string, paths []string) (map[string][]string, error) {
	made, err := s.Send(ctx, http.MethodPost, "auth/token/create", map[string]any{"policies": []string{name}, "no_default_policy": true, "ttl": "60s",
		"explicit_max_ttl": "60s", "renewable": false, "display_name": "keyturn-test"}, 0)
	if err != nil {
		return nil, err
	}
	if made.Auth == nil {
		return nil, keyturn.E(keyturn.Unavailable, "the server made no token", "")
	}
	have, err := s.Capabilities(ctx, "sys/capabilities-accessor", map[string]any{"accessor": made.Auth.Accessor, "paths": paths})
	// It lives for a minute at most, also where this fails.
	_ = s.Call(context.WithoutCancel(ctx), http.MethodPost, "auth/token/revoke-accessor", map[string]string{"accessor": made.Auth.Accessor}, nil)
	return have, err
}
