package term

import "testing"

func TestParse(t *testing.T) {
	for _, x := range []struct {
		in string
		k  key
		r  rune
		n  int
	}{
		{"a", letter, 'a', 1}, {"ü", letter, 'ü', 2}, {"\xc3", ignored, 0, 0}, {"\xff", ignored, 0xfffd, 1},
		{"\r", enter, 0, 1}, {"\n", enter, 0, 1}, {"\x1b", ignored, 0, 0}, {"\x1b\x1b", leave, 0, 1},
		{"\x1b[A", up, 0, 3}, {"\x1bOBx", down, 0, 3}, {"\x1b[", ignored, 0, 0}, {"\x1b[6~", pageDown, 0, 4},
		{"\x1b[1;5Cx", ignored, 0, 6}, {"\x1bx", ignored, 0, 2}, {"\x00", ignored, 0, 1}, {"\u202e", ignored, '\u202e', 3},
	} {
		k, r, n := parse([]byte(x.in))
		if k != x.k || n != x.n || k == letter && r != x.r {
			t.Errorf("parse(%q) = %d, %q, %d; want %d, %q, %d", x.in, k, r, n, x.k, x.r, x.n)
		}
	}
}

// FuzzParse: whatever a terminal sends is taken in whole bytes, and ends.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"abc", "\x1b[A", "\x1b", "\x1b[1;2;3", "ü\xc3", "\x1bO"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			k, r, n := parse(b)
			if n < 0 || n > len(b) {
				t.Fatalf("%q: %d bytes of %d", b, n, len(b))
			}
			if k == letter && (r < 0x20 || r == 0x7f) {
				t.Fatalf("%q is taken for a letter", r)
			}
			if n == 0 {
				return
			}
			b = b[n:]
		}
	})
}
