package api

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
)

// TestGrant: a hint to paste into a policy grants the path that it is about, and no more
// of its own making.
func TestGrant(t *testing.T) {
	for _, plain := range []string{"secret/data/app", "secret/data/a b", "secret/data/größe", "team/a/secret/data/x.y-z_1", "secret/data/{a}", "secret/data/$a"} {
		if got := Grant(plain, `"read"`); got != `one of its policies has to hold: path "`+plain+`" { capabilities = ["read"] }` {
			t.Errorf("%s: %s", plain, got)
		}
	}
	for _, odd := range []string{`secret/data/a" { capabilities = ["root"] } path "*`, "secret/data/app*", "secret/data/+/a", `secret/data/a\`, "secret/data/a\nb", "secret/data/${a}", "secret/data/{{identity.entity.id}}", "secret/data/\u202e"} {
		n := newNode(t, says(http.StatusForbidden, "permission denied"))
		e := keyturn.AsError(clusterOf(t, n.URL).Do(t.Context(), keyturn.Ref{}, http.MethodPost, odd, "", nil, nil))
		if e == nil || e.Code != keyturn.Denied || strings.Contains(e.Hint, "path \"") || strings.Contains(e.Hint, "{ capabilities") || !strings.Contains(e.Hint, "'create', 'update'") {
			t.Errorf("%q: %+v", odd, e)
		}
	}
}

// TestOddTokens: what no header takes is refused before anything is sent.
func TestOddTokens(t *testing.T) {
	n := newNode(t, fine)
	for _, odd := range []string{"hvs.a\n", "hvs.a\r\nX-Vault-Token: b", "hvs.a b", "hvs.\x00", "hvs.a\x7f"} {
		c, err := New(Config{Address: n.URL, Token: func(context.Context) (keyturn.Value, error) { return keyturn.NewValue([]byte(odd)), nil }})
		if err != nil {
			t.Fatal(err)
		}
		if e := keyturn.AsError(get(t, c)); e == nil || e.Code != keyturn.Invalid || e.Hint == "" || strings.Contains(e.Error()+e.Hint, "hvs") {
			t.Errorf("%q: %+v", odd, e)
		}
	}
	if len(n.seen()) > 0 {
		t.Error("one was sent")
	}
}

// TestFinal: what is the same however often it is asked says so, and is asked once.
func TestFinal(t *testing.T) {
	other := httptest.NewTLSServer(http.HandlerFunc(fine))
	defer other.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			_, _ = conn.Write([]byte("220 this is a server of mail\r\n"))
			_ = conn.Close()
		}
	}()
	for name, address := range map[string]string{
		"a stranger's certificate": other.URL,
		"no TLS":                   "https://" + l.Addr().String(),
		"a redirect":               newNode(t, to(http.StatusTemporaryRedirect, func() string { return "https://vault.example.com" })).URL,
		"not Vault":                newNode(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }).URL,
	} {
		if e := keyturn.AsError(get(t, clusterOf(t, address))); e == nil || e.Code == keyturn.Unavailable && !isFinal(e) {
			t.Errorf("%s: %+v", name, e)
		}
	}
	hangs := newNode(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c := clusterOf(t, hangs.URL)
	c.http.Timeout = timeout / 1000
	if e := keyturn.AsError(get(t, c)); e == nil || e.Code != keyturn.Unavailable || !isFinal(e) || e.Err.Error() != context.DeadlineExceeded.Error() {
		t.Errorf("one that hangs: %+v", e)
	}
}
