package api

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
)

// TestForeignAnswer: what is not Vault's answer is no success, of no kind of request;
// after a change its outcome is open.
func TestForeignAnswer(t *testing.T) {
	status, text := 0, ""
	n := newNode(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	})
	c := clusterOf(t, n.URL)
	type ask struct {
		name string
		do   func() error
	}
	asks := func() []ask {
		var out []ask
		for _, method := range []string{http.MethodGet, "LIST", http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			r := Request{Method: method, Path: "a/b"}
			out = append(out, ask{method, func() error { return c.Ask(t.Context(), r, nil) }},
				ask{method + " for an answer", func() error { var v struct{ A string }; return c.Ask(t.Context(), r, &v) }},
				ask{method + " for all of it", func() error { _, err := c.Send(t.Context(), r); return err }})
		}
		return append(out, ask{"capabilities", func() error { _, err := c.capabilities(t.Context(), "a"); return err }})
	}
	for _, foreign := range []struct {
		status int
		text   string
	}{{200, "<html>ok</html>"}, {200, ""}, {200, "ok"}, {200, "null"}, {200, "[]"}, {200, `"a"`}, {200, "{"}, {200, `{"a":1}{}`}, {201, "<html>"},
		{202, ""}, {200, `{"errors":["no"]}`}, {200, `{"errors":"no"}`}, {200, `{"data":{"a":"b"},"errors":["no"]}`}, {206, `{"data":`}} {
		status, text = foreign.status, foreign.text
		for _, a := range asks() {
			e := keyturn.AsError(a.do())
			change := !strings.HasPrefix(a.name, "GET") && !strings.HasPrefix(a.name, "LIST") && a.name != "capabilities"
			if e == nil || e.Code != keyturn.Unavailable || e.Unknown != change && a.name != "capabilities" {
				t.Errorf("%d %s: %s: %+v", status, text, a.name, e)
			}
		}
	}
	for _, sound := range []struct {
		status int
		text   string
	}{{204, ""}, {200, `{}`}, {200, " {\"data\":{\"A\":\"b\"}}\n"}, {202, `{"warnings":["w"],"errors":null}`}, {200, `{"errors":[],"data":null}`}} {
		status, text = sound.status, sound.text
		for _, a := range asks() {
			want := status != 204 || !strings.HasSuffix(a.name, "for an answer") && a.name != "capabilities"
			if err := a.do(); (err == nil) != want {
				t.Errorf("%d %s: %s: %v", status, text, a.name, err)
			}
		}
	}
}
