package leak

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const secret = "s3cr3t-Value/42+x"

func TestOverlaps(t *testing.T) {
	tests := []struct {
		name  string
		forms string // separated by spaces
		in    string
		want  string
	}{
		{"self-overlap over a false start", "0x0xdeadbeef", "k=0x0x0xdeadbeef;", "k=0x[redacted:0];"},
		{"suffix of a failed match", "aaaab aaaa abab", "xaaaabab", "x[redacted:0]"},
		{"longest of nested prefixes", "abcd abcdef abcdefgh", "-abcdefgx-abcdefgh-abcd", "-[redacted:1]gx-[redacted:2]-[redacted:0]"},
		{"nested inside", "cdef abcdefgh", "abcdefgh cdef", "[redacted:1] [redacted:0]"},
		{"nested inside an unfinished one", "cdef abcdefgh", "abcdefg", "ab[redacted:0]g"},
		{"chain of overlaps is one region", "abcdef efghij ijklmn", "-abcdefghijklmn-", "-[redacted:0]-"},
		{"adjacent ones are two regions", "abcdef ghijkl", "abcdefghijkl", "[redacted:0][redacted:1]"},
		{"bridge over adjacent ones", "abcdef ghijkl efgh", "abcdefghijkl", "[redacted:0]"},
		{"periodic", "abab", "xabababababx", "x[redacted:0]x"},
		{"same value twice", "abcd abcd", "abcd", "[redacted:0]"},
		{"same stretch in both views", "ab\ncd abcd", "ab\ncd", "[redacted:0]"},
		{"same stretch in both views, the other label", "abcd ab\ncd", "ab\ncd", "[redacted:0]"},
		{"the filter rewinds", "xxaby abac", "xxababac", "xxab[redacted:1]"},
		{"tower", "abcdefgh bcdefghi cdefghij defg efgh efghijkl", "abcdefghijklm", "[redacted:0]m"},
		{"incomplete at the end", "abcdef", "xabcde", "xabcde"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, forms := rawMatcher(t, strings.Split(tt.forms, " ")...)
			if diff := cmp.Diff(tt.want, string(checkStream(t, m, forms, []byte(tt.in)))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPassesThrough(t *testing.T) {
	m, forms := newMatcher(t, Needle{Value: []byte(secret), Label: "x"})
	none, _ := newMatcher(t)
	all := make([]byte, 0, 1024)
	for i := range 1024 {
		all = append(all, byte(i), byte(i*7>>3))
	}
	for _, data := range [][]byte{nil, {0}, []byte("a\xff\xfe\x00\r\n\x1b[1mb\xc3"), all, []byte("\x1b]0;no end"), []byte("s3cr3t-Value")} {
		if got := checkStream(t, m, forms, data); !bytes.Equal(got, data) {
			t.Errorf("%q became %q", data, got)
		}
		if got := stream(t, none, data, 3); !bytes.Equal(got, data) {
			t.Errorf("no needles: %q became %q", data, got)
		}
	}
}

func TestLabels(t *testing.T) {
	needles := []Needle{
		{Value: []byte("first-value-1"), Label: "local/a#p"},
		{Value: []byte("second-value-2"), Label: ""},
		{Value: []byte("first-value-1"), Label: "local/b#p"},
		{Value: []byte("my-app-name"), Label: "local/my-app-name#user"},
		{Value: []byte("fourth-value-4"), Label: "a\x1b[1m\n\u202eb"},
		{Value: nil, Label: "local/empty#p"},
	}
	m, skipped, err := Compile(needles)
	if err != nil || len(skipped) > 0 {
		t.Fatal(skipped, err)
	}
	got := string(m.Redact([]byte("first-value-1 second-value-2 my-app-name fourth-value-4")))
	want := "[redacted:local/a#p] [redacted] [redacted] [redacted:a[1mb]"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSkipped(t *testing.T) {
	weak := map[string]Reason{
		"abc": TooShort, " x \n": TooShort, "   \n": TooShort, "\t\t\t\t\t\t\t\t\t": TooShort,
		"true": TooCommon, "LocalHost\n": TooCommon, "changeme": TooCommon, "8080": TooCommon,
		"1234567": TooCommon, "3.1415": TooCommon, "xxxxxxxxxxxx": TooCommon, "********": TooCommon, "redacted": TooCommon,
	}
	for value, reason := range weak {
		m, skipped, err := Compile([]Needle{{Value: []byte(value), Label: "l"}})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]Skipped{{0, "l", reason}}, skipped); diff != "" {
			t.Errorf("%q: %s", value, diff)
		}
		if got := m.Redact([]byte(value)); string(got) != value {
			t.Errorf("%q became %q", value, got)
		}
	}
	for _, value := range []string{"k8s!", "hunter2", "Tr0ub4", "20260731", "true story", "äääää1"} {
		m, skipped, err := Compile([]Needle{{Value: []byte(value), Label: "l"}})
		if err != nil || len(skipped) > 0 {
			t.Fatal(skipped, err)
		}
		if got := m.Redact([]byte(value)); string(got) != "[redacted:l]" {
			t.Errorf("%q became %q", value, got)
		}
	}
}

func TestHoldsOnlyLivePrefixes(t *testing.T) {
	m, _ := newMatcher(t, Needle{Value: []byte(secret), Label: "x"})
	var out bytes.Buffer
	w := m.Writer(&out, Options{Idle: -1})
	steps := []struct{ in, want string }{
		{"Name: ", "Name: "},                  // nothing begins with a blank
		{"s3c", ""},                           // held
		{"x", "s3cx"},                         // decided
		{"s3cr3t-Value", ""},                  // held
		{"/42+x", "[redacted:x]"},             // complete: no wait for the next byte
		{"\x1b[1ms3\x1b[0m", "\x1b[1m"},       // held with the sequence inside
		{"!\n", "s3\x1b[0m!\n"},               // decided
		{"s3cr3t-Value/42+", ""},              //
		{"s3cr3t-Value/", "s3cr3t-Value/42+"}, // the first one failed
	}
	for _, s := range steps {
		out.Reset()
		if _, err := io.WriteString(w, s.in); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); got != s.want {
			t.Errorf("after %q: got %q, want %q", s.in, got, s.want)
		}
	}
	out.Reset()
	if err := w.Close(); err != nil || out.String() != "s3cr3t-Value/" {
		t.Errorf("Close: %q, %v", out.String(), err)
	}
}

// fakeTimer is a timer that fires when the test says so.
type fakeTimer struct {
	f     func()
	armed bool
}

func (f *fakeTimer) after(_ time.Duration, fn func()) Timer {
	f.f, f.armed = fn, true
	return f
}
func (f *fakeTimer) Reset(time.Duration) bool { f.armed = true; return false }
func (f *fakeTimer) Stop() bool               { f.armed = false; return false }
func (f *fakeTimer) fire() {
	if f.armed {
		f.armed = false
		f.f()
	}
}

func TestIdle(t *testing.T) {
	tests := []struct {
		name   string
		writes []string
		want   []string // output after each write and the pause that follows
		close  string
	}{
		{"prompt ends in a short beginning", []string{"Press s"}, []string{"Press s"}, ""},
		{"three bytes are shown", []string{"s3c"}, []string{"s3c"}, ""},
		{"the rest is redacted", []string{"s3c", "r3t-Value/42+x"}, []string{"s3c", "[redacted:x]"}, ""},
		{"four bytes are held", []string{"s3cr", "3t-Value/42+x"}, []string{"", "[redacted:x]"}, ""},
		{"four bytes are held to the end", []string{"s3cr"}, []string{""}, "s3cr"},
		{"shown once only", []string{"s3", "cr", "3t-Value/42+x"}, []string{"s3", "", "[redacted:x]"}, ""},
		{"in the shadow", []string{"s3\n", "c\n", "r\n", "3t-Value/42+x"}, []string{"s3\n", "c\n", "", "[redacted:x]"}, ""},
		{"a tail after a pause is decided", []string{"s3", "!"}, []string{"s3", "!"}, ""},
		{"four in the shadow", []string{"s3\x1b[1mcr", "!"}, []string{"", "s3\x1b[1mcr!"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, _ := newMatcher(t, Needle{Value: []byte(secret), Label: "x"})
			var out bytes.Buffer
			var timer fakeTimer
			w := m.Writer(&out, Options{AfterFunc: timer.after})
			for i, s := range tt.writes {
				out.Reset()
				if _, err := io.WriteString(w, s); err != nil {
					t.Fatal(err)
				}
				timer.fire()
				if out.String() != tt.want[i] {
					t.Errorf("after %q: got %q, want %q", s, out.String(), tt.want[i])
				}
			}
			out.Reset()
			if err := w.Close(); err != nil || out.String() != tt.close {
				t.Errorf("Close: got %q, %v, want %q", out.String(), err, tt.close)
			}
		})
	}
}

func TestCloseStopsTimer(t *testing.T) {
	m, _ := newMatcher(t, Needle{Value: []byte(secret), Label: "x"})
	var timer fakeTimer
	w := m.Writer(io.Discard, Options{AfterFunc: timer.after})
	if _, err := io.WriteString(w, "s3"); err != nil || !timer.armed {
		t.Fatal(err, timer.armed)
	}
	if err := w.Close(); err != nil || timer.armed {
		t.Error(err, timer.armed)
	}
	timer.f() // it had fired already
}

func TestIdleRealTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newMatcher(t, Needle{Value: []byte(secret), Label: "x"})
		var out bytes.Buffer
		w := m.Writer(&out, Options{})
		write := func(s string, pause time.Duration, want string) {
			t.Helper()
			if _, err := io.WriteString(w, s); err != nil {
				t.Fatal(err)
			}
			time.Sleep(pause)
			synctest.Wait()
			if out.String() != want {
				t.Errorf("after %q: got %q, want %q", s, out.String(), want)
			}
		}
		write("go s", DefaultIdle-1, "go ")
		write("3", DefaultIdle-1, "go ")
		write("", 2, "go ") // even an empty Write ends the pause
		write("", DefaultIdle, "go s3")
		write("cr", time.Hour, "go s3")
		write("-", 0, "go s3cr-")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestErrors(t *testing.T) {
	m, _ := newMatcher(t, Needle{Value: []byte(secret), Label: "x"})
	broken := errors.New("broken pipe")
	var timer fakeTimer
	w := m.Writer(writerFunc(func([]byte) (int, error) { return 0, broken }), Options{AfterFunc: timer.after})
	if _, err := io.WriteString(w, "s3"); err != nil {
		t.Fatal(err)
	}
	timer.fire()
	if _, err := io.WriteString(w, "x"); !errors.Is(err, broken) {
		t.Errorf("Write after a failed pause: %v", err)
	}
	if err := w.Close(); !errors.Is(err, broken) {
		t.Errorf("Close: %v", err)
	}
	if _, err := io.WriteString(w, "x"); !errors.Is(err, ErrClosed) {
		t.Errorf("Write after Close: %v", err)
	}
	w = m.Writer(writerFunc(func(p []byte) (int, error) { return len(p) - 1, nil }), Options{})
	if _, err := io.WriteString(w, "xx"); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("short Write: %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestWipe(t *testing.T) {
	m, _ := newMatcher(t, Needle{Value: []byte(secret), Label: "x"})
	var out bytes.Buffer
	w := m.Writer(&out, Options{})
	if _, err := io.WriteString(w, "s3cr3t"); err != nil {
		t.Fatal(err)
	}
	m.Wipe()
	if _, err := io.WriteString(w, secret); !errors.Is(err, ErrWiped) {
		t.Errorf("Write: %v", err)
	}
	if err := w.Close(); !errors.Is(err, ErrWiped) || out.Len() > 0 {
		t.Errorf("Close: %v, %q", err, out.String())
	}
	for _, n := range m.automaton.nodes {
		if n != (node{}) {
			t.Fatal("a byte of a form is left")
		}
	}
	for _, c := range m.automaton.bytes {
		if c != 0 {
			t.Fatal("a byte of a form is left where forms fork")
		}
	}
}

func TestTooLarge(t *testing.T) {
	var needles []Needle
	for i := range 160 {
		needles = append(needles, Needle{Value: bytes.Repeat([]byte{'a', byte(i), 'b', byte(i >> 4)}, 4<<10)})
	}
	if m, _, err := Compile(needles); !errors.Is(err, ErrTooLarge) || m != nil {
		t.Errorf("Compile: %v", err)
	}
}

// TestBounded fills an unfinished occurrence with removed bytes.
func TestBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	const gap = 3 << 20
	m, _ := newMatcher(t, Needle{Value: []byte(secret), Label: "x"})
	for _, filler := range []string{"\x1b[31m", "\n", "\r\n    ", "\x1b]0;title\x07", "\x1b(B"} {
		fill := strings.Repeat(filler, gap/len(filler))
		tests := []struct{ name, in, want string }{
			{"long beginning, completed", "a " + secret[:9] + fill + secret[9:] + " z", "a [redacted]"},
			{"long beginning, not completed", "a " + secret[:9] + fill + "!!! z", "a [redacted]"},
			{"short beginning, completed", "a s3c" + fill + secret[3:] + " z", "a s3c" + fill[:100]},
		}
		for _, tt := range tests {
			want := stream(t, m, []byte(tt.in), len(tt.in))
			for _, size := range []int{1000, 4099, block, 3 * block} {
				if got := stream(t, m, []byte(tt.in), size); !bytes.Equal(got, want) {
					t.Errorf("%s, %q: chunks of %d differ", tt.name, filler, size)
				}
			}
			if !bytes.HasPrefix(want, []byte(tt.want)) || !bytes.HasSuffix(want, []byte(" z")) {
				t.Errorf("%s, %q: got %.40q … %q", tt.name, filler, want, want[max(0, len(want)-40):])
			}
			if bytes.Contains(want, []byte(secret[9:])) || bytes.Contains(want, []byte(secret[:5])) || bytes.Count(want, []byte("redacted")) != 1 {
				t.Errorf("%s, %q: a part is shown", tt.name, filler)
			}
		}
	}
}

func TestHugeWrite(t *testing.T) {
	m, _ := newMatcher(t, Needle{Value: []byte(secret), Label: "x"})
	data := bytes.Repeat([]byte("some text "+secret+"\n"), 200_000)
	want := bytes.Repeat([]byte("some text [redacted:x]\n"), 200_000)
	if !bytes.Equal(stream(t, m, data, len(data)), want) {
		t.Error("wrong output")
	}
}
