package vault

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
	"github.com/keyturn/keyturn/internal/world/servers"
)

// hosts counts the requests by host, and the redirects.
type hosts struct {
	to        [3]atomic.Int64
	redirects atomic.Int64
	all       []*servers.Vault
}

func (h *hosts) RoundTrip(r *http.Request) (*http.Response, error) {
	for i, v := range h.all {
		if strings.HasSuffix(v.Address, r.URL.Host) {
			h.to[i].Add(1)
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusTemporaryRedirect {
		h.redirects.Add(1)
	}
	return resp, err
}

// clusterMount is a mount of these servers, the first of them its address.
func clusterMount(t *testing.T, all ...*servers.Vault) (*platform.Mount, *Platform, *hosts) {
	t.Helper()
	h := &hosts{all: all}
	c := configOf(all[0])
	c.Transport = h
	for _, v := range all[1:] {
		c.Others = append(c.Others, v.Address)
	}
	p := open(t, c)
	return platform.NewMount("vault", p, Spec, "test"), p, h
}

// active is the server of a cluster that answers, and the others.
func active(t *testing.T, all []*servers.Vault) (*servers.Vault, []*servers.Vault) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		for i, v := range all {
			if v.Active() {
				return v, append(append([]*servers.Vault{}, all[:i]...), all[i+1:]...)
			}
		}
	}
	t.Fatal("no server is active")
	return nil, nil
}

// TestCluster asks a real cluster of three with raft storage by its standbys, then has
// the active server step down, and another one die, in the middle of puts and gets:
// what was said to be written is there, once.
func TestCluster(t *testing.T) {
	all := servers.VaultRaft(t, 3)
	first, standbys := active(t, all)
	first.Call(http.MethodPost, "sys/mounts/kv", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}}, nil)
	first.Call(http.MethodPost, "kv/config", map[string]int{"max_versions": 5000}, nil)
	ref := keyturn.MustRef("vault/kv/app")

	t.Run("standby alone", func(t *testing.T) { // it passes requests on
		m, p, h := clusterMount(t, standbys[0])
		if _, err := m.Put(t.Context(), ref, putOf("one")); err != nil {
			t.Fatal(err)
		}
		if s, err := m.Get(t.Context(), ref); err != nil || !s.Values["f"].Equal(valueOf("one")) || h.redirects.Load() != 0 {
			t.Errorf("%v, %d redirects", err, h.redirects.Load())
		}
		if st := p.Status(t.Context()); st.Err != nil || st.Identity != "root" || !strings.HasSuffix(st.Detail, ", standby, active is "+first.Address) {
			t.Errorf("status: %+v", st)
		}
		c, err := api.New(configOf(standbys[0]))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Do(t.Context(), ref, http.MethodGet, "sys/no-such-thing", "", nil, nil); keyturn.AsError(err).Code != keyturn.NotFound {
			t.Errorf("passed on: %v", err)
		}
	})
	t.Run("standbys first", func(t *testing.T) { // a change follows the redirect to the active one, and stays there
		m, p, h := clusterMount(t, standbys[0], standbys[1], first)
		for _, text := range []string{"two", "three"} {
			if _, err := m.Put(t.Context(), ref, putOf(text)); err != nil {
				t.Fatal(err)
			}
		}
		if h.redirects.Load() != 1 || h.to[1].Load() != 0 {
			t.Errorf("%d redirects, %d requests to the other standby", h.redirects.Load(), h.to[1].Load())
		}
		if st := p.Status(t.Context()); st.Err != nil || strings.Count(st.Detail, "is standby") != 2 || strings.Count(st.Detail, "is active") != 1 {
			t.Errorf("status: %+v", st)
		}
	})
	t.Run("active one not named", func(t *testing.T) { // the standby is let pass it on
		m, _, h := clusterMount(t, standbys...)
		if _, err := m.Put(t.Context(), ref, putOf("four")); err != nil || h.redirects.Load() != 1 {
			t.Errorf("%v, %d redirects", err, h.redirects.Load())
		}
	})
	t.Run("steps down", func(t *testing.T) {
		during(t, all, keyturn.MustRef("vault/kv/steps-down"), func() { first.Call(http.MethodPut, "sys/step-down", nil, nil) })
	})
	t.Run("dies", func(t *testing.T) {
		now, _ := active(t, all)
		during(t, all, keyturn.MustRef("vault/kv/dies"), now.Kill)
	})
}

func valueOf(text string) keyturn.Value { return keyturn.NewValue([]byte(text)) }

func putOf(text string) platform.Put {
	return platform.Put{Values: map[string]keyturn.Value{"f": valueOf(text)}, Mode: keyturn.Replace}
}

// during writes and reads a secret, one after the other, while something happens to
// the cluster, until writes succeed again. Each write is another value. It checks that
// all that was acknowledged is there, in order and once, that nothing else is but what
// was said to be open.
func during(t *testing.T, all []*servers.Vault, ref keyturn.Ref, happens func()) {
	t.Helper()
	m, _, _ := clusterMount(t, all...)
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	acked, unknown := map[string]string{}, map[string]bool{} // by value, the version; those whose outcome is open
	codes := map[string]int{}
	started, done := make(chan bool), make(chan bool)
	go func() {
		<-started
		happens()
		close(done)
	}()
	after := 0 // writes that succeeded after it happened
	for n := 0; after < 3 && ctx.Err() == nil; n++ {
		if n == 5 {
			close(started)
		}
		text := fmt.Sprintf("v%d", n)
		c, err := m.Put(ctx, ref, putOf(text))
		e := keyturn.AsError(err)
		switch {
		case e == nil:
			acked[text] = c.Info.Version
		case e.Unknown:
			unknown[text] = true
			codes["put "+string(e.Code)+", open"]++
		case e.Code == keyturn.Unavailable:
			codes["put "+string(e.Code)]++
		default:
			t.Errorf("put: %v", err)
		}
		if s, err := m.Get(ctx, ref); err == nil {
			if v := string(s.Values["f"].Reveal()); e == nil && v != text {
				t.Errorf("after %s was written %s is read", text, v)
			}
		} else if keyturn.AsError(err).Code != keyturn.Unavailable {
			t.Errorf("get: %v", err)
		} else {
			codes["get "+string(keyturn.AsError(err).Code)]++
		}
		select {
		case <-done:
			if e == nil {
				after++
			}
		default:
		}
	}
	if after < 3 {
		t.Fatalf("no server took over: %v", codes)
	}
	versions, err := m.Versions(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for _, info := range versions {
		at, _ := ref.WithVersion(info.Version)
		s, err := m.Get(ctx, at)
		if err != nil {
			t.Fatal(err)
		}
		v := string(s.Values["f"].Reveal())
		times[v]++
		if acked[v] != info.Version && !unknown[v] {
			t.Errorf("version %s is %s, which was said to be version %q", info.Version, v, acked[v])
		}
	}
	for v := range acked {
		if times[v] != 1 {
			t.Errorf("%s was said to be written, and is there %d times", v, times[v])
		}
	}
	for v := range unknown {
		if times[v] > 1 {
			t.Errorf("%s is there %d times", v, times[v])
		}
	}
	t.Logf("%d written, %d open; failures: %v", len(acked), len(unknown), codes)
}
