//go:build unix

package forward

import (
	"errors"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// The syslog of this machine gets a datagram in the older form.
func TestLocalSyslog(t *testing.T) {
	was := localSockets
	defer func() { localSockets = was }()
	path := filepath.Join(t.TempDir(), "log")
	localSockets = []string{filepath.Join(t.TempDir(), "missing"), path}
	data := []byte(`{"v":1}`)
	e := keyturn.LogEntry{Seq: 1, Data: data, Leaf: verify.Leaf(data)}
	s := newSyslog(Local)
	if err := s.send(t.Context(), e); err == nil || !strings.Contains(err.Error(), "no syslog") {
		t.Errorf("without a syslog: %v", err)
	}
	server, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	b := make([]byte, 1<<16)
	read := func() string {
		t.Helper()
		_ = server.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, err := server.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	if err := s.send(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`^<110>[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d keyturn\[\d+\]: \{"seq":1,"leaf":"[^"]+","record":\{"v":1\}\}$`)
	if got := read(); !form.MatchString(got) {
		t.Errorf("the message is %q", got)
	}
	e.Data = []byte(`{"v":"` + strings.Repeat("x", 4<<20) + `"}`)
	if err := s.send(t.Context(), e); err != nil {
		t.Fatalf("too large for a datagram: %v", err)
	}
	if got := read(); !strings.HasSuffix(got, `="}`) {
		t.Errorf("a large one is %q", got[:min(len(got), 200)])
	}
	s.reset()
	if err := (&syslog{where: "gopher://x:1"}).send(t.Context(), e); err == nil || errors.Is(err, net.ErrClosed) {
		t.Errorf("an address of nothing: %v", err)
	}
}
