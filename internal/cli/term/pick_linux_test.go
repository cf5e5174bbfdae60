package term

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// stage is a terminal with a picker on it; typed is pressed once it is drawn.
func stage(ctx context.Context, t *testing.T, p *Picker, size pty.Winsize, typed string) (int, string, error) {
	t.Helper()
	ours, theirs, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer theirs.Close()
	if err := pty.Setsize(theirs, &size); err != nil {
		t.Fatal(err)
	}
	before, err := unix.IoctlGetTermios(int(theirs.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	drawn, text := make(chan bool), make(chan string)
	go func() {
		var b strings.Builder
		buf := make([]byte, 4096)
		for {
			n, err := ours.Read(buf)
			if b.Len() == 0 && n > 0 {
				close(drawn)
			}
			b.Write(buf[:n])
			if err != nil || strings.Contains(b.String(), "\x1b[?1049l") {
				text <- b.String()
				return
			}
		}
	}()
	go func() {
		<-drawn
		_, _ = ours.WriteString(typed)
	}()
	p.In, p.Out = theirs, theirs
	i, err := p.Pick(ctx)
	after, termErr := unix.IoctlGetTermios(int(theirs.Fd()), unix.TCGETS)
	if termErr != nil || *after != *before {
		t.Errorf("the terminal is not as it was: %+v, want %+v (%v)", after, before, termErr)
	}
	select {
	case s := <-text:
		return i, s, err
	case <-time.After(10 * time.Second):
		t.Fatal("the first screen did not come back")
		return 0, "", nil
	}
}

var usual = pty.Winsize{Rows: 24, Cols: 80}

// TestNamesAreCleaned: what stands in a name does nothing to the terminal, and is
// chosen all the same.
func TestNamesAreCleaned(t *testing.T) {
	p := &Picker{Title: "x", Items: []string{"one", "two\x1b]0;title\a\u202e"}}
	i, out, err := stage(t.Context(), t, p, usual, "two\r")
	if err != nil || i != 1 {
		t.Fatalf("%d, %v", i, err)
	}
	for _, bad := range []string{"\x1b]", "\a", "\u202e"} {
		if strings.Contains(out, bad) {
			t.Errorf("%q is on the screen", bad)
		}
	}
}

// TestSizes: no size of a terminal is a trouble, and no line is longer than it.
func TestSizes(t *testing.T) {
	for _, size := range []pty.Winsize{{Rows: 1, Cols: 1}, {Rows: 2, Cols: 3}, {Rows: 3, Cols: 10}, {Rows: 200, Cols: 500}, {}} {
		p := &Picker{Title: "secret", Plain: true}
		for range 50 {
			p.Items = append(p.Items, strings.Repeat("näme/", 30))
		}
		i, out, err := stage(t.Context(), t, p, size, "n\x1b[B\x1b[B\x1b[6~\x1b[5~\x1b[F\x1b[H\x1b[B\r")
		if err != nil || i != 1 {
			t.Errorf("%+v: %d, %v", size, i, err)
		}
		if size.Cols >= 10 {
			for line := range strings.SplitSeq(out, "\r\n") {
				if text, _, _ := strings.Cut(line, "\x1b[K"); !strings.Contains(text, "\x1b") && width(text) > int(size.Cols) {
					t.Errorf("%+v: a line of %d columns", size, width(text))
				}
			}
		}
	}
}

// TestLeaving: every way out leaves the terminal as it was.
func TestLeaving(t *testing.T) {
	for _, typed := range []string{"\x03", "\x04", "\x07", "\x1b", "\x1b\x1b", "abc\x1c"} {
		p := &Picker{Items: []string{"one"}}
		if _, _, err := stage(t.Context(), t, p, usual, typed); !errors.Is(err, ErrInterrupted) {
			t.Errorf("%q: %v", typed, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := stage(ctx, t, &Picker{Items: []string{"one"}}, usual, ""); !errors.Is(err, ErrInterrupted) {
		t.Errorf("a context that has ended: %v", err)
	}
}

func TestNoTerminal(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if _, err := (&Picker{In: r, Out: w, Items: []string{"one"}}).Pick(t.Context()); err == nil {
		t.Error("a pipe is taken for a terminal")
	}
}
