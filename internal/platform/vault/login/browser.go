package login

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
	"github.com/keyturn/keyturn/internal/platform/wire"
)

// callbackAddress is where the browser comes back to: what Vault's own command
// line listens on, so that roles which allow that allow this
// (https://developer.hashicorp.com/vault/docs/auth/jwt#redirect-uris).
var callbackAddress = "localhost:8250"

const callbackPath = "/oidc/callback"

// patience is how long a person may take in the browser.
const patience = 5 * time.Minute

// browser has a person log in on a page and waits on loopback for what the page
// sends back.
func browser(ctx context.Context, c *api.Client, path, role string, r Request) (platform.Token, error) {
	if r.Visit == nil {
		return platform.Token{}, keyturn.E(keyturn.Denied, "a login page needs a person and a browser", "services log in by --method jwt, kubernetes or approle")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	l, err := net.Listen("tcp", callbackAddress)
	if err != nil {
		return platform.Token{}, keyturn.E(keyturn.Unavailable, "the port that the browser comes back to is taken: "+callbackAddress, "end the other login, then try again").Because(err)
	}
	defer l.Close()
	nonce := make([]byte, 20)
	_, _ = rand.Read(nonce)
	secret := hex.EncodeToString(nonce)
	redirect := "http://" + callbackAddress + callbackPath
	a, err := pageOf(ctx, c, path, role, redirect, secret)
	if err != nil {
		return platform.Token{}, err
	}
	page, err := url.Parse(a)
	if err != nil || !isPage(page, redirect) {
		return platform.Token{}, keyturn.E(keyturn.Unavailable, "the server gave an address that is no login page", "")
	}
	back := make(chan url.Values, 1)
	server := &http.Server{Handler: callback(page.Query().Get("state"), back), ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 32 << 10}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	if err := r.Visit(ctx, a); err != nil {
		return platform.Token{}, err
	}
	select {
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return platform.Token{}, keyturn.E(keyturn.Unavailable, "nobody came back from the login page in time", "try again")
		}
		return platform.Token{}, ctx.Err()
	case got := <-back:
		if got.Get("code") == "" {
			return platform.Token{}, keyturn.E(keyturn.Denied, "the login page says no", "try again, or ask who runs it")
		}
		return finish(ctx, c, r, path, got, secret)
	}
}

// isPage reports whether u can be shown to a person as the login page: one on the web that
// comes back to us, and nothing that a browser does something else with.
func isPage(u *url.URL, redirect string) bool {
	secure := u.Scheme == "https" || u.Scheme == "http" && wire.Loopback(u.Hostname())
	q := u.Query()
	return secure && u.Hostname() != "" && u.User == nil && q.Get("state") != "" && slices.Equal(q["redirect_uri"], []string{redirect})
}

// pageOf asks the server for the address of the login page.
func pageOf(ctx context.Context, c *api.Client, path, role, redirect, nonce string) (string, error) {
	body := map[string]string{"role": role, "redirect_uri": redirect, "client_nonce": nonce}
	var answer struct {
		URL string `json:"auth_url"`
	}
	a, err := send(ctx, c, api.Request{Method: http.MethodPost, Path: "auth/" + path + "/oidc/auth_url", Body: body, Anonymous: true})
	if err != nil {
		return "", refused(path, err)
	}
	if err := json.Unmarshal(a.Data, &answer); err != nil || answer.URL == "" {
		return "", keyturn.E(keyturn.Denied, "the role does not allow a login from here", "its allowed_redirect_uris must hold "+redirect)
	}
	return answer.URL, nil
}

// callback takes what the browser brings back for this login, known by its state,
// once. The page it shows holds nothing of the request.
func callback(state string, back chan<- url.Values) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.Method != http.MethodGet || r.URL.Path != callbackPath || r.Host != callbackAddress || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1 {
			http.NotFound(w, r)
			return
		}
		select {
		case back <- q:
		default:
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer")
		_, _ = io.WriteString(w, "keyturn: you can close this page and go back to the terminal.\n")
	})
}

// finish exchanges the page's code for a token.
func finish(ctx context.Context, c *api.Client, r Request, path string, got url.Values, nonce string) (platform.Token, error) {
	q := url.Values{"state": {got.Get("state")}, "code": {got.Get("code")}, "client_nonce": {nonce}}
	a, err := send(ctx, c, api.Request{Method: http.MethodGet, Path: "auth/" + path + "/oidc/callback", Query: q.Encode(), Anonymous: true})
	if err != nil {
		return platform.Token{}, refused(path, err)
	}
	return issued(ctx, c, r, a)
}
