package login

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// TestBounds: a server that tells of a login at length, or nothing, has logged nobody in.
func TestBounds(t *testing.T) {
	long, many := strings.Repeat("p", maxName+1), strings.Repeat(`"p",`, maxPolicies)+`"p"`
	some := keyturn.NewValue([]byte("anna"))
	inputs := map[string]map[string]keyturn.Value{"userpass": {"username": some, "password": some}, "token": {"token": some}}
	for name, auth := range map[string]string{
		"a long token": `{"client_token":"` + strings.Repeat("t", maxToken+1) + `"}`, "a long policy": `{"client_token":"t","policies":["a","` + long + `"]}`,
		"many policies": `{"client_token":"t","policies":[` + many + `]}`, "a long accessor": `{"client_token":"t","accessor":"` + long + `"}`,
		"all too much": `{"client_token":"t","policies":["` + strings.Repeat("p", 20<<20) + `"]}`,
	} {
		login := func(method string) error {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "lookup-self") {
					_, _ = fmt.Fprintf(w, `{"data":%s}`, auth)
					return
				}
				_, _ = io.WriteString(w, `{"auth":`+auth+`}`)
			}))
			defer s.Close()
			c, err := api.New(api.Config{Address: s.URL})
			if err != nil {
				t.Fatal(err)
			}
			_, err = Login(t.Context(), c, Request{Method: method, Inputs: inputs[method]})
			return err
		}
		code(t, name, login("userpass"), keyturn.Unavailable)
		if name != "a long token" {
			code(t, name+" of a token", login("token"), keyturn.Unavailable)
		}
	}
}

// TestNoToken: a server that answers anything with an empty object knows no token.
func TestNoToken(t *testing.T) {
	for _, answer := range []string{`{}`, `{"data":{}}`, `{"data":{"policies":[]}}`, `{"data":null}`} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
		c, err := api.New(api.Config{Address: s.URL})
		if err != nil {
			t.Fatal(err)
		}
		_, err = Login(t.Context(), c, Request{Method: "token", Inputs: map[string]keyturn.Value{"token": keyturn.NewValue([]byte("hvs.fake"))}})
		code(t, answer, err, keyturn.Unavailable)
		s.Close()
	}
}
