package launch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
)

// The canary is the value that must not be seen anywhere but in the child.
const canary = "c4n4ry-Value-77"

// A driver is the test binary in the part of keyturn: it runs one command with
// Run, on its own streams, and exits with the status. Tests talk to it as a
// person at a terminal does.
type driver struct {
	Args     []string
	Plain    bool // no filter
	Harden   bool
	NoPTY    bool   // the system has none left
	File     string // a file that holds the canary
	Break    string // "panic" or "fail": what the filter does
	Linger   time.Duration
	Deadline time.Duration
	Grace    time.Duration
}

const driverVar, helperVar = "LAUNCH_TEST_DRIVER", "LAUNCH_TEST_HELPER"

func TestMain(m *testing.M) {
	if kind := os.Getenv(helperVar); kind != "" {
		os.Unsetenv(helperVar)
		helper(kind)
		os.Exit(0)
	}
	if text := os.Getenv(driverVar); text != "" {
		os.Unsetenv(driverVar)
		var d driver
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			panic(err)
		}
		os.Exit(d.run())
	}
	os.Exit(m.Run())
}

func (d driver) environ() []string {
	text, err := json.Marshal(d)
	if err != nil {
		panic(err)
	}
	return append(os.Environ(), driverVar+"="+string(text))
}

func (d driver) run() int {
	c := Command{
		Args: d.Args, Inherit: os.Environ(), Linger: d.Linger, Grace: d.Grace,
		Env:   []EnvVar{{Name: "SECRET", Value: keyturn.NewValue([]byte(canary))}},
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Filter: func(dst io.Writer) io.WriteCloser { return &mask{dst: dst, how: d.Break} },
		Tell:   func(m string) { fmt.Fprintln(os.Stderr, "told:", m) },
	}
	if d.Plain {
		c.Filter = nil
	}
	if d.File != "" {
		c.Files = []File{{Path: d.File, Value: keyturn.NewValue([]byte(canary))}}
	}
	if d.Harden {
		if err := HardenSelf(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 99
		}
	}
	if d.NoPTY {
		noPTYs()
	}
	ctx := context.Background()
	if d.Deadline > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, d.Deadline)
		defer cancel()
	}
	st, err := Run(ctx, c)
	if err != nil {
		var e *keyturn.Error
		if !errors.As(err, &e) {
			fmt.Fprintln(os.Stderr, "not a keyturn.Error")
		} else {
			fmt.Fprintf(os.Stderr, "failed: %s: %s (%s) %v\n", e.Code, e.Message, e.Hint, e.Err)
		}
	}
	return st.Code
}

// mask is a redactor that holds a line back until its end, a worse one than
// keyturn's, but one that shows whether it was asked.
type mask struct {
	dst  io.Writer
	held []byte
	how  string
}

func (m *mask) Write(p []byte) (int, error) {
	switch m.how {
	case "panic":
		panic(string(p))
	case "fail":
		return 0, errors.New("no redaction possible")
	}
	m.held = append(m.held, p...)
	if i := bytes.LastIndexAny(m.held, "\n: "); i >= 0 {
		out := bytes.ReplaceAll(m.held[:i+1], []byte(canary), []byte("[redacted]"))
		m.held = append([]byte(nil), m.held[i+1:]...)
		if _, err := m.dst.Write(out); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (m *mask) Close() error {
	_, err := m.dst.Write(bytes.ReplaceAll(m.held, []byte(canary), []byte("[redacted]")))
	m.held = nil
	return err
}

func noCanary(t *testing.T, err error) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		for _, text := range []string{e.Error(), fmt.Sprintf("%#v", e), fmt.Sprintf("%+v", e)} {
			if strings.Contains(text, canary) {
				t.Fatalf("the value is in an error: %T", e)
			}
		}
	}
}
