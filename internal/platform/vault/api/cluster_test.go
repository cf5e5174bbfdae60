package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/keyturn/keyturn"
)

// What the nodes of a cluster answer is said here by servers of our own, after
// https://developer.hashicorp.com/vault/docs/concepts/ha; the real one is asked in
// package vault.

// node is a server that answers as it is told, and notes what was asked.
type node struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string // "METHOD path?query token body"
}

func newNode(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) *node {
	t.Helper()
	n := &node{}
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		n.mu.Lock()
		n.asked = append(n.asked, r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("X-Vault-Token")+" "+r.Header.Get("X-Vault-Namespace")+" "+string(body))
		n.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(n.Close)
	return n
}

func (n *node) seen() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked
}

// fine answers as the active server.
func fine(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"data":{"a":"b"}}`) }

// to sends every request on, as a standby does that does not pass requests on.
func to(status int, where func() string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", where()+r.URL.Path+"?"+r.URL.RawQuery)
		w.WriteHeader(status)
	}
}

func says(status int, text string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"errors":[%q]}`, text)
	}
}

func clusterOf(t *testing.T, addresses ...string) *Client {
	t.Helper()
	c, err := New(Config{Address: addresses[0], Others: addresses[1:], Mount: "prod", Namespace: "team",
		Token: func(context.Context) (keyturn.Value, error) { return keyturn.NewValue([]byte("hvs.fake")), nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func get(t *testing.T, c *Client) error {
	t.Helper()
	return c.Do(t.Context(), keyturn.Ref{}, http.MethodGet, "secret/data/a b", "version=2", nil, nil)
}

func put(t *testing.T, c *Client) error {
	t.Helper()
	return c.Do(t.Context(), keyturn.Ref{}, http.MethodPost, "secret/data/a b", "", map[string]string{"data": "x"}, nil)
}

// TestRedirect: a standby's redirect to an address of the mount is followed with
// method, body and headers; any other is not, and the hint says how to allow it.
func TestRedirect(t *testing.T) {
	for _, status := range []int{http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		active := newNode(t, fine)
		standby := newNode(t, to(status, func() string { return active.URL }))
		c := clusterOf(t, standby.URL, active.URL)
		for _, err := range []error{get(t, c), get(t, c), put(t, c)} {
			if err != nil {
				t.Fatalf("%d: %v", status, err)
			}
		}
		want := []string{"GET /v1/secret/data/a%20b?version=2 hvs.fake team ", "GET /v1/secret/data/a%20b?version=2 hvs.fake team ",
			`POST /v1/secret/data/a%20b hvs.fake team {"data":"x"}`}
		if got := active.seen(); fmt.Sprint(got) != fmt.Sprint(want) || len(standby.seen()) != 1 {
			t.Errorf("%d: the active server was asked %q, the standby %d times", status, got, len(standby.seen()))
		}
	}
	stranger := newNode(t, fine)
	strangerURL, _ := url.Parse(stranger.URL)
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request){
		"another host":   to(http.StatusTemporaryRedirect, func() string { return stranger.URL }),
		"another scheme": to(http.StatusTemporaryRedirect, func() string { return "https://" + strangerURL.Host }),
		"a user in it":   to(http.StatusTemporaryRedirect, func() string { return "http://u:kt-canary@" + strangerURL.Host }),
		"another method": to(http.StatusFound, func() string { return stranger.URL }),
		"nowhere":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTemporaryRedirect) },
		"no address": func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Location"] = []string{"http://%zz/"}
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
	} {
		c := clusterOf(t, newNode(t, answer).URL)
		e := keyturn.AsError(get(t, c))
		if e == nil || e.Code != keyturn.Unavailable || e.Unknown || e.Hint == "" || strings.Contains(e.Error()+e.Hint, "canary") {
			t.Errorf("%s: get: %+v", name, e)
		} else if name == "another host" && e.Hint != "where that is a server of the same cluster, add it to the mount in the operator's configuration: addresses: ["+`"`+stranger.URL+`"]` {
			t.Errorf("%s: hint %q", name, e.Hint)
		}
		if e := keyturn.AsError(put(t, c)); e == nil || e.Code != keyturn.Unavailable || !e.Unknown {
			t.Errorf("%s: put: %+v, and the server may have tried to pass it on", name, e)
		}
	}
	other := newNode(t, fine)
	c := clusterOf(t, newNode(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", other.URL+"/v1/secret/data/other")
		w.WriteHeader(http.StatusTemporaryRedirect)
	}).URL, other.URL)
	if e := keyturn.AsError(get(t, c)); e == nil || e.Code != keyturn.Unavailable || len(other.seen()) > 0 {
		t.Errorf("a redirect to something else was followed: %v", e)
	}
	if n := len(stranger.seen()); n > 0 {
		t.Errorf("a stranger was asked %d times", n)
	}
}

// TestRedirectOfChange: a change is sent on only by a standby that was told not to
// pass it on itself. Where the one that it names is none of ours, it is let pass it
// on.
func TestRedirectOfChange(t *testing.T) {
	stranger := newNode(t, fine)
	forwards := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(noForwarding) == "" {
			fine(w, r)
			return
		}
		to(http.StatusTemporaryRedirect, func() string { return stranger.URL })(w, r)
	}
	standby, sleeping := newNode(t, forwards), newNode(t, says(http.StatusServiceUnavailable, "Vault is sealed"))
	c := clusterOf(t, standby.URL, sleeping.URL)
	if err := put(t, c); err != nil || len(standby.seen()) != 2 {
		t.Errorf("%v after %d requests", err, len(standby.seen()))
	}
	if err := get(t, c); err != nil || len(standby.seen()) != 3 {
		t.Errorf("a read: %v after %d requests", err, len(standby.seen()))
	}
	// One that cannot pass it on either: what became of it is not known.
	lost := newNode(t, to(http.StatusTemporaryRedirect, func() string { return stranger.URL }))
	if e := keyturn.AsError(put(t, clusterOf(t, lost.URL, sleeping.URL))); e == nil || e.Code != keyturn.Unavailable || !e.Unknown || len(lost.seen()) != 2 {
		t.Errorf("%+v after %d requests", e, len(lost.seen()))
	}
	// Nor is a redirect to an address of ours followed that was not asked for.
	var a, b *node
	a = newNode(t, to(http.StatusTemporaryRedirect, func() string { return b.URL }))
	b = newNode(t, to(http.StatusTemporaryRedirect, func() string { return a.URL }))
	c = clusterOf(t, a.URL, b.URL)
	if e := keyturn.AsError(put(t, c)); e == nil || e.Code != keyturn.Unavailable || !e.Unknown || len(a.seen())+len(b.seen()) > maxHops+2 {
		t.Errorf("round and round: %+v after %d requests", e, len(a.seen())+len(b.seen()))
	}
	if e := keyturn.AsError(get(t, c)); e == nil || e.Code != keyturn.Unavailable || e.Unknown {
		t.Errorf("round and round, a read: %+v", e)
	}
	if len(stranger.seen()) > 0 {
		t.Error("a stranger was asked")
	}
}

// TestNextAddress: where nothing can have happened the next address is asked, and
// what it is then is told by the node that knows most.
func TestNextAddress(t *testing.T) {
	gone := newNode(t, fine)
	gone.Close()
	sealed := newNode(t, says(http.StatusServiceUnavailable, "Vault is sealed"))
	leaderless := newNode(t, says(http.StatusInternalServerError, "local node not active but active cluster node not found"))
	broken := newNode(t, says(http.StatusInternalServerError, "internal error"))
	cut := newNode(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	active := newNode(t, fine)
	c := clusterOf(t, gone.URL, sealed.URL, leaderless.URL, active.URL)
	for _, err := range []error{put(t, c), get(t, c), put(t, c)} {
		if err != nil {
			t.Error(err)
		}
	}
	if len(active.seen()) != 3 || len(leaderless.seen()) != 1 {
		t.Errorf("asked %d times, the one before %d times", len(active.seen()), len(leaderless.seen()))
	}
	for name, c := range map[string]struct {
		of      *Client
		code    keyturn.Code
		unknown bool
		message string
	}{
		"all gone":            {clusterOf(t, gone.URL, gone.URL+"0"), keyturn.Unavailable, false, "does not answer"},
		"gone and leaderless": {clusterOf(t, gone.URL, leaderless.URL), keyturn.Unavailable, false, "knows no active server"},
		"gone and sealed":     {clusterOf(t, gone.URL, leaderless.URL, sealed.URL), keyturn.Sealed, false, "the server is sealed"},
		"leaderless alone":    {clusterOf(t, leaderless.URL), keyturn.Unavailable, false, "knows no active server"},
		"broken":              {clusterOf(t, broken.URL, active.URL), keyturn.Unavailable, true, "failed with status 500"},
		"cut":                 {clusterOf(t, cut.URL, active.URL), keyturn.Unavailable, true, "does not answer"},
	} {
		e := keyturn.AsError(put(t, c.of))
		if e == nil || e.Code != c.code || e.Unknown != c.unknown || !strings.Contains(e.Message, c.message) {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if len(active.seen()) != 3 {
		t.Error("a change that may have happened was sent to another node")
	}
	// Whoever tries again after a failure asks the next one.
	c = clusterOf(t, broken.URL, active.URL)
	if err := get(t, c); err == nil {
		t.Error("a broken server answered")
	}
	if err := get(t, c); err != nil {
		t.Error(err)
	}
	// One that is asked about itself is asked alone.
	if _, err := c.Send(t.Context(), Request{Method: http.MethodGet, Path: "sys/seal-status", Node: c.Nodes()[0]}); err == nil || len(c.Nodes()) != 2 {
		t.Error("another node answered for this one")
	}
}
