package term

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	xterm "golang.org/x/term"

	"github.com/keyturn/keyturn"
)

const (
	maxPattern = 256                   // letters
	alone      = 50 * time.Millisecond // Esc is a key of its own where nothing follows for so long
)

// Picker is one choice. Names are shown cleaned; what is returned is an index, so
// that a name that cannot be shown as it is can be chosen all the same.
type Picker struct {
	In, Out *os.File // both a terminal; drawn on Out
	Title   string
	Plain   bool // no bold, no reverse: the chosen line has a mark at its margin only
	Items   []string

	shown   []string // Items as they are shown
	pattern []rune
	found   []match
	at      int // in found
	top     int // first line of found that is on the screen
}

// Pick returns the index of what was chosen. It returns ErrInterrupted where
// the person leaves (Esc, Ctrl-C, Ctrl-D, Ctrl-G), or the context ends. The terminal
// is as it was when it returns, also by a panic; but the next thing that is typed may
// be lost, so nothing should be asked after it.
func (p *Picker) Pick(ctx context.Context) (int, error) {
	if !xterm.IsTerminal(int(p.In.Fd())) || !xterm.IsTerminal(int(p.Out.Fd())) {
		e := keyturn.E(keyturn.Denied, "there is no terminal to choose at", "name the secret, or narrow the list with --match")
		e.By = "person"
		return 0, e
	}
	for _, it := range p.Items {
		p.shown = append(p.shown, keyturn.Clean(it))
	}
	fd := int(p.In.Fd())
	before, err := xterm.MakeRaw(fd)
	if err != nil {
		return 0, keyturn.E(keyturn.Unavailable, "this terminal cannot be read key by key", "name the secret, or narrow the list with --match").Because(err)
	}
	// The other screen of the terminal: what stood there before is there again.
	fmt.Fprint(p.Out, "\x1b[?1049h")
	defer func() {
		fmt.Fprint(p.Out, "\x1b[?25h\x1b[?1049l")
		_ = xterm.Restore(fd, before)
	}()
	resized, stop := resizes()
	defer stop()
	keys := make(chan []byte)
	done := make(chan struct{})
	defer close(done)
	go read(p.In, keys, done)
	p.narrow()
	var rest []byte // of a key that is not whole yet
	for {
		p.draw()
		var late <-chan time.Time
		if len(rest) > 0 {
			late = time.After(alone)
		}
		select {
		case <-ctx.Done():
			return 0, ErrInterrupted
		case <-resized:
		case <-late:
			if rest[0] == esc {
				return 0, ErrInterrupted
			}
			rest = nil
		case b, ok := <-keys:
			if !ok {
				return 0, ErrInterrupted // the terminal has gone
			}
			rest = append(rest, b...)
			for len(rest) > 0 {
				k, r, n := parse(rest)
				if n == 0 {
					break
				}
				rest = rest[n:]
				switch chosen, left := p.press(k, r); {
				case left:
					return 0, ErrInterrupted
				case chosen >= 0:
					return chosen, nil
				}
			}
		}
	}
}

// read passes on what is typed, until the terminal has gone or nobody waits. A read
// from a terminal cannot be cancelled: the last one ends with the program, or takes
// one key more.
func read(in *os.File, keys chan<- []byte, done <-chan struct{}) {
	defer close(keys)
	for {
		b := make([]byte, 256)
		n, err := in.Read(b)
		if n > 0 {
			select {
			case keys <- b[:n]:
			case <-done:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// key is what a key means.
type key int

const (
	ignored key = iota
	letter
	enter
	leave
	up
	down
	pageUp
	pageDown
	first
	last
	erase
	eraseWord
	eraseAll
)

const esc = 0x1b

// controls are keys of one byte, as Emacs and shells have them.
var controls = map[byte]key{
	'\r': enter, '\n': enter, 0x03: leave, 0x04: leave, 0x07: leave, 0x1c: leave,
	0x10: up, 0x0b: up, 0x0e: down, '\t': down, 0x01: first, 0x05: last,
	0x7f: erase, 0x08: erase, 0x17: eraseWord, 0x15: eraseAll,
}

// sequences are what follows Esc, as terminals send it (ECMA-48, xterm).
var sequences = map[string]key{
	"[A": up, "OA": up, "[B": down, "OB": down, "[5~": pageUp, "[6~": pageDown,
	"[H": first, "OH": first, "[1~": first, "[F": last, "OF": last, "[4~": last, "[3~": ignored, "[Z": up,
}

// parse reads one key from the beginning of b, and how many bytes it has; 0 where
// more have to come.
func parse(b []byte) (k key, r rune, n int) {
	if k, ok := controls[b[0]]; ok {
		return k, 0, 1
	}
	switch {
	case b[0] == esc && len(b) == 1:
		return ignored, 0, 0
	case b[0] == esc && b[1] == esc:
		return leave, 0, 1
	case b[0] == esc && (b[1] == '[' || b[1] == 'O'):
		for i := 2; i < len(b); i++ {
			if b[i] >= 0x40 && b[i] <= 0x7e { // the last byte of a sequence
				return sequences[string(b[1:i+1])], 0, i + 1
			}
		}
		if len(b) > 32 {
			return ignored, 0, len(b)
		}
		return ignored, 0, 0
	case b[0] == esc:
		return ignored, 0, 2 // Alt and a key
	case !utf8.FullRune(b):
		return ignored, 0, 0
	}
	r, n = utf8.DecodeRune(b)
	if r == utf8.RuneError || !unicode.IsPrint(r) {
		return ignored, 0, n
	}
	return letter, r, n
}

// press does what a key means. chosen is -1 while nothing is.
func (p *Picker) press(k key, r rune) (chosen int, left bool) {
	page := max(1, p.rows()-1)
	switch k {
	case enter:
		if len(p.found) > 0 {
			return p.found[p.at].index, false
		}
	case leave:
		return -1, true
	case up:
		p.at--
	case down:
		p.at++
	case pageUp:
		p.at -= page
	case pageDown:
		p.at += page
	case first:
		p.at = 0
	case last:
		p.at = len(p.found) - 1
	case letter:
		if len(p.pattern) < maxPattern {
			p.pattern = append(p.pattern, r)
			p.narrow()
		}
	case erase:
		p.pattern = p.pattern[:max(0, len(p.pattern)-1)]
		p.narrow()
	case eraseWord:
		s := strings.TrimRight(string(p.pattern), " ")
		p.pattern = []rune(s[:strings.LastIndexByte(s, ' ')+1])
		p.narrow()
	case eraseAll:
		p.pattern = nil
		p.narrow()
	}
	p.at = max(0, min(p.at, len(p.found)-1))
	return -1, false
}

// narrow filters anew.
func (p *Picker) narrow() { p.found, p.at, p.top = filter(p.shown, string(p.pattern)), 0, 0 }

// size is the terminal's, in columns and rows; something small where it does not say.
func (p *Picker) size() (columns, rows int) {
	columns, rows, err := xterm.GetSize(int(p.Out.Fd()))
	if err != nil || columns < 1 || rows < 1 {
		return 80, 24
	}
	return columns, rows
}

// rows is how many names there is room for: all but the line that is typed on and
// the one that tells how many there are.
func (p *Picker) rows() int {
	_, rows := p.size()
	return max(1, rows-2)
}

// draw writes the whole screen at once.
func (p *Picker) draw() {
	columns, height := p.size()
	rows := p.rows()
	p.top = max(0, min(p.top, p.at), p.at-rows+1)
	var b bytes.Buffer
	b.WriteString("\x1b[?25l\x1b[H")
	prompt := fit(p.Title+"> "+tail(string(p.pattern), columns-len(p.Title)-4), columns-1)
	line := func(s string) { b.WriteString(s + "\x1b[K\r\n") }
	line(prompt)
	if height > 1 {
		b.WriteString(fit(fmt.Sprintf("  %d of %d   enter: take it   esc: leave", len(p.found), len(p.Items)), columns-1) + "\x1b[K")
	}
	for i := 0; i < rows && height > 2; i++ {
		b.WriteString("\r\n")
		if j := p.top + i; j < len(p.found) {
			name := fit(p.shown[p.found[j].index], columns-3)
			switch {
			case j == p.at && !p.Plain:
				name = "\x1b[7m> " + name + "\x1b[0m"
			case j == p.at:
				name = "> " + name
			default:
				name = "  " + name
			}
			b.WriteString(name)
		}
		b.WriteString("\x1b[K")
	}
	fmt.Fprintf(&b, "\x1b[1;%dH\x1b[?25h", width(prompt)+1)
	_, _ = p.Out.Write(b.Bytes())
}

// width is how many columns s takes at most: what is not ASCII is taken to be wide.
func width(s string) int {
	n := 0
	for _, r := range s {
		if n++; r >= utf8.RuneSelf {
			n++
		}
	}
	return n
}

// fit cuts s to so many columns.
func fit(s string, columns int) string {
	for i, r := range s {
		if columns--; r >= utf8.RuneSelf {
			columns--
		}
		if columns < 0 {
			return s[:i]
		}
	}
	return s
}

// tail is the end of s that fits.
func tail(s string, columns int) string {
	r := []rune(s)
	for len(r) > 0 && width(string(r)) > max(1, columns) {
		r = r[1:]
	}
	return string(r)
}
