package vault

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/platformtest"
)

type counting struct{ reads atomic.Int64 }

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && r.Method == "GET" && strings.HasPrefix(r.URL.Path, "/v1/secret/data/") && resp.StatusCode == 200 {
		c.reads.Add(1)
	}
	return resp, err
}

func TestReal(t *testing.T) {
	addr := os.Getenv("REAL_VAULT")
	if addr == "" {
		t.Skip("no server")
	}
	platformtest.Run(t, func(t *testing.T) platformtest.Harness {
		c := &counting{}
		cfg := Config{Address: addr, Transport: c, Token: func(context.Context) (keyturn.Value, error) { return keyturn.NewValue([]byte("root")), nil }}
		p, err := New(cfg, "vault")
		if err != nil {
			t.Fatal(err)
		}
		q, _ := New(cfg, "vault")
		return platformtest.Harness{Platform: p, Second: q, Spec: Spec, Mount: "vault", Prefix: "secret/under test", Reads: func() int { return int(c.reads.Load()) }}
	})
	_ = io.EOF
}
