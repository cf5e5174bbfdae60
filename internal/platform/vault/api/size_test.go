package api

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/keyturn/keyturn"
)

// TestLargeAnswers: of each kind of answer no more is taken than there can be, and none is
// asked for in a form that grows.
func TestLargeAnswers(t *testing.T) {
	var sent, packed atomic.Int64
	size := int64(0)
	status, lengths := http.StatusOK, false
	chunk := bytes.Repeat([]byte("a"), 64<<10)
	n := newNode(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" {
			packed.Add(1)
		}
		if lengths {
			w.Header().Set("Content-Length", "100000000000")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"data":{"a":"`)
		for left := size; left > 0; left -= int64(len(chunk)) {
			k, err := w.Write(chunk[:min(left, int64(len(chunk)))])
			if sent.Add(int64(k)); err != nil {
				return
			}
		}
		_, _ = io.WriteString(w, `"}}`)
	})
	c := clusterOf(t, n.URL)
	for name, of := range map[string]struct {
		r     Request
		limit int64
	}{
		"a secret":   {Request{Method: http.MethodGet, Path: "secret/data/a"}, 8 << 20},
		"a listing":  {Request{Method: "LIST", Path: "secret/metadata"}, 32 << 20},
		"a login":    {Request{Method: http.MethodPost, Path: "auth/userpass/login/a", Anonymous: true}, 1 << 20},
		"a token":    {Request{Method: http.MethodGet, Path: "auth/token/lookup-self"}, 1 << 20},
		"the server": {Request{Method: http.MethodGet, Path: "sys/seal-status", Anonymous: true}, 1 << 20},
	} {
		var got struct{ A string }
		for status, lengths = http.StatusOK, false; ; lengths = true {
			size = 4 << 30
			sent.Store(0)
			if lengths {
				size = 64 << 10
			}
			e := keyturn.AsError(c.Ask(t.Context(), of.r, &got))
			if e == nil || e.Code != keyturn.Unavailable || !strings.Contains(e.Message, "too large") || e.Unknown != of.r.changes() || !isFinal(e) {
				t.Errorf("%s that is too large: %+v", name, e)
			}
			if more := sent.Load() - of.limit; more > 16<<20 { // what the connection holds is sent, and not read
				t.Errorf("%s: %d bytes more than the limit were sent", name, more)
			}
			if lengths {
				lengths = false
				break
			}
		}
		size = of.limit - 100
		if err := c.Ask(t.Context(), of.r, &got); err != nil || int64(len(got.A)) != size {
			t.Errorf("%s of %d bytes: %v, %d bytes", name, size, err, len(got.A))
		}
		status, size = http.StatusForbidden, 4<<30
		if e := keyturn.AsError(c.Ask(t.Context(), of.r, &got)); e == nil || e.Code != keyturn.Denied {
			t.Errorf("%s: a large refusal: %+v", name, e)
		}
	}
	if packed.Load() > 0 {
		t.Errorf("%d answers were asked for compressed", packed.Load())
	}
}

func isFinal(e *keyturn.Error) bool {
	f, ok := e.Err.(interface{ Final() bool })
	return ok && f.Final()
}
