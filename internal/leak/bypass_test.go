package leak

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
)

// tricky has every character that some encoding treats specially.
const tricky = `Zq7 "K'\w/&<m>;+%=$x@y` + "`#é!~9"

const pem = "-----BEGIN PRIVATE KEY-----\n" +
	"MIIBVAIBADANBgkqhkiG9w0BAQEFAASCAT4wggE6AgEAAkEAq7BFUpkGp3+LQmlQ\n" +
	"Yx2eqzDV+xeG8kx/sQFV18S5JhzGeIJNA72wSeukEPojtqUyX2J0CciPBh7eqclQ\n" +
	"2zpAswIDAQAB\n" +
	"-----END PRIVATE KEY-----\n"

func base64At(shift int, v string, enc *base64.Encoding) string {
	return enc.EncodeToString([]byte("{{{"[:shift] + v + "}}}"))
}

func every(v, format string) string {
	var b strings.Builder
	for i := range len(v) {
		fmt.Fprintf(&b, format, v[i])
	}
	return b.String()
}

func wrap(s, sep string, width int) string {
	var b strings.Builder
	for len(s) > width {
		b.WriteString(s[:width] + sep)
		s = s[width:]
	}
	return b.String() + s
}

func utf16Bytes(s string, little bool) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		if little {
			b = append(b, byte(u), byte(u>>8))
		} else {
			b = append(b, byte(u>>8), byte(u))
		}
	}
	return string(b)
}

func toJSON(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

func toXML(v string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(v))
	return b.String()
}

// around is what TestBypass prints beside values.
var around = strings.NewReplacer("-----BEGIN PRIVATE KEY-----", "", "-----END PRIVATE KEY-----", "",
	"password is ", "", "+ echo $'", "", "\x1b]0;x", "", "+ echo '", "", base64.StdEncoding.EncodeToString([]byte("admin:")), "")

// TestBypass prints a value in one way after the other. No eight bytes of what
// was printed may be left.
func TestBypass(t *testing.T) {
	rowURL := "postgres://app:pw-With%2FSlash99@db.internal/app"
	tests := []struct{ name, value, printed string }{
		{"plain", tricky, tricky},
		{"twice", tricky, tricky + tricky},
		{"JSON", tricky, toJSON(tricky)},
		{"JSON without HTML escapes", tricky, strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(toJSON(tricky))},
		{"JSON with escaped slashes", tricky, strings.ReplaceAll(toJSON(tricky), "/", `\/`)},
		{"JSON in ASCII", "caf\u00e9-\U0001f511-key", `caf\u00e9-\ud83d\udd11-key`},
		{"JSON, every byte", secret, every(secret, `\u00%02x`)},
		{"JSON, every byte, upper case", secret, every(secret, `\u00%02X`)},
		{"JSON in JSON", `say "x" \ y 42`, toJSON(toJSON(`say "x" \ y 42`))},
		{"Go %q", tricky, strconv.Quote(tricky)},
		{"Go %+q", tricky, strconv.QuoteToASCII(tricky)},
		{"HTML", tricky, html.EscapeString(tricky)},
		{"XML", tricky, toXML(tricky)},
		{"query", tricky, url.QueryEscape(tricky)},
		{"path", tricky, url.PathEscape(tricky)},
		{"userinfo", tricky, url.UserPassword("u", tricky).String()[2:]},
		{"percent, lower case", "a?b=c&d/e f:1", "a%3fb%3dc%26d%2fe%20f%3a1"},
		{"percent, marks left", "a?b!c(d)e f:1", "a%3Fb!c(d)e%20f%3A1"},
		{"percent, every byte", secret, every(secret, "%%%02X")},
		{"percent, every byte, lower case", secret, every(secret, "%%%02x")},
		{"shell quote", `it's 4 o'clock`, `'it'\''s 4 o'\''clock'`},
		{"shell quote, shlex", `it's 4 o'clock`, `'it'"'"'s 4 o'"'"'clock'`},
		{"shell double quotes", "a$b`c\"d\\e9", "\"a\\$b\\`c\\\"d\\\\e9\""},
		{"set -x", "it's\tso$9 x", "+ echo $'it\\'s\\tso$9 x'"},
		{"set -x, multi-line", "line one 11\nline two 22", "+ echo 'line one 11\nline two 22'"},
		{"printf %q", "it's so$9 x", `it\'s\ so\$9\ x`},
		{"hex", secret, hex.EncodeToString([]byte(secret))},
		{"hex, upper case", secret, strings.ToUpper(hex.EncodeToString([]byte(secret)))},
		{"hex, wrapped", secret, wrap(hex.EncodeToString([]byte(secret)), "\n", 8)},
		{"base64", tricky, base64.StdEncoding.EncodeToString([]byte(tricky))},
		{"base64, wrapped at 64", pem, wrap(base64.StdEncoding.EncodeToString([]byte(pem)), "\n", 64)},
		{"base64, wrapped at 76 and indented", pem, wrap(base64.StdEncoding.EncodeToString([]byte(pem)), "\r\n    ", 76)},
		{"UTF-16LE", tricky, utf16Bytes(tricky, true)},
		{"UTF-16BE", tricky, utf16Bytes(tricky, false)},
		{"colour inside", secret, secret[:5] + "\x1b[1;31m" + secret[5:9] + "\x1b[0m" + secret[9:]},
		{"colour around every byte", secret, every(secret, "\x1b[7m%c\x1b[27m")},
		{"title inside", secret, secret[:5] + "\x1b]0;title\x07" + secret[5:9] + "\x1b]2;title\x1b\\" + secret[9:]},
		{"in a title", secret, "\x1b]0;" + secret + "\x07"},
		{"charset, keypad, DCS inside", secret, secret[:3] + "\x1b(B\x1b=" + secret[3:6] + "\x1bPq#0;2\x1b\\" + secret[6:]},
		{"CR inside, after a sequence without end", secret, "\x1b]0;" + strings.Repeat("x", maxSequence) + secret[:5] + "\r" + secret[5:]},
		{"wrapped by a terminal", secret, wrap(secret, "\r\n", 6)},
		{"wrapped and indented", secret, wrap(secret, "\n\t  ", 6)},
		{"wrapped, indented and coloured", secret, wrap(secret, "\x1b[0m\n\x1b[2m  ", 6)},
		{"CR inside", secret, secret[:5] + "\r" + secret[5:]},
		{"one character per line", secret, wrap(secret, "\n", 1)},
		{"multi-line", pem, pem},
		{"multi-line on a PTY", pem, strings.ReplaceAll(pem, "\n", "\r\n")},
		{"multi-line on a nested PTY", pem, strings.ReplaceAll(pem, "\n", "\r\r\n")},
		{"short lines on a PTY", "ab1\ncd2\nef3\ngh4", "ab1\r\ncd2\r\nef3\r\ngh4"},
		{"multi-line, indented", pem, strings.ReplaceAll(pem, "\n", "\n    ")},
		{"multi-line in JSON", pem, toJSON(pem)},
		{"one line of a key", pem, strings.Split(pem, "\n")[2]},
		{"final newline", "hunter22\n", "hunter22\n"},
		{"final newline, base64", "hunter22\n", base64.StdEncoding.EncodeToString([]byte("hunter22\n"))},
		{"without the final newline", "hunter22\n", base64.StdEncoding.EncodeToString([]byte("hunter22"))},
		{"leaf of JSON", `{"user":"admin","deep":[{"password":"leaf-pass-1"}],"n":1234567890123}`, "password is leaf-pass-1"},
		{"leaf of JSON, encoded", `{"password":"leaf-pass-1"}`, base64.StdEncoding.EncodeToString([]byte("admin:leaf-pass-1"))},
		{"leaf of a line of JSON", "{\"a\":1}\n{\"password\":\"leaf-pass-1\"}", "password is leaf-pass-1"},
		{"number in JSON", `{"id":987654321012}`, "987654321012"},
		{"password in a URL", rowURL, "pw-With%2FSlash99"},
		{"password in a URL, decoded", rowURL, "pw-With/Slash99"},
		{"value in an .env", "A=1\nexport TOKEN='tok-en-12345'\n", "tok-en-12345"},
		{"value in YAML", "a: b\n- token: tok-en-12345\n", "tok-en-12345"},
		{"NUL around", secret, "\x00" + secret + "\x00"},
		{"NUL inside", "nul\x00in-side", "nul\x00in-side"},
		{"after invalid UTF-8", secret, "\xff\xc3" + secret + "\xe2\x82"},
		{"value that is not UTF-8", "\xff\xfe\x80bin-ary", "\xff\xfe\x80bin-ary"},
		{"base64 of what is not UTF-8", "\xff\xfe\x80bin-ary", base64.StdEncoding.EncodeToString([]byte("\xff\xfe\x80bin-ary"))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, forms := newMatcher(t, Needle{Value: []byte(tt.value), Label: "*"})
			in := "<<" + tt.printed + ">>"
			var out string
			if len(in) < 600 {
				out = string(checkStream(t, m, forms, []byte(in)))
			} else {
				out = string(stream(t, m, []byte(in), 5))
				if want := string(oracle(m, forms, []byte(in))); out != want {
					t.Errorf("got %q, want %q", out, want)
				}
			}
			if !strings.Contains(out, "[redacted:*]") || !strings.HasPrefix(out, "<<") || !strings.HasSuffix(out, ">>") {
				t.Errorf("got %q", out)
			}
			rest := strings.ReplaceAll(out, "[redacted:*]", "")
			rest = strings.ReplaceAll(around.Replace(rest), "xxxxxxxx", "")
			for i := 0; i+8 <= len(tt.printed); i++ {
				if w := tt.printed[i : i+8]; strings.Contains(rest, w) {
					t.Fatalf("%q is left in %q", w, out)
				}
			}
		})
	}
}

// TestBase64Alignments embeds values of every small length at every alignment
// in a longer text. At most one character of the value's own may stay on
// either side.
func TestBase64Alignments(t *testing.T) {
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding} {
		for length := 6; length <= 20; length++ {
			value := strings.Repeat("?~k\xfbZ9>", 3)[:length]
			m, _ := newMatcher(t, Needle{Value: []byte(value), Label: "*"})
			for shift := range 3 {
				text := base64At(shift, value, enc)
				out := string(m.Redact([]byte(text)))
				head, tail, ok := strings.Cut(out, "[redacted:*]")
				if !ok || len(head) > (8*shift+5)/6 || len(tail) > len(text)-(8*shift+8*length)/6 {
					t.Errorf("length %d, shift %d: %q became %q", length, shift, text, out)
				}
			}
		}
	}
}

// TestLargeValues prints values of many KiB in the common ways.
func TestLargeValues(t *testing.T) {
	blob := make([]byte, 12<<10)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(blob)
	body := base64.StdEncoding.EncodeToString(blob)
	key := "-----BEGIN X-----\n" + wrap(body, "\n", 64) + "\n-----END X-----\n"
	for name, tt := range map[string]struct{ value, printed string }{
		"binary":             {string(blob), string(blob)},
		"binary in base64":   {string(blob), body},
		"binary, folded":     {string(blob), wrap(body, "\n  ", 76)},
		"binary in hex":      {string(blob), hex.EncodeToString(blob)},
		"binary, percent":    {string(blob), url.QueryEscape(string(blob))},
		"text":               {key, key},
		"text in JSON":       {key, toJSON(key)[1:]},
		"text, percent":      {key, url.QueryEscape(key)},
		"text in base64":     {key, base64.StdEncoding.EncodeToString([]byte(key))},
		"text in JSON, leaf": {toJSON(map[string]string{"k": key}), key},
	} {
		m, _ := newMatcher(t, Needle{Value: []byte(tt.value), Label: "*"})
		out := string(stream(t, m, []byte("<<"+tt.printed+">>"), 777))
		// A final line break is no part of the value; in an encoding it shows.
		if rest, ok := strings.CutPrefix(out, "<<[redacted:*]"); !ok || len(rest) > 8 {
			t.Errorf("%s: got %d bytes, %.60q", name, len(out), out)
		}
	}
}

// TestInnocent is output in the neighbourhood of values that must stay.
func TestInnocent(t *testing.T) {
	m, forms := newMatcher(t,
		Needle{Value: []byte(pem), Label: "key"},
		Needle{Value: []byte("apiVersion: v1\nkind: Config\nusers:\n- name: admin\n  token: tok-en-12345\n[main]\n"), Label: "kube"},
		Needle{Value: []byte(`{"engine":"postgres","port":5432,"username":"app","password":"leaf-pass-1"}`), Label: "db"},
	)
	for _, in := range []string{
		"-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----\n",
		"apiVersion: v1\nkind: Config\nusers:\n- name: x\n", "[main]",
		"engine postgres on port 5432 for app",
		"tok-en\n  next line 12345", "leaf-pass\n---\n-1",
	} {
		if got := checkStream(t, m, forms, []byte(in)); string(got) != in {
			t.Errorf("%q became %q", in, got)
		}
	}
}

// TestEscapesInside shows what becomes of the terminal's state.
func TestEscapesInside(t *testing.T) {
	m, forms := newMatcher(t, Needle{Value: []byte(secret), Label: "x"})
	in := "\x1b[31m" + secret[:4] + "\x1b[0m" + secret[4:] + "\x1b[32mok\x1b[0m " + secret
	want := "\x1b[31m[redacted:x]\x1b[0m\x1b[32mok\x1b[0m [redacted:x]"
	if got := string(checkStream(t, m, forms, []byte(in))); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
