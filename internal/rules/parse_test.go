package rules

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
)

// seeds feeds a fuzz target; an empty corpus would silently test nothing.
func seeds(f *testing.F, list []string) {
	f.Helper()
	if len(list) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range list {
		f.Add(s)
	}
}

// wantInvalid checks that err is Invalid and says something to do or see.
func wantInvalid(t testing.TB, what string, err error) *keyturn.Error {
	t.Helper()
	if !errors.Is(err, keyturn.Invalid) {
		t.Fatalf("%s: got %v, want invalid", what, err)
	}
	e := keyturn.AsError(err)
	if keyturn.Clean(e.Message) != e.Message {
		t.Fatalf("%s: unclean message %q", what, e.Message)
	}
	return e
}

var (
	goodPrincipals = []string{"agents", "services", "everyone", "user:anna", "user:DOMAIN\\anna b", "agent:claude-code",
		"service:ci", "oidc:group:platform-sre", "oidc:sub:repo:acme/x:ref:refs/heads/main", "sre", "team_2-a",
		"vault:approle/myapp", "aws:role/arn:aws:iam::123456789012:role/x", "azure:spn/1-2", "gcp:serviceAccount/x@y", "k8s:sa/ns/name"}
	badPrincipals = []string{"", " ", "user:", "agent:", "service:", "oidc:", "oidc:group:", "oidc:email:x", "users", "people",
		"Agents", "*", "user:*", "agent:claude*", " user:anna", "user:anna\n", "user:an\u202ena", "user:\u200banna", "usr:anna",
		"vault:", "vault:approle", "aws:/x", "2team", "te am", strings.Repeat("a", 64), "user:" + strings.Repeat("a", 600), "user:\xff"}
)

func TestPrincipals(t *testing.T) {
	for _, s := range goodPrincipals {
		p, err := ParsePrincipal(s)
		if err != nil || string(p) != s {
			t.Errorf("%q: got %q, %v", s, p, err)
		}
		if want := strings.Contains(s, "/") && !strings.HasPrefix(s, "oidc:"); p.OnPlatform() != want {
			t.Errorf("%q: on platform %v", s, !want)
		}
	}
	for _, s := range badPrincipals {
		_, err := ParsePrincipal(s)
		wantInvalid(t, s, err)
	}
	_, err := ParsePrincipal("usr:anna")
	if e := keyturn.AsError(err); !strings.Contains(e.Hint, "user:") {
		t.Errorf("hint %q does not name user:", e.Hint)
	}
}

func FuzzPrincipal(f *testing.F) {
	seeds(f, append(slices.Clone(goodPrincipals), badPrincipals...))
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePrincipal(s)
		if err != nil {
			wantInvalid(t, s, err)
			return
		}
		if string(p) != s || keyturn.Clean(s) != s || strings.Contains(s, "*") {
			t.Fatalf("took %q as %q", s, p)
		}
	})
}

var (
	goodEndpoints = []string{"POST api.github.com/repos/acme/** header:Authorization", "GET example.com/ header:x-api-key", "PUT a-b.example.com:8443/v1/*/x body:password",
		"DELETE 192.0.2.1/** header:Authorization", "GET localhost:8080/** header:Authorization", "GET h/a/ header:X-A", "GET h/%20x header:X-A"}
	badEndpoints = []string{"", "POST", "POST api.github.com/x", "post a/x header:A", "TRACE a/x header:A", "POST  a/x header:A", "POST https://a/x header:A",
		"POST a header:A", "POST A.com/x header:A", "POST a.com./x header:A", "POST u@a.com/x header:A", "POST *.a.com/x header:A", "POST a.com:443/x header:A",
		"POST a.com:0/x header:A", "POST a.com:99999/x header:A", "POST a.com:08/x header:A", "POST 0x7f.1/x header:A", "POST 2130706433/x header:A",
		"POST 127.1/x header:A", "POST 01.2.3.4/x header:A", "POST [::1]/x header:A", "POST a/../x header:A", "POST a/./x header:A", "POST a//x header:A",
		"POST a/x?y=1 header:A", "POST a/x#y header:A", "POST a/%2e%2e/x header:A", "POST a/%2F header:A", "POST a/a* header:A", "POST a/%41 header:A",
		"POST a/x;y header:A", "POST a/\\x header:A", "POST a/x header:", "POST a/x header:Host", "POST a/x header:host", "POST a/x header:A:B", "POST a/x header:a*",
		"POST a/x query:token", "POST a/x cookie:a", "POST a/x body:", "POST a/x\n header:A", "POST -a/x header:A", "POST ü.de/x header:A", "POST a_b/x header:A"}
)

func TestEndpoints(t *testing.T) {
	for _, s := range goodEndpoints {
		if _, err := ParseEndpoint(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range badEndpoints {
		_, err := ParseEndpoint(s)
		wantInvalid(t, s, err)
	}
	base := HTTPRequest{"POST", "api.github.com", "/repos/acme/x/issues", "header:Authorization"}
	e, err := ParseEndpoint(goodEndpoints[0])
	if err != nil || !e.Match(base) {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		want bool
	}{{"/repos/acme", true}, {"/repos/acme/", true}, {"/repos/acme2/x", false}, {"/repos/acme/../other", false}, {"/repos/acme/%2e%2e/other", false},
		{"/repos/acme//x", false}, {"/repos/acme/a%2Fb", false}, {"/repos/acme/x?y", false}, {"/repos/acme/x#y", false}, {"/repos/acme/a\\b", false},
		{"repos/acme/x", false}, {"", false}, {"/Repos/acme/x", false}, {"/repos/acme/\n", false}, {"/repos/acme/x;y", false}} {
		r := base
		r.Path = c.path
		if e.Match(r) != c.want {
			t.Errorf("path %q: %v", c.path, !c.want)
		}
	}
	for _, r := range []HTTPRequest{{}, {"GET", base.Host, base.Path, base.Place}, {"POST", "api.github.com.evil.com", base.Path, base.Place},
		{"POST", "API.github.com", base.Path, base.Place}, {"POST", "api.github.com:80", base.Path, base.Place}, {"POST", base.Host, base.Path, "header:Cookie"},
		{"POST", base.Host, base.Path, "body:Authorization"}, {"POST", base.Host, base.Path, ""}} {
		if e.Match(r) {
			t.Errorf("%v matches", r)
		}
	}
	r := base
	if r.Place = "header:authorization"; !e.Match(r) {
		t.Error("the case of a header's name matters")
	}
	star, _ := ParseEndpoint("GET h/a/* header:A")
	if star.Match(HTTPRequest{"GET", "h", "/a/", "header:A"}) || !star.Match(HTTPRequest{"GET", "h", "/a/b", "header:A"}) || star.Match(HTTPRequest{"GET", "h", "/a/b/", "header:A"}) {
		t.Error("* is not exactly one segment that is not empty")
	}
	if (Endpoint{}).Match(HTTPRequest{}) {
		t.Error("the zero endpoint matches")
	}
}

func FuzzEndpoint(f *testing.F) {
	for _, s := range append(slices.Clone(goodEndpoints), badEndpoints...) {
		f.Add(s, "/repos/acme/x")
	}
	f.Fuzz(func(t *testing.T, s, path string) {
		e, err := ParseEndpoint(s)
		if err != nil {
			wantInvalid(t, s, err)
			return
		}
		if e.Match(HTTPRequest{e.method, e.host, path, e.place}) && (strings.Contains(path, "..") && slices.Contains(strings.Split(path, "/"), "..") || strings.Contains(path, "//")) {
			t.Fatalf("%q matches the path %q", s, path)
		}
		if e.Match(HTTPRequest{e.method, e.host + ".evil.com", path, e.place}) {
			t.Fatalf("%q matches another host", s)
		}
	})
}
