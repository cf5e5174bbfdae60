package login

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// TestLoginIsTriedAgain: where the server has not begun with it, and only there.
func TestLoginIsTriedAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	for status, want := range map[int]int64{412: 3, 429: 3, 472: 3, 473: 3, 503: 3, 500: 1, 502: 1, 400: 1, 403: 1} {
		var asked, looked atomic.Int64
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "lookup-self") {
				if looked.Add(1) == 1 {
					w.WriteHeader(http.StatusTooManyRequests)
					return
				}
				_, _ = io.WriteString(w, `{"data":{"display_name":"anna","policies":["app"]}}`)
				return
			}
			if asked.Add(1) < 3 {
				w.WriteHeader(status)
				return
			}
			_, _ = io.WriteString(w, `{"auth":{"client_token":"hvs.made","policies":["app"],"lease_duration":60}}`)
		}))
		c, err := api.New(api.Config{Address: s.URL})
		if err != nil {
			t.Fatal(err)
		}
		some := keyturn.NewValue([]byte("anna"))
		got, err := Login(t.Context(), c, Request{Method: "userpass", Inputs: map[string]keyturn.Value{"username": some, "password": some}})
		if n := asked.Load(); n != want || (err == nil) != (want == 3) || err == nil && got.Identity != "anna" {
			t.Errorf("%d: %v as %q after %d requests, want %d", status, err, got.Identity, n, want)
		}
		s.Close()
	}
}

// TestLoginPage: only a page of the web that comes back here is shown to anybody.
func TestLoginPage(t *testing.T) {
	usual := callbackAddress
	defer func() { callbackAddress = usual }()
	free, err := net.Listen("tcp", "127.0.0.1:0") // the usual one may be taken
	if err != nil {
		t.Fatal(err)
	}
	_ = free.Close()
	_, port, _ := net.SplitHostPort(free.Addr().String())
	callbackAddress = "localhost:" + port
	back := "http://" + callbackAddress + "/oidc/callback"
	good := "https://login.example.com/auth?state=a&redirect_uri=" + url.QueryEscape(back)
	for page, want := range map[string]bool{
		good: true, strings.Replace(good, "https://login.example.com", "http://127.0.0.1:9", 1): true, strings.Replace(good, "https://login.example.com", "http://localhost:9", 1): true,
		strings.Replace(good, "https:", "http:", 1): false, strings.Replace(good, "https:", "file:", 1): false, strings.Replace(good, "https:", "javascript:", 1): false,
		strings.Replace(good, "//login", "//anna@login", 1): false, strings.Replace(good, "login.example.com", "", 1): false, strings.Replace(good, "https://login.example.com", "", 1): false,
		"javascript:alert(1)//?state=a&redirect_uri=" + url.QueryEscape(back): false, strings.Replace(good, port, "8250", 1): false, "https://login.example.com/?state=a": false,
		good + "&redirect_uri=https%3A%2F%2Fexample.com": false, strings.Replace(good, "state=a", "state=", 1): false,
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"data":{"auth_url":"`+page+`"}}`)
		}))
		c, err := api.New(api.Config{Address: s.URL})
		if err != nil {
			t.Fatal(err)
		}
		shown := false
		_, err = Login(t.Context(), c, Request{Method: "oidc", Visit: func(context.Context, string) error {
			shown = true
			return keyturn.E(keyturn.Denied, "that is enough", "")
		}})
		if shown != want || !want && !strings.Contains(keyturn.AsError(err).Message, "no login page") {
			t.Errorf("%s: shown %v (%v)", page, shown, err)
		}
		s.Close()
	}
}
