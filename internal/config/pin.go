package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/keyturn/keyturn"
)

// Digest is a hash over what the operator's file means: its mounts, groups, rules and
// settings, in their order. Comments, the spelling and layout of its YAML, and where the
// file is do not count. It is "" for nil.
func (o *Operator) Digest() string {
	if o == nil {
		return ""
	}
	c := withoutLines(o, len(o.Rules))
	c.File, c.Text, c.Unchecked = "", "", ""
	for i := range c.Rules {
		c.Rules[i].File = ""
	}
	for i := range c.Groups {
		c.Groups[i].File = ""
	}
	text, err := json.Marshal(c)
	if err != nil {
		return "" // of texts, numbers and lists: it never fails
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// LoadPinned returns the operator's file as the store has pinned it: read anew where only
// root could have changed the file, else of the text that was pinned.
func LoadPinned(path, text string) (*Operator, error) {
	if Rooted(path) {
		return LoadOperator(Locations{Explicit: path})
	}
	o, err := ParseOperator(path, []byte(text))
	if err == nil {
		o.Text, o.Unchecked = text, unchecked
	}
	return o, err
}

// Rooted reports whether nobody but root can change the file at path, or have another one
// found there: file, links and all folders up to / belong to root and are nobody else's to
// write to. It is false for a caller who is root, and where owners are not known.
func Rooted(path string) bool { return rooted(path, os.Geteuid()) }

func rooted(path string, uid int) bool {
	if uid <= 0 || !filepath.IsAbs(path) {
		return false
	}
	const maxLinks = 40
	at, left := "/", strings.Split(filepath.Clean(path), "/")
	for links := 0; ; {
		info, err := os.Lstat(at)
		if err != nil || !ofRoot(info) {
			return false
		}
		switch {
		case info.Mode().Type() == os.ModeSymlink:
			to, err := os.Readlink(at)
			if links++; err != nil || links > maxLinks {
				return false
			}
			left = append(strings.Split(to, "/"), left...)
			if at = filepath.Dir(at); filepath.IsAbs(to) {
				at = "/"
			}
		case len(left) == 0:
			return info.Mode().IsRegular()
		}
		for len(left) > 0 && (left[0] == "" || left[0] == ".") {
			left = left[1:]
		}
		if len(left) > 0 {
			at, left = filepath.Join(at, left[0]), left[1:]
		}
	}
}

// SameFile reports whether two paths lead to one file.
func SameFile(a, b string) bool {
	if a == b {
		return true
	}
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// DiffText says how two texts differ, in a line for each line that was taken away, "- …",
// or added, "+ …". The lines are clean.
func DiffText(old, now string) []string {
	a, b := splitLines(old), splitLines(now)
	var out []string
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	minus, plus := func(s string) { out = append(out, "- "+drawn(s)) }, func(s string) { out = append(out, "+ "+drawn(s)) }
	const much = 1 << 22 // cells of the table below
	var same [][]int32   // how many lines the rests of both have in common
	if len(a)*len(b) < much {
		same = make([][]int32, len(a)+1)
		for i := range same {
			same[i] = make([]int32, len(b)+1)
		}
		for i := len(a) - 1; i >= 0; i-- {
			for j := len(b) - 1; j >= 0; j-- {
				if same[i][j] = max(same[i+1][j], same[i][j+1]); a[i] == b[j] {
					same[i][j] = same[i+1][j+1] + 1
				}
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case same != nil && i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || same == nil || same[i+1][j] >= same[i][j+1]):
			minus(a[i])
			i++
		default:
			plus(b[j])
			j++
		}
	}
	return out
}

// drawn draws a line of a file. Its indent stays as it is: it is before all else, and a
// person reads the file by it.
func drawn(line string) string {
	const most = 32
	rest := strings.TrimLeft(line, " ")
	if n := len(line) - len(rest); n <= most {
		return line[:n] + keyturn.Visible(rest)
	}
	return keyturn.Visible(line)
}

func splitLines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(strings.ReplaceAll(s, "\r\n", "\n"), "\n"), "\n")
}
