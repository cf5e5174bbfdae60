//go:build unix

package durable_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/durable"
)

// soon fails the test where f takes more than ten seconds, and goes on without it.
func soon(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: it waits", what)
	}
}

func fifo(t *testing.T, path string) string {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip("no pipes here:", err)
	}
	return path
}

// TestOpenRegular: where a file is needed, nothing else is opened or waited for.
func TestOpenRegular(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link} {
		if data, info, err := durable.ReadRegular(path, 4); err != nil || string(data) != "text" || info.Size() != 4 {
			t.Errorf("%s: %q, %v", path, data, err)
		}
	}
	if _, _, err := durable.ReadRegular(file, 3); !errors.Is(err, durable.ErrLarge) {
		t.Errorf("too large: %v", err)
	}
	sock, err := net.Listen("unix", filepath.Join(dir, "sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close()
	for _, path := range []string{fifo(t, filepath.Join(dir, "fifo")), filepath.Join(dir, "sock"), dir, os.DevNull, "/dev/zero"} {
		for _, flag := range []int{os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_CREATE | os.O_APPEND} {
			soon(t, path, func() {
				if _, _, err := durable.OpenRegular(path, flag); !errors.Is(err, durable.ErrIrregular) {
					t.Errorf("%s: %v", path, err)
				}
			})
		}
	}
}

// TestOpenInput: what a caller names may be a pipe, and is waited for as long as that can
// come to something.
func TestOpenInput(t *testing.T) {
	dir := t.TempDir()
	path := fifo(t, filepath.Join(dir, "fifo"))
	// Nobody writes.
	soon(t, "no writer", func() {
		begun := time.Now()
		_, err := durable.ReadInput(t.Context(), path, 100)
		if took := time.Since(begun); !errors.Is(err, durable.ErrNoWriter) || took < durable.WriterWait/2 {
			t.Errorf("no writer: %v after %v", err, took)
		}
	})
	// A signal, or the end of the time.
	soon(t, "no writer, ended", func() {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := durable.ReadInput(ctx, path, 100); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ended while it opens: %v", err)
		}
	})
	writer := make(chan *os.File)
	open := func() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Error(err)
		}
		writer <- f
	}
	soon(t, "a writer that says nothing", func() {
		go open()
		ctx, cancel := context.WithCancel(t.Context())
		in, err := durable.OpenInput(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		w := <-writer
		defer w.Close()
		time.AfterFunc(50*time.Millisecond, cancel)
		if b, err := io.ReadAll(in); !errors.Is(err, context.Canceled) || len(b) > 0 {
			t.Errorf("ended while it reads: %q, %v", b, err)
		}
	})
	for what, text := range map[string]string{"a writer": "text", "a writer of nothing": "", "of much": strings.Repeat("x", 300<<10)} {
		soon(t, what, func() {
			go open()
			go func() {
				f := <-writer
				_, _ = f.WriteString(text)
				_ = f.Close()
			}()
			if got, err := durable.ReadInput(t.Context(), path, 1<<20); err != nil || string(got) != text {
				t.Errorf("%s: %d bytes, %v", what, len(got), err)
			}
		})
	}
	// A descriptor, as a shell hands one over; its writer may have ended.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, _ = w.WriteString("text")
	_ = w.Close()
	soon(t, "a descriptor", func() {
		got, err := durable.ReadInput(t.Context(), "/dev/fd/"+strconv.Itoa(int(r.Fd())), 100)
		if err != nil || string(got) != "text" {
			t.Errorf("a descriptor: %q, %v", got, err)
		}
	})
	sock, err := net.Listen("unix", filepath.Join(dir, "sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close()
	for _, path := range []string{filepath.Join(dir, "sock"), dir} {
		if _, err := durable.ReadInput(t.Context(), path, 100); !errors.Is(err, durable.ErrIrregular) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := durable.ReadInput(t.Context(), "/dev/zero", 100); !errors.Is(err, durable.ErrLarge) {
		t.Errorf("without end: %v", err)
	}
}

// TestWriteThrough: nothing waits for a reader that may never come.
func TestWriteThrough(t *testing.T) {
	dir := t.TempDir()
	path := fifo(t, filepath.Join(dir, "fifo"))
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, link} {
		soon(t, path, func() {
			if err := durable.WriteThrough(path, []byte("text")); !errors.Is(err, durable.ErrNamedPipe) {
				t.Errorf("%s: %v", path, err)
			}
		})
	}
	for _, path := range []string{dir, filepath.Join(dir, "none")} {
		if err := durable.WriteThrough(path, nil); err == nil {
			t.Errorf("%s was written to", path)
		}
	}
	if err := durable.WriteThrough(os.DevNull, []byte("text")); err != nil {
		t.Errorf("a device: %v", err)
	}
	if runtime.GOOS != "linux" {
		return // what /dev/fd is differs
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	soon(t, "a descriptor", func() {
		if err := durable.WriteThrough("/dev/fd/"+strconv.Itoa(int(w.Fd())), []byte("text")); err != nil {
			t.Errorf("a descriptor: %v", err)
		}
		_ = w.Close()
		if got, err := io.ReadAll(r); err != nil || string(got) != "text" {
			t.Errorf("a descriptor: %q, %v", got, err)
		}
	})
}
