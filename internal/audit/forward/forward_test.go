package forward_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit/forward"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// log is a log in memory.
type log struct {
	mu   sync.Mutex
	rows []keyturn.LogEntry
}

func (l *log) add(n int) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		data := fmt.Appendf(nil, `{"v":1,"id":"%d","phase":"intent","time":"2026-01-24T10:00:00.000001Z"}`, len(l.rows)+1)
		l.rows = append(l.rows, keyturn.LogEntry{Seq: int64(len(l.rows) + 1), Data: data, Leaf: verify.Leaf(data)})
	}
	return int64(len(l.rows))
}

func (l *log) from(_ context.Context, from int64) iter.Seq2[keyturn.LogEntry, error] {
	l.mu.Lock()
	rows := l.rows
	l.mu.Unlock()
	return func(yield func(keyturn.LogEntry, error) bool) {
		for _, e := range rows[min(len(rows), int(from)-1):] {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// lines are what a file holds; each must be the row's line.
func lines(t *testing.T, path string) (out []int64) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		e, ok := verify.ParseLine(bytes.TrimSuffix(line, []byte("\n")))
		if !ok || verify.Leaf(e.Data) != e.Leaf {
			t.Fatalf("not a row: %q", line)
		}
		out = append(out, e.Seq)
	}
	return out
}

func same(got []int64, want string) bool { return fmt.Sprint(got) == want }

func open(t *testing.T, folder string, to forward.Target) *forward.Set {
	s := forward.New(folder, []forward.Target{to}, func(to forward.Target, err error) { t.Logf("told: %s: %v", to, err) })
	t.Cleanup(s.Close)
	return s
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	path, marks := filepath.Join(dir, "a.jsonl"), filepath.Join(dir, "forward")
	to := forward.Target{File: path, Required: true}
	l := &log{}
	send := func(s *forward.Set) {
		t.Helper()
		if err := s.Forward(t.Context(), l.from, l.add(2)); err != nil {
			t.Fatal(err)
		}
	}
	first := open(t, marks, to)
	send(first)
	send(first)
	if got := lines(t, path); !same(got, "[1 2 3 4]") {
		t.Errorf("forwarded %v", got)
	}
	// Another process goes on where this one was, and the other way round.
	second := open(t, marks, to)
	send(second)
	send(first)
	if got := lines(t, path); !same(got, "[1 2 3 4 5 6 7 8]") {
		t.Errorf("by two processes: %v", got)
	}
	// A line that a crash tore is written again.
	text, _ := os.ReadFile(path)
	if err := os.WriteFile(path, text[:len(text)-30], 0o600); err != nil {
		t.Fatal(err)
	}
	send(open(t, marks, to))
	if got := lines(t, path); !same(got, "[1 2 3 4 5 6 7 8 9 10]") {
		t.Errorf("after a torn line: %v", got)
	}
	// Moved away, as logrotate does: a new file goes on.
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	send(first)
	if got := lines(t, path); !same(got, "[11 12]") {
		t.Errorf("after it was moved away: %v", got)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm()&0o077 != 0 {
		t.Errorf("the file's mode is %v, %v", fi.Mode(), err)
	}
	// An older copy of the store was restored: a row too often beats one lost.
	l.rows = l.rows[:3:3]
	l.rows[2].Data = []byte(`{"v":1,"id":"other"}`)
	l.rows[2].Leaf = verify.Leaf(l.rows[2].Data)
	send(first)
	if got := lines(t, path); !same(got, "[11 12 1 2 3 4 5]") {
		t.Errorf("after an older copy was restored: %v", got)
	}
}

// A file that is something else is left as it is.
func TestFileOfSomebodyElse(t *testing.T) {
	l := &log{}
	for what, text := range map[string]string{"a line": "root:x:0:0\n", "no line": "hello", "many": strings.Repeat("x\n", 200000), "one long": strings.Repeat("x", 1<<20)} {
		dir := t.TempDir()
		path := filepath.Join(dir, "passwd")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, filepath.Join(dir, "forward"), forward.Target{File: path, Required: true})
		err := s.Forward(t.Context(), l.from, l.add(1))
		if !errors.Is(err, keyturn.Unavailable) || !strings.Contains(err.Error(), "not a file of forwarded records") {
			t.Errorf("%s: %v", what, err)
		}
		if got, _ := os.ReadFile(path); string(got) != text {
			t.Errorf("%s: it was changed", what)
		}
	}
	s := open(t, t.TempDir(), forward.Target{File: t.TempDir(), Required: true})
	if err := s.Forward(t.Context(), l.from, l.add(1)); !errors.Is(err, keyturn.Unavailable) {
		t.Errorf("a folder: %v", err)
	}
	s = open(t, t.TempDir(), forward.Target{File: "/nonexistent/folder/a.jsonl", Required: true})
	if err := s.Forward(t.Context(), l.from, l.add(1)); !errors.Is(err, keyturn.Unavailable) || keyturn.AsError(err).Hint == "" {
		t.Errorf("no folder: %v", err)
	}
}

// Many at once, as processes and within one: each row once and in order.
func TestFileManyWriters(t *testing.T) {
	dir := t.TempDir()
	path, marks := filepath.Join(dir, "a.jsonl"), filepath.Join(dir, "forward")
	l := &log{}
	var wg sync.WaitGroup
	for range 4 {
		s := open(t, marks, forward.Target{File: path, Required: true})
		for range 2 {
			wg.Go(func() {
				for range 20 {
					if err := s.Forward(context.Background(), l.from, l.add(1)); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	for i, seq := range lines(t, path) {
		if seq != int64(i+1) {
			t.Fatalf("line %d is row %d", i+1, seq)
		}
	}
	if n := len(lines(t, path)); n != 160 {
		t.Errorf("%d lines", n)
	}
}

// What is not required is told once, holds nothing up, and is caught up with.
func TestNotRequired(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "later", "a.jsonl")
	var told []string
	targets := []forward.Target{{File: path}, {File: filepath.Join(dir, "b.jsonl")}}
	s := forward.New(filepath.Join(dir, "forward"), targets, func(to forward.Target, err error) {
		told = append(told, to.String()+": "+forward.Reason(err))
	})
	l := &log{}
	for range 3 {
		if err := s.Forward(t.Context(), l.from, l.add(1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	s.Close()
	s.Close()
	if len(told) != 1 || !strings.Contains(told[0], path) {
		t.Errorf("told %q", told)
	}
	if got := lines(t, filepath.Join(dir, "b.jsonl")); !same(got, "[1 2 3]") {
		t.Errorf("the other place has %v", got)
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	s = forward.New(filepath.Join(dir, "forward"), targets, nil)
	if err := s.Forward(t.Context(), l.from, l.add(1)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if got := lines(t, path); !same(got, "[1 2 3 4]") {
		t.Errorf("caught up with %v", got)
	}
}

var framed = regexp.MustCompile(`^<110>1 2026-01-24T10:00:00\.000001Z \S+ keyturn \d+ audit - (\{"seq":(\d+),"leaf":"[^"]+","record":\{.*\}\})$`)

func TestSyslogUDP(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	marks := t.TempDir()
	l := &log{}
	to := forward.Target{Syslog: "udp://" + server.LocalAddr().String()}
	seq := 0
	for range 2 { // the second process goes on behind the first
		s := forward.New(marks, []forward.Target{to}, func(_ forward.Target, err error) { t.Error(err) })
		if err := s.Forward(t.Context(), l.from, l.add(3)); err != nil {
			t.Fatal(err)
		}
		s.Close()
		for range 3 {
			b := make([]byte, 1<<16)
			_ = server.SetReadDeadline(time.Now().Add(5 * time.Second))
			n, _, err := server.ReadFrom(b)
			if err != nil {
				t.Fatal(err)
			}
			seq++
			m := framed.FindSubmatch(b[:n])
			if m == nil || string(m[2]) != strconv.Itoa(seq) {
				t.Fatalf("message %d is %q", seq, b[:n])
			}
		}
	}
	// What no datagram takes is sent as its hash.
	l.rows = append(l.rows, keyturn.LogEntry{Seq: 7, Data: []byte(`{"v":1,"id":"` + strings.Repeat("x", 1<<17) + `"}`)})
	s := forward.New(marks, []forward.Target{to}, func(_ forward.Target, err error) { t.Error(err) })
	if err := s.Forward(t.Context(), l.from, 7); err != nil {
		t.Fatal(err)
	}
	s.Close()
	b := make([]byte, 1<<16)
	n, _, err := server.ReadFrom(b)
	if err != nil || !regexp.MustCompile(`\{"seq":7,"leaf":"[^"]+"\}$`).Match(b[:n]) {
		t.Errorf("a large one is %q, %v", b[:min(n, 200)], err)
	}
}

// stream reads messages with their length ahead.
func stream(t *testing.T, conn net.Conn, n int) (out []string) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	r := bufio.NewReader(conn)
	for range n {
		size, err := r.ReadString(' ')
		if err != nil {
			t.Fatal(err)
		}
		length, err := strconv.Atoi(strings.TrimSpace(size))
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, length)
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatal(err)
		}
		m := framed.FindStringSubmatch(string(b))
		if m == nil {
			t.Fatalf("a message is %q", b)
		}
		out = append(out, m[2])
	}
	return out
}

func TestSyslogStream(t *testing.T) {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secure := tlsServer(t)
	for scheme, server := range map[string]net.Listener{"tcp": plain, "tls": secure} {
		t.Run(scheme, func(t *testing.T) {
			marks, l := t.TempDir(), &log{}
			_, port, _ := net.SplitHostPort(server.Addr().String())
			to := forward.Target{Syslog: scheme + "://localhost:" + port, Required: true}
			got := make(chan []string, 1)
			go func() {
				conn, err := server.Accept()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				got <- stream(t, conn, 3)
			}()
			s := open(t, marks, to)
			if err := s.Forward(t.Context(), l.from, l.add(2)); err != nil {
				t.Fatal(err)
			}
			if err := s.Forward(t.Context(), l.from, l.add(1)); err != nil {
				t.Fatal(err)
			}
			if all := <-got; fmt.Sprint(all) != "[1 2 3]" {
				t.Errorf("the server got %v", all)
			}
			s.Close()
			// It is down, and then back.
			_ = server.Close()
			s = open(t, marks, to)
			err := s.Forward(t.Context(), l.from, l.add(1))
			if !errors.Is(err, keyturn.Unavailable) || !strings.Contains(err.Error(), "requires it") {
				t.Errorf("a server that is down: %v", err)
			}
		})
	}
}

// tlsServer has a certificate for localhost that this process trusts.
func tlsServer(t *testing.T) net.Listener {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", path) // read once, when the first server is verified
	server, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// Two stores with one configuration: the second is told, and the file stays that of
// the first. One whose older copy was restored goes on, since the last line is its own.
func TestFileOfAnotherStore(t *testing.T) {
	dir := t.TempDir()
	to := forward.Target{File: filepath.Join(dir, "a.jsonl"), Required: true}
	mine, theirs := &log{}, &log{}
	for i := range 10 {
		data := fmt.Appendf(nil, `{"v":1,"id":"theirs-%d"}`, i)
		theirs.rows = append(theirs.rows, keyturn.LogEntry{Seq: int64(i + 1), Data: data, Leaf: verify.Leaf(data)})
	}
	for range 3 {
		if err := open(t, filepath.Join(dir, "mine"), to).Forward(t.Context(), mine.from, mine.add(2)); err != nil {
			t.Fatal(err)
		}
		err := open(t, filepath.Join(dir, "theirs"), to).Forward(t.Context(), theirs.from, theirs.add(2))
		if !errors.Is(err, keyturn.Unavailable) || !strings.Contains(err.Error(), "ends with a record of another log") {
			t.Errorf("another store: %v", err)
		}
	}
	if got := lines(t, to.File); !same(got, "[1 2 3 4 5 6]") {
		t.Errorf("forwarded %v", got)
	}
}

// A place that never answers holds up the end of one program for a second, and the
// next ones not at all; a place beside it is not held up.
func TestSlowPlace(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.jsonl")
	l := &log{}
	for i, most := range []time.Duration{3 * time.Second, 400 * time.Millisecond, 400 * time.Millisecond} {
		told := ""
		s := forward.New(filepath.Join(dir, "forward"), []forward.Target{{Syslog: "tls://" + server.Addr().String()}, {File: path}}, func(to forward.Target, err error) {
			told += to.String() + ": " + forward.Reason(err)
		})
		begun := time.Now()
		if err := s.Forward(t.Context(), l.from, l.add(1)); err != nil {
			t.Fatal(err)
		}
		s.Close()
		if took := time.Since(begun); took > most || !strings.Contains(told, "tls://") || i > 0 != strings.Contains(told, "a moment ago") {
			t.Errorf("program %d took %v and was told %q", i, took, told)
		}
	}
	if got := lines(t, path); !same(got, "[1 2 3]") {
		t.Errorf("the other place has %v", got)
	}
}
