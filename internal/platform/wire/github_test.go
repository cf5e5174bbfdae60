package wire

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
)

// TestGitHub: the job's token is asked for as GitHub documents it; an answer that
// is none is an error that repeats nothing.
func TestGitHub(t *testing.T) {
	answer, status := `{"count":1,"value":"a.b.c"}`, http.StatusOK
	var got *http.Request
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		if status == http.StatusFound {
			w.Header().Set("Location", "http://127.0.0.1:1/")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	defer s.Close()
	ask := func(address, audience string) (keyturn.Value, error) {
		return GitHubToken(t.Context(), address, keyturn.NewValue([]byte("kt-canary-job")), audience)
	}
	for audience, query := range map[string]string{"": "api-version=2.0", "https://vault": "api-version=2.0&audience=https%3A%2F%2Fvault"} {
		v, err := ask(s.URL+"/x?api-version=2.0", audience)
		if err != nil || !v.Equal(keyturn.NewValue([]byte("a.b.c"))) || got.URL.RawQuery != query || got.Header.Get("Authorization") != "bearer kt-canary-job" {
			t.Errorf("audience %q: %v, asked %s", audience, err, got.URL)
		}
	}
	for _, bad := range []struct {
		answer string
		status int
	}{{"", 200}, {"{", 200}, {`{"value":""}`, 200}, {answer, 401}, {answer, 302}, {`{"value":"` + strings.Repeat("x", maxSigned) + `"}`, 200}} {
		answer, status = bad.answer, bad.status
		_, err := ask(s.URL+"/kt-canary-path", "")
		code(t, "a bad answer", err, keyturn.Unavailable)
	}
	s.Close()
	_, err := ask(s.URL+"/kt-canary-path", "")
	code(t, "away", err, keyturn.Unavailable)
	for _, address := range []string{"", "kt-canary", "http://example.com/kt-canary", "ftp://127.0.0.1/", "https://"} {
		_, err := ask(address, "")
		code(t, address, err, keyturn.Invalid)
	}
}

// TestGitHubRepeatsNothing: an answer that is no HTTP, and holds what was sent, is in no
// part of the error.
func TestGitHubRepeatsNothing(t *testing.T) {
	const canary = "kt-canary-job"
	for _, answer := range []string{canary + "\r\n\r\n", "HTTP/1.1 " + canary + "\r\n\r\n", "HTTP/1.1 200 OK\r\n" + canary + "\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: " + canary + "\r\n\r\n",
		"HTTP/1.1 302 OK\r\nLocation: http://[" + canary + "\r\n\r\n"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}))
		_, err := GitHubToken(t.Context(), s.URL+"/"+canary, keyturn.NewValue([]byte(canary)), "")
		code(t, answer, err, keyturn.Unavailable)
		for next := err; next != nil; next = errors.Unwrap(next) {
			if e := keyturn.AsError(next); strings.Contains(next.Error()+e.Message+e.Hint, canary) {
				t.Errorf("%q: the error repeats it: %v", answer, next)
			}
		}
		s.Close()
	}
}

// code fails where err has another code, or it or a cause repeats the canary.
func code(t *testing.T, doing string, err error, want keyturn.Code) {
	t.Helper()
	e := keyturn.AsError(err)
	if e == nil || e.Code != want {
		t.Errorf("%s: %v, want %s", doing, err, want)
		return
	}
	for err := error(e); err != nil; err = errors.Unwrap(err) {
		if strings.Contains(fmt.Sprint(err)+e.Hint, "kt-canary") {
			t.Errorf("%s: the error repeats what was given: %v", doing, err)
		}
	}
}
