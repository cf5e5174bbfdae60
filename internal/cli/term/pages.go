package term

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	xterm "golang.org/x/term"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/session"
)

var _ session.Pager = (*Terminal)(nil)

// Pages shows lines on standard error, in pages of the terminal's height with a key to go
// on between them, and returns once the last page is shown. It returns ErrInterrupted
// where the person leaves before that. Where there is nobody to press a key it shows all
// lines at once.
func (t *Terminal) Pages(ctx context.Context, lines []string) error {
	if !t.Possible() {
		for _, l := range lines {
			t.Say("%s", l)
		}
		return nil
	}
	pages := paged(lines, t.size)
	for i, page := range pages {
		for _, l := range page {
			t.Say("%s", l)
		}
		if i == len(pages)-1 {
			break
		}
		if err := t.goOn(ctx, fmt.Sprintf("-- page %d of %d: space or Enter goes on, q leaves --", i+1, len(pages))); err != nil {
			return err
		}
	}
	return nil
}

// size is the terminal's, or a usual one where it is not known.
func (t *Terminal) size() (columns, rows int) {
	columns, rows, err := xterm.GetSize(int(t.Err.Fd()))
	if err != nil || columns < 20 || rows < 5 {
		return 80, 24
	}
	return columns, rows
}

// paged parts lines into pages that fit a terminal with one row to spare, at least one
// page. What stands behind the last empty line is not parted where it fits one page.
func paged(lines []string, size func() (columns, rows int)) [][]string {
	columns, rows := size()
	height := func(lines []string) (n int) {
		for _, l := range lines {
			n += max(1, (wide(l)+columns-1)/columns)
		}
		return n
	}
	last := len(lines) // where the part behind the last empty line begins
	for i, l := range lines {
		if l == "" && height(lines[i:]) < rows {
			last = i
		}
	}
	var out [][]string
	begin, used := 0, 0
	for i := range lines {
		takes := height(lines[i : i+1])
		if i > begin && (used+takes >= rows || i == last && used+height(lines[i:]) >= rows) {
			out = append(out, lines[begin:i])
			begin, used = i, 0
		}
		used += takes
	}
	return append(out, lines[begin:])
}

// wide is how many columns a line takes at most.
func wide(line string) int {
	n := 0
	for _, r := range line {
		if n++; r >= utf8.RuneSelf {
			n++
		}
	}
	return n
}

// goOn waits for the key that shows the next page. Keys that mean nothing here are left
// out.
func (t *Terminal) goOn(ctx context.Context, question string) error {
	fd := int(t.In.Fd())
	before, err := xterm.MakeRaw(fd)
	if err != nil {
		return keyturn.E(keyturn.Unavailable, "this terminal cannot be read key by key", "use another terminal").Because(err)
	}
	fmt.Fprint(t.Err, question)
	_, err = wait(ctx, t, func() { _ = xterm.Restore(fd, before) }, func() (struct{}, error) {
		defer func() { _ = xterm.Restore(fd, before) }()
		var b [1]byte
		for {
			n, err := t.In.Read(b[:])
			if n == 0 && err != nil {
				return struct{}{}, ErrInterrupted // the terminal has gone
			}
			switch b[0] {
			case ' ', '\r', '\n':
				fmt.Fprint(t.Err, "\r"+strings.Repeat(" ", len(question))+"\r")
				return struct{}{}, nil
			case 'q', 'Q', 0x03, 0x04, 0x1c:
				fmt.Fprint(t.Err, "\r\n")
				return struct{}{}, ErrInterrupted
			}
		}
	})
	return err
}
