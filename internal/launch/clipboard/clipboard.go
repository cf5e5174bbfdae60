// Package clipboard puts text on the clipboard of the person at the terminal and
// takes it off again, by way of the tool that their desktop has for it, or of the
// terminal itself.
//
// A value goes to a tool on its standard input, never on its command line. Every program
// of the desktop can read the clipboard, and some keep its history: callers must tell
// the person so.
package clipboard

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"os/exec"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/launch/program"
)

const (
	toolLimit = 5 * time.Second // for a tool to do its work
	// maxTerminal is what a terminal is sent at once, in bytes: some cut longer
	// sequences off, and the rest would show.
	maxTerminal = 64 << 10
)

// Clipboard is one way to a clipboard. Its methods are for one goroutine.
type Clipboard struct {
	Name     string // of the tool, or "the terminal"
	environ  []string
	copy     []string // the command that takes the text on its standard input
	clear    []string // one that empties the clipboard; nil: copy of nothing
	paste    []string // one that writes the text; nil where there is none
	wide     bool     // the tool takes text that is not ASCII as UTF-16
	terminal io.Writer
}

// tool is a way that some system has.
type tool struct {
	system             string // of runtime.GOOS; "" is any
	needs              string // a variable that tells of the desktop; "" for none
	copy, clear, paste []string
	wide               bool
}

// tools are in the order in which they are tried: manual pages of wl-clipboard,
// xclip, xsel and pbcopy(1); Microsoft's page on clip.
var tools = []tool{
	{system: "darwin", copy: []string{"pbcopy"}, paste: []string{"pbpaste"}},
	{system: "windows", copy: []string{"clip.exe"}, wide: true},
	{needs: "WAYLAND_DISPLAY", copy: []string{"wl-copy", "--type", "text/plain"}, clear: []string{"wl-copy", "--clear"}, paste: []string{"wl-paste", "--no-newline"}},
	{needs: "DISPLAY", copy: []string{"xclip", "-selection", "clipboard", "-in"}, paste: []string{"xclip", "-selection", "clipboard", "-out"}},
	{needs: "DISPLAY", copy: []string{"xsel", "--clipboard", "--input"}, clear: []string{"xsel", "--clipboard", "--clear"}, paste: []string{"xsel", "--clipboard", "--output"}},
	{needs: "WSL_DISTRO_NAME", copy: []string{"clip.exe"}, wide: true},
}

// Find returns the way to the clipboard that a system (of runtime.GOOS) and an
// environment have, without starting anything: a tool, else the terminal, which
// many take text from (OSC 52, xterm's control sequences). Unsupported where there
// is neither.
func Find(system string, environ []string, terminal io.Writer) (*Clipboard, error) {
	env := func(name string) (string, bool) {
		for i := len(environ) - 1; i >= 0; i-- {
			if v, ok := strings.CutPrefix(environ[i], name+"="); ok {
				return v, true
			}
		}
		return "", false
	}
	set := func(name string) bool { v, _ := env(name); return v != "" }
	for _, t := range tools {
		if t.system != "" && t.system != system || t.needs != "" && !set(t.needs) ||
			t.system == "darwin" && set("SSH_CONNECTION") { // that clipboard is another machine's
			continue
		}
		c := &Clipboard{Name: t.copy[0], environ: environ, wide: t.wide}
		found := true
		for _, way := range []struct {
			to   *[]string
			argv []string
		}{{&c.copy, t.copy}, {&c.clear, t.clear}, {&c.paste, t.paste}} {
			if way.argv == nil {
				continue
			}
			path, _, err := program.Find(way.argv[0], "", env)
			if err != nil {
				found = found && way.to == &c.paste // it can do without
				continue
			}
			*way.to = append([]string{path}, way.argv[1:]...)
		}
		if found {
			return c, nil
		}
	}
	switch term, _ := env("TERM"); {
	case term == "", term == "dumb", term == "linux", terminal == nil:
		return nil, keyturn.E(keyturn.Unsupported, "there is no clipboard here",
			"install wl-clipboard (Wayland), or xclip or xsel (X11); in a plain terminal, let a program use the value: keyturn run")
	}
	return &Clipboard{Name: "the terminal", terminal: terminal}, nil
}

// Sure reports whether the clipboard says that it took the text. A terminal says
// nothing, and what is sent to it passes all that reads or records it on the way (a
// multiplexer, a session's log): a person is told before.
func (c *Clipboard) Sure() bool { return c.terminal == nil }

// Copy puts text on the clipboard. Invalid for what is no text.
func (c *Clipboard) Copy(ctx context.Context, text []byte) error {
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		return keyturn.E(keyturn.Invalid, "the value is not text, and a clipboard holds text", "give it to a program as a file: keyturn run --file PATH=REF")
	}
	if c.terminal != nil {
		if len(text) > maxTerminal {
			return keyturn.E(keyturn.Invalid, "the value is too long for a terminal's clipboard", "give it to a program as a file: keyturn run --file PATH=REF")
		}
		return c.escape(text)
	}
	if c.wide && !ascii(text) {
		text = utf16le(text)
		defer clear(text)
	}
	_, err := c.run(ctx, c.copy, text, 0)
	return err
}

// Clear empties the clipboard, unless it can be seen to hold something else than
// text by now; then kept is true, and nothing is done.
func (c *Clipboard) Clear(ctx context.Context, text []byte) (kept bool, err error) {
	if c.terminal != nil {
		return false, c.escape(nil)
	}
	if c.paste != nil {
		now, err := c.run(ctx, c.paste, nil, len(text)+2)
		same := bytes.Equal(now, text)
		clear(now)
		if err == nil && !same {
			return true, nil
		}
	}
	argv := c.clear
	if argv == nil {
		argv = c.copy
	}
	_, err = c.run(ctx, argv, []byte{}, 0)
	return false, err
}

// escape writes the control sequence that sets the clipboard of a terminal.
func (c *Clipboard) escape(text []byte) error {
	b := append([]byte("\x1b]52;c;"), base64.StdEncoding.AppendEncode(nil, text)...)
	defer clear(b)
	if _, err := c.terminal.Write(append(b, '\a')); err != nil {
		return keyturn.E(keyturn.Unavailable, "the terminal cannot be written to", "").Because(err)
	}
	return nil
}

// run runs a tool, with text on its standard input, and returns up to limit bytes
// of its standard output. One that stays behind to serve the clipboard is not
// waited for. What it says on standard error is dropped: it could hold anything.
func (c *Clipboard) run(ctx context.Context, argv []string, text []byte, limit int) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.WaitDelay = c.environ, time.Second
	if text != nil {
		cmd.Stdin = bytes.NewReader(text)
	}
	out := &limited{room: limit}
	if limit > 0 {
		cmd.Stdout = out
	}
	if err := cmd.Run(); err != nil {
		clear(out.b)
		return nil, keyturn.E(keyturn.Unavailable, c.Name+" failed", "try it by itself: echo test | "+strings.Join(argv, " ")).Because(err)
	}
	return out.b, nil
}

// limited keeps what there is room for, and drops the rest.
type limited struct {
	b    []byte
	room int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.b == nil {
		l.b = make([]byte, 0, l.room) // never moved: no copy is left behind
	}
	l.b = append(l.b, p[:min(len(p), l.room-len(l.b))]...)
	return len(p), nil
}

func ascii(text []byte) bool {
	for _, b := range text {
		if b >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func utf16le(text []byte) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(string(text))) {
		out = append(out, byte(u), byte(u>>8))
	}
	return out
}
