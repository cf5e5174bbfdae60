package servers

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// Issuer is a small OpenID provider on loopback that takes everybody for anna: its
// login page asks nothing and sends the browser back at once. It signs tokens of
// its own for whoever tests, too.
type Issuer struct {
	URL    string
	Client string // the only client id
	Refuse bool   // the login page says no

	t   testing.TB
	key *rsa.PrivateKey

	mu     sync.Mutex
	nonces map[string]string // by code
}

// NewIssuer starts one.
func NewIssuer(t testing.TB) *Issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &Issuer{t: t, key: key, Client: "keyturn-test", nonces: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		i.answer(w, map[string]any{"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		i.answer(w, map[string]any{"keys": []any{map[string]string{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1",
			"n": text(key.N.Bytes()), "e": text(big.NewInt(int64(key.E)).Bytes())}}})
	})
	mux.HandleFunc("/authorize", i.authorize)
	mux.HandleFunc("/token", i.token)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	i.URL = s.URL
	return i
}

func text(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (i *Issuer) answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || q.Get("client_id") != i.Client {
		http.Error(w, "not a client", http.StatusBadRequest)
		return
	}
	out := url.Values{"state": {q.Get("state")}}
	if i.Refuse {
		out.Set("error", "access_denied")
	} else {
		code := rand.Text()
		i.mu.Lock()
		i.nonces[code] = q.Get("nonce")
		i.mu.Unlock()
		out.Set("code", code)
	}
	back.RawQuery = out.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	code := r.PostFormValue("code")
	i.mu.Lock()
	nonce, ok := i.nonces[code]
	delete(i.nonces, code)
	i.mu.Unlock()
	if !ok {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	i.answer(w, map[string]any{"access_token": "fake", "token_type": "Bearer", "expires_in": 60,
		"id_token": i.Sign(map[string]any{"aud": i.Client, "nonce": nonce})})
}

// Sign makes a token about anna, with more claims.
func (i *Issuer) Sign(claims map[string]any) string {
	now := time.Now()
	all := map[string]any{"iss": i.URL, "sub": "anna", "email": "anna@example.com", "iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	for k, v := range claims {
		all[k] = v
	}
	body, err := json.Marshal(all)
	if err != nil {
		i.t.Fatal(err)
	}
	signed := text([]byte(`{"alg":"RS256","typ":"JWT","kid":"1"}`)) + "." + text(body)
	sum := sha256.Sum256([]byte(signed))
	sig, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	if err != nil {
		i.t.Fatal(err)
	}
	return signed + "." + text(sig)
}

// PublicKey is the key that tokens are signed with, in PEM form.
func (i *Issuer) PublicKey() string {
	der, err := x509.MarshalPKIXPublicKey(&i.key.PublicKey)
	if err != nil {
		i.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}
