package describe

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/keyturn/keyturn"
)

// visible draws text of others: see keyturn.Visible.
func visible(s string) string { return keyturn.Visible(s) }

// short is s, cut to so many characters.
func short(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// wrapped breaks text into lines of at most width columns, at blanks where possible,
// each behind indent.
func wrapped(indent, text string) []string {
	var out []string
	for text != "" {
		n := fitting(text, width-len(indent))
		end := n
		if n < len(text) {
			if i := strings.LastIndexByte(text[:n], ' '); i > n/2 {
				n, end = i+1, i
			}
		}
		out = append(out, indent+text[:end])
		text = text[n:]
	}
	return out
}

// fitting returns how many bytes of s fit into so many columns. Every character that is
// not ASCII is taken to be two columns wide.
func fitting(s string, columns int) int {
	for i, r := range s {
		w := 1
		if r >= utf8.RuneSelf {
			w = 2
		}
		if columns -= w; columns < 0 && i > 0 {
			return i
		}
	}
	return len(s)
}

// age is how long ago something was, as a person says it.
func age(d time.Duration) string {
	switch {
	case d < 2*time.Second:
		return "a second"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	}
	return fmt.Sprintf("%d hours", int(d.Hours()))
}

// When is a time of this place as a person reads it; "-" for none.
func When(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
