package admin

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/admin/policy"
)

// policyFor writes the least policy for one secret, and tests it.
func policyFor(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	rules, err := s.least(ctx, a)
	if err != nil {
		return platform.Acted{}, err
	}
	name := strings.ToLower(a.Args.Text("name"))
	if name == "" {
		words := slices.Clone(a.Args["can"])
		slices.Sort(words)
		name = strings.ToLower(strings.ReplaceAll(a.On.Name(), "/", "-")) + "-" + strings.Join(slices.Compact(words), "-")
	}
	if err := ownPolicy(name); err != nil {
		return platform.Acted{}, err
	}
	before, err := s.mayGrant(ctx, name)
	if err != nil {
		return platform.Acted{}, err
	}
	text := policy.Text(rules)
	if before != "" && before != text && !a.Args.Has("replace") {
		return platform.Acted{}, keyturn.E(keyturn.Conflict, "there is a policy "+quoted(name)+" that says something else", "choose another --name, look at it with 'keyturn vault policy read "+keyturn.Quote(name)+"', or say --replace")
	}
	if before != text {
		if err := s.putPolicy(ctx, name, text); err != nil {
			return platform.Acted{}, err
		}
	}
	out := platform.Acted{Told: keyturn.Told{Says: "the policy " + name + " lets a token " + strings.Join(a.Args["can"], ", ") + " " + keyturn.Clean(a.On.Short()),
		Change: &keyturn.TextChange{Name: name, Before: before, After: text}, Policy: &keyturn.PolicyTold{Name: name, Text: text, Applied: true}}}
	s.tested(ctx, name, rules, &out)
	if slices.ContainsFunc(rules, func(r policy.Rule) bool { return slices.Contains(r.Capabilities, "list") }) {
		out.Notices = append(out.Notices, "to list is to see all names in the same folder, not only this one")
	}
	return out, nil
}

// least is the least that lets a token do with a secret what an action says.
func (s *server) least(ctx context.Context, a platform.Act) ([]policy.Rule, error) {
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

// ownPolicy refuses names that no policy of keyturn's making may have.
func ownPolicy(name string) error {
	if name == "root" || name == "default" {
		return keyturn.E(keyturn.Invalid, "the policy "+name+" is the server's own", "choose another --name")
	}
	return segment("policy", name)
}

// engineOf finds the engine that a name lies in.
func (s *server) engineOf(ctx context.Context, name string) (policy.Engine, string, error) {
	var m struct {
		mounted
		Path string `json:"path"`
	}
	if err := s.call(ctx, http.MethodGet, "sys/internal/ui/mounts/"+name, nil, &m); err != nil {
		if is(err, keyturn.Denied) {
			e := keyturn.E(keyturn.Denied, "there is no engine for "+keyturn.Clean(name)+", or your token may do nothing in it", "'keyturn vault engines' lists the engines").Because(err)
			e.By = "platform"
			return policy.Engine{}, "", e
		}
		return policy.Engine{}, "", err
	}
	e := policy.Engine{Path: place(m.Path), KV: 1}
	if m.Options["version"] == "2" {
		e.KV = 2
	}
	within := strings.TrimPrefix(name, e.Path+"/")
	if m.Type != "kv" && m.Type != "generic" {
		if e.KV = 0; !strings.HasPrefix(within, "creds/") && !strings.HasPrefix(within, "static-creds/") {
			return e, "", keyturn.E(keyturn.Unsupported, "the engine '"+keyturn.Clean(e.Path)+"' is of type "+keyturn.Clean(m.Type)+"; this is for engines that keep secrets, and for credentials", "write a policy by hand: keyturn vault policy write")
		}
	}
	if within == name || within == "" {
		return e, "", keyturn.E(keyturn.Invalid, quoted(name)+" is an engine, not a secret in it", "name a secret below it")
	}
	return e, within, nil
}

// mayGrant checks that this token may write the policy, and returns the one that is
// there.
func (s *server) mayGrant(ctx context.Context, name string) (string, error) {
	at := policies + "/" + name
	have, err := s.capabilities(ctx, "sys/capabilities-self", map[string]any{"paths": []string{at}})
	if err != nil {
		return "", err
	}
	if !slices.Contains(have[at], "root") && !slices.Contains(have[at], "update") && !slices.Contains(have[at], "create") {
		e := keyturn.E(keyturn.Denied, "your token may not write policies, so it cannot grant anything", lacks(at, `"create", "update"`)+"; nothing was done")
		e.By = "platform"
		return "", e
	}
	return s.textOf(ctx, name)
}

// capabilities asks what a token may do, by path.
func (s *server) capabilities(ctx context.Context, at string, body map[string]any) (map[string][]string, error) {
	var answer map[string]any
	if err := s.call(ctx, http.MethodPost, at, body, &answer); err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for p, v := range answer {
		list, _ := v.([]any)
		for _, c := range list {
			if c, ok := c.(string); ok {
				out[p] = append(out[p], c)
			}
		}
	}
	return out, nil
}

// tested makes a token that has the policy and nothing else, asks what it may do,
// and revokes it. Where that cannot be done the answer says so: the policy stays.
func (s *server) tested(ctx context.Context, name string, rules []policy.Rule, out *platform.Acted) {
	var paths []string
	for _, r := range rules {
		paths = append(paths, r.Path)
	}
	have, err := s.tryPolicy(ctx, name, paths)
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

func (s *server) tryPolicy(ctx context.Context, name string, paths []string) (map[string][]string, error) {
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
