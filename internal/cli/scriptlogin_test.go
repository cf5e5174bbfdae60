package cli_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/keyturn/keyturn/internal/world/servers"
)

// startIssuer gives a script a small OpenID provider that takes everybody for anna.
// ISSUER is its address, issuer.pem its public key, JOB a token that it signed for
// the audience "vault" and POD one of a pod's service account. It also answers as
// GitHub Actions does to the job that has the variables ACTIONS_…, and as the API
// server at CLUSTER that reviews the tokens of pods.
func startIssuer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: issuer")
	}
	tb := ts.Value(testOf).(testing.TB)
	i := servers.NewIssuer(tb)
	ts.Check(os.WriteFile(ts.MkAbs("issuer.pem"), []byte(i.PublicKey()), 0o600))
	ts.Setenv("ISSUER", i.URL)
	ts.Setenv("CLIENT", i.Client)
	ts.Setenv("JOB", i.Sign(map[string]any{"aud": "vault"}))
	ts.Setenv("POD", i.Sign(map[string]any{"iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:prod:app",
		"kubernetes.io/serviceaccount/namespace": "prod", "kubernetes.io/serviceaccount/service-account.name": "app", "kubernetes.io/serviceaccount/service-account.uid": "1"}))
	serve := func(name string, f http.HandlerFunc) {
		s := httptest.NewServer(f)
		tb.Cleanup(s.Close)
		ts.Setenv(name, s.URL)
	}
	serve("ACTIONS", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "bearer kt-fake-job" || r.URL.Query().Get("api-version") != "2.0" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		aud := r.URL.Query().Get("audience")
		if aud == "" {
			aud = "https://github.com/acme"
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"count": 1, "value": i.Sign(map[string]any{"aud": aud})})
	})
	serve("CLUSTER", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":true,"user":{"username":"system:serviceaccount:prod:app","uid":"1","groups":["system:serviceaccounts"]}}}`)
	})
}

// stranger gives a script a server that is not Vault, at STRANGER, and writes what
// it is sent, headers and bodies, into a file: stranger FILE.
func stranger(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: stranger FILE")
	}
	path := ts.MkAbs(args[0])
	var mu sync.Mutex
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			body, _ := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(f, "%s %s\n%s\n", r.Method, r.URL, body)
			_ = r.Header.Write(f)
			_ = f.Close()
		}
		http.Error(w, `{"errors":["no"]}`, http.StatusForbidden)
	}))
	ts.Value(testOf).(testing.TB).Cleanup(s.Close)
	ts.Setenv("STRANGER", s.URL)
}

// browse plays a person with a browser: browse COMMAND [ARG...] runs a command,
// opens the page whose address it writes, and ends with its exit status.
func browse() {
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	said, err := cmd.StderrPipe()
	if err == nil {
		cmd.Stdout = os.Stdout
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(99)
	}
	page := regexp.MustCompile(`(?m)^ +(https?://\S+)\n`)
	var text strings.Builder
	buf, opened := make([]byte, 4096), false
	for err == nil {
		var n int
		n, err = said.Read(buf)
		text.Write(buf[:n])
		if m := page.FindStringSubmatch(text.String()); m != nil && !opened {
			opened = true
			if os.Getenv("NOBODY") == "" {
				open(m[1])
			}
		}
	}
	_ = cmd.Wait()
	fmt.Fprint(os.Stderr, text.String())
	os.Exit(cmd.ProcessState.ExitCode())
}

// visit is the browser itself: visit ADDRESS.
func visit() {
	open(os.Args[1])
	os.Exit(0)
}

func open(address string) {
	resp, err := http.Get(address)
	if err != nil {
		fmt.Fprintln(os.Stderr, "the browser:", err)
		os.Exit(99)
	}
	_ = resp.Body.Close()
}
