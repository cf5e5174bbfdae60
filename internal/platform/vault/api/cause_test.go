package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
)

// rude is a server that answers with text of its own making, into which it puts what it
// was sent; "echo" stands for that.
func rude(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				body, _ := io.ReadAll(r.Body)
				echo := strings.NewReplacer("\n", " ", "\r", " ").Replace(r.Header.Get("X-Vault-Token") + r.Header.Get("Proxy-Authorization") + string(body))
				_, _ = io.WriteString(conn, strings.ReplaceAll(answer, "echo", echo))
			}()
		}
	}()
	return l.Addr().String()
}

// TestCauseRepeatsNothing: whatever comes in the place of an answer, no part of the error,
// its causes included, has it.
func TestCauseRepeatsNothing(t *testing.T) {
	const canary = "kt-canary-of-a-token"
	answers := map[string]string{
		"no status line": "echo\r\n\r\n", "a status": "HTTP/1.1 echo\r\n\r\n", "a version": "HTTP/echo 200 OK\r\n\r\n", "a header": "HTTP/1.1 200 OK\r\necho\r\n\r\n",
		"a transfer encoding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: echo\r\n\r\n", "a length": "HTTP/1.1 200 OK\r\nContent-Length: echo\r\n\r\n",
		"lengths": "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: echo\r\n\r\n", "a chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\necho\r\n",
		"a trailer": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: echo\r\n\r\n0\r\n\r\n", "a reason": "HTTP/1.1 500 echo\r\nContent-Length: 0\r\n\r\n",
		"a place": "HTTP/1.1 301 x\r\nLocation: http://[echo\r\nContent-Length: 0\r\n\r\n", "a far place": "HTTP/1.1 307 x\r\nLocation: https://echo_.example.com/\r\nContent-Length: 0\r\n\r\n",
		"an encoding": "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 40\r\n\r\necho", "a pause": "HTTP/1.1 429 x\r\nRetry-After: echo\r\nContent-Length: 0\r\n\r\n",
		"a key": "HTTP/1.1 200 OK\r\necho: a\r\n\r\n", "a continued header": "HTTP/1.1 200 OK\r\n echo\r\n\r\n", "as TLS would say": "tls: echo\r\n\r\n",
	}
	for name, answer := range answers {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			c, err := New(Config{Address: "http://" + rude(t, answer), Token: func(context.Context) (keyturn.Value, error) { return keyturn.NewValue([]byte(canary)), nil }})
			if err != nil {
				t.Fatal(err)
			}
			err = c.Do(t.Context(), keyturn.Ref{}, method, "secret/data/a", "", map[string]string{"f": canary}, nil)
			told(t, name, err, canary)
		}
	}
	// A redirect is told where it names a host, and not what could not be one.
	for _, place := range []string{"https://" + canary + "_.example.com/", "https://" + canary + strings.Repeat("a", 60) + ".example.com/", "https://" + canary + "%20.example.com/"} {
		c := clusterOf(t, "http://"+rude(t, "HTTP/1.1 307 x\r\nLocation: "+place+"\r\nContent-Length: 0\r\n\r\n"))
		told(t, place, get(t, c), canary)
	}
	// A proxy is another end.
	for name, answer := range answers {
		c, err := New(Config{Address: "https://vault.example.com", Proxy: "http://" + rude(t, strings.ReplaceAll(answer, "echo", canary))})
		if err != nil {
			t.Fatal(err)
		}
		err = c.Ask(t.Context(), Request{Method: http.MethodGet, Path: "a", Anonymous: true}, nil)
		told(t, "a proxy's: "+name, err, canary)
	}
}

// told fails where err is none, is about something else than the network, or has the
// canary.
func told(t *testing.T, name string, err error, canary string) {
	t.Helper()
	e := keyturn.AsError(err)
	if e == nil || e.Code != keyturn.Unavailable {
		t.Errorf("%s: %v", name, err)
		return
	}
	for next := err; next != nil; next = errors.Unwrap(next) {
		var all *keyturn.Error
		text := fmt.Sprintf("%s %+v", next, next)
		if errors.As(next, &all) {
			text += all.Message + all.Hint
		}
		if strings.Contains(text, canary) {
			t.Errorf("%s: the error repeats it: %v", name, next)
		}
	}
}

// TestCauseTells: what holds nothing of an answer is told as it is.
func TestCauseTells(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	c := clusterOf(t, "http://"+gone.Addr().String())
	if e := keyturn.AsError(get(t, c)); e == nil || e.Err == nil || !strings.Contains(e.Err.Error(), "refused") {
		t.Errorf("nobody there: %+v", e)
	}
	c, err = New(Config{Address: "https://vault.example.com", Proxy: "http://" + rude(t, "HTTP/1.1 407 no\r\nContent-Length: 0\r\n\r\n"), Mount: "prod"})
	if err != nil {
		t.Fatal(err)
	}
	e := keyturn.AsError(c.Ask(t.Context(), Request{Method: http.MethodPost, Path: "a", Anonymous: true}, nil))
	if e == nil || !strings.Contains(e.Message, "the proxy on the way to vault.example.com") || !strings.Contains(e.Message, "407") || !strings.Contains(e.Hint, "the mount's proxy") || e.Unknown {
		t.Errorf("a proxy that refuses: %+v", e)
	}
	c, err = New(Config{Address: "https://" + rude(t, "")})
	if err != nil {
		t.Fatal(err)
	}
	if e := keyturn.AsError(c.Ask(t.Context(), Request{Method: http.MethodGet, Path: "a", Anonymous: true}, nil)); e == nil || e.Err == nil {
		t.Errorf("no TLS: %+v", e)
	}
}
