package keyturn_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
)

// drawn takes back what Visible has drawn.
func drawn(s string) string {
	return regexp.MustCompile(`\\([ux])\{([0-9a-f]+)(?:×([0-9]+))?\}`).ReplaceAllStringFunc(s, func(m string) string {
		part := regexp.MustCompile(`[0-9a-f]+`).FindAllString(m[2:], -1)
		code, err := strconv.ParseUint(part[0], 16, 32)
		if err != nil {
			panic(err)
		}
		one, n := string(rune(code)), 1
		if m[1] == 'x' {
			one = string([]byte{byte(code)})
		}
		if len(part) > 1 {
			n, _ = strconv.Atoi(part[1])
		}
		return strings.Repeat(one, n)
	})
}

// TestVisible: two different texts are never drawn the same, since what is drawn can be
// taken back; and nothing that is drawn is blank or invisible, but single spaces.
func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "a b  c": "a b  c", "a   b": `a\u{20×3}b`, "a\u00a0b": `a\u{a0}b`, "\u3164\u3164\u3164": `\u{3164×3}`, "\u2800": `\u{2800}`,
		"a\u202eb": `a\u{202e}b`, "a\u200bb": `a\u{200b}b`, "a\nb": `a\u{a}b`, "\x1b[1m": `\u{1b}[1m`, "a\xffb": `a\x{ff}b`, "\ufffd": `\u{fffd}`,
		`\u{a0}`: `\u{5c}u{a0}`, `\\\u{a0}`: `\\\u{5c}u{a0}`, `C:\users\x{`: `C:\users\u{5c}x{`, "e\u0301": `e\u{301}`, "é 界 ไม้ ␣×3": "é 界 ไม้ ␣×3", "\uff3cu{a0}": `\u{ff3c}u{a0}`,
	} {
		if got := keyturn.Visible(in); got != want {
			t.Errorf("%q is drawn %q, want %q", in, got, want)
		}
	}
	parts := []string{" ", " ", "   ", "\u00a0", "\u3164", "\u2800", "\u202e", "\u200b", "\u2028", "\r", "\n", "\t", "\x00", "\xff", "\xc3", "\ufffd", "\ufe0f", "\u0301",
		`\`, "u", "x", "{", "}", "20", "a0", "×", "3", "␣", "␣×3", `\u{a0}`, `\u{20×3}`, `\x{ff}`, `\u{5c}`, "\uff3c", "a", "é", "界", "�"}
	random := rand.New(rand.NewPCG(1, 2))
	seen := map[string]string{}
	for range 20000 {
		var b strings.Builder
		for range random.IntN(9) {
			b.WriteString(parts[random.IntN(len(parts))])
		}
		in := b.String()
		out := keyturn.Visible(in)
		if other, ok := seen[out]; ok && other != in {
			t.Fatalf("%q and %q are both drawn %q", in, other, out)
		}
		if seen[out] = in; drawn(out) != in {
			t.Fatalf("%q is drawn %q, which reads as %q", in, out, drawn(out))
		}
		if keyturn.Clean(out) != out || strings.Contains(out, "   ") || strings.ContainsAny(out, "\u00a0\u3164\u2800\ufe0f\u0301") {
			t.Fatalf("%q is drawn %s", in, fmt.Sprintf("%+q", out))
		}
	}
}
