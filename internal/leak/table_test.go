package leak

import (
	"bytes"
	"encoding/ascii85"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"html"
	"mime/quotedprintable"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the table of docs/redaction.md")

// Values that ways of printing are tried with. They are made up.
const (
	long   = "s3cr3t-Value/42+x-and-m0re"
	umlaut = "p\u00e4ssw\u00f6rd-\u00dfecret-\u0142-99"
	blanks = "correct  horse battery\tstaple"
)

// way is one way to print a value, or a part of it.
type way struct {
	name, value, printed string
	open                 bool // it is not redacted
}

// dump prints v in rows of so many bytes.
func dump(v string, width int, row func(offset int, part string) string) string {
	var b strings.Builder
	for at := 0; at < len(v); at += width {
		b.WriteString(row(at, v[at:min(at+width, len(v))]) + "\n")
	}
	return b.String()
}

func numbersOf(v, format, separator string) string {
	var parts []string
	for i := range len(v) {
		parts = append(parts, fmt.Sprintf(format, v[i]))
	}
	return strings.Join(parts, separator)
}

// wordsOf prints v in words of two bytes, the low one first.
func wordsOf(v, format string) string {
	var b strings.Builder
	for i := 0; i < len(v); i += 2 {
		w := int(v[i])
		if i+1 < len(v) {
			w |= int(v[i+1]) << 8
		}
		fmt.Fprintf(&b, format, w)
	}
	return b.String()
}

func grouped(v string, size int) string {
	var groups []string
	for at := 0; at < len(v); at += size {
		groups = append(groups, hex.EncodeToString([]byte(v[at:min(at+size, len(v))])))
	}
	return strings.Join(groups, " ")
}

func shownAs(v string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}
		return r
	}, v)
}

func xxd(v string, size int) string {
	return dump(v, 16, func(at int, p string) string {
		return fmt.Sprintf("%08x: %-*s  %s", at, (16/size)*(2*size+1)-1, grouped(p, size), shownAs(p))
	})
}

func odC(v string) string {
	return dump(v, 16, func(at int, p string) string {
		cells := ""
		for i := range len(p) {
			switch c := p[i]; {
			case c == '\n':
				cells += `  \n`
			case c == '\t':
				cells += `  \t`
			case c >= 0x80:
				cells += fmt.Sprintf(" %03o", c)
			default:
				cells += fmt.Sprintf("   %c", c)
			}
		}
		return fmt.Sprintf("%07o%s", at, cells)
	}) + fmt.Sprintf("%07o\n", len(v))
}

func od(v, format string) string {
	return dump(v, 16, func(at int, p string) string { return fmt.Sprintf("%07o", at) + numbersOf(p, format, "") })
}

func quoted(v string) string {
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(v))
	_ = w.Close()
	return b.String()
}

func runes(v, small, large string) string {
	var b strings.Builder
	for _, r := range v {
		switch {
		case r < 0x80 && small != "":
			b.WriteRune(r)
		case r < 0x100 && small != "":
			fmt.Fprintf(&b, small, r)
		default:
			fmt.Fprintf(&b, large, r)
		}
	}
	return b.String()
}

func b64(v string) string { return base64.StdEncoding.EncodeToString([]byte(v)) }

func a85(v string) string {
	b := make([]byte, ascii85.MaxEncodedLen(len(v)))
	return string(b[:ascii85.Encode(b, []byte(v))])
}

func b85(v string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
	return strings.Map(func(r rune) rune { return rune(digits[r-'!']) }, a85(v))
}

func reversed(v string) string {
	b := []byte(v)
	for i := range len(b) / 2 {
		b[i], b[len(b)-1-i] = b[len(b)-1-i], b[i]
	}
	return string(b)
}

func mixedCase(v string) string {
	b := []byte(v)
	for i := 0; i < len(b); i += 2 {
		b[i] = strings.ToUpper(string(b[i]))[0]
	}
	return string(b)
}

// sections are all the ways in docs/redaction.md.
func sections() []struct {
	title string
	ways  []way
} {
	const (
		token  = "DEADBEEF-cafe-4f00-8123-0123456789ab"
		pgURL  = "postgres://app:pw12345@db.internal:5432/shop"
		encURL = "postgres://app:p%40w%2F9x@db.internal/shop"
		hook   = "https://hooks.slack.com/services/T01234567/B76543210/a1B2c3D4e5F6g7H8i9J0k1L2"
		ado    = "Server=db;User Id=app;Password=pw12345;Encrypt=true"
		libpq  = `host=db user=app password='p w\'12' sslmode=disable`
		docker = `{"auths":{"registry.example":{"auth":"YXBwOnB3MTIzNDU="}}}`
	)
	basic := b64("app:pw12345")
	hexed := hex.EncodeToString([]byte(long))
	return []struct {
		title string
		ways  []way
	}{
		{"As it is, and on terminals", []way{
			{"as it is", tricky, tricky, false},
			{"twice in a row", long, long + long, false},
			{"NULs around", long, "\x00" + long + "\x00", false},
			{"a NUL after each character", long, every(long, "%c\x00"), false},
			{"DEL inside", long, long[:5] + "\x7f" + long[5:], false},
			{"BS inside", long, long[:5] + "\b" + long[5:], false},
			{"SO and SI inside", long, long[:5] + "\x0e" + long[5:9] + "\x0f" + long[9:], false},
			{"BEL inside", long, long[:5] + "\a" + long[5:], false},
			{"C1 controls inside", long, long[:5] + "\u0086" + long[5:], false},
			{"colours inside", long, long[:5] + "\x1b[1;31m" + long[5:9] + "\x1b[0m" + long[9:], false},
			{"colours around each character", long, every(long, "\x1b[7m%c\x1b[27m"), false},
			{"a title inside", long, long[:5] + "\x1b]0;x\x07" + long[5:], false},
			{"in a title", long, "\x1b]0;" + long + "\x07", false},
			{"a hyperlink inside", long, long[:5] + "\x1b]8;;http://x\x1b\\" + long[5:], false},
			{"charset, keypad, DCS inside", long, long[:3] + "\x1b(B\x1b=" + long[3:6] + "\x1bPq#0;2\x1b\\" + long[6:], false},
			{"the cursor moved on, in order", long, long[:5] + "\x1b[6G" + long[5:], false},
			{"CR inside", long, long[:5] + "\r" + long[5:], false},
			{"wrapped at a width", long, wrap(long, "\r\n", 6), false},
			{"wrapped and indented", long, wrap(long, "\n\t  ", 6), false},
			{"wrapped, indented and coloured", long, wrap(long, "\x1b[0m\n\x1b[2m  ", 6), false},
			{"wrapped with blanks at the ends of lines", long, wrap(long, "  \n", 6), false},
			{"wrapped at a blank", "correct horse battery staple", "correct horse\nbattery staple", false},
			{"wrapped behind a blank", "correct horse battery staple", "correct horse \nbattery staple", false},
			{"wrapped by VT", long, wrap(long, "\v", 6), false},
			{"wrapped by FF", long, wrap(long, "\f", 6), false},
			{"wrapped by U+2028", long, wrap(long, "\u2028", 6), false},
			{"wrapped by NEL", long, wrap(long, "\u0085", 6), false},
			{"one character per line", long, wrap(long, "\n", 1), false},
			{"quoted as in mail (`> `)", long, "> " + wrap(long, "\n> ", 6), false},
			{"in comments (`# `)", long, "# " + wrap(long, "\n# ", 6), false},
			{"bold by overstriking", long, every(long, "%[1]c\b%[1]c"), false},
			{"underlined by overstriking", long, every(long, "_\b%c"), false},
			{"several lines", pem, pem, false},
			{"several lines on a terminal", pem, strings.ReplaceAll(pem, "\n", "\r\n"), false},
			{"several lines, indented", pem, strings.ReplaceAll(pem, "\n", "\n    "), false},
			{"one line of several", pem, strings.Split(pem, "\n")[2], false},
			{"with or without its final line break", "hunter22\n", "hunter22", false},
			{"white space collapsed (`echo $X`)", blanks, strings.Join(strings.Fields(blanks), " "), false},
			{"UTF-16LE", umlaut, utf16Bytes(umlaut, true), false},
			{"UTF-16BE", umlaut, utf16Bytes(umlaut, false), false},
			{"after invalid UTF-8", long, "\xff\xc3" + long + "\xe2\x82", false},
			{"a value that is not UTF-8", "\xff\xfe\x80bin-ary-1", "\xff\xfe\x80bin-ary-1", false},
		}},
		{"JSON, code and shells", []way{
			{"JSON", tricky, toJSON(tricky), false},
			{"JSON without escapes for HTML", tricky, strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(toJSON(tricky)), false},
			{"JSON with escaped slashes", tricky, strings.ReplaceAll(toJSON(tricky), "/", `\/`), false},
			{"JSON in ASCII", umlaut, runes(umlaut, `\u%04x`, `\u%04x`), false},
			{"JSON with surrogates", "key-\U0001f511-of-it", `key-\ud83d\udd11-of-it`, false},
			{"JSON, each character escaped", long, every(long, `\u%04x`), false},
			{"the same in upper case", long, every(long, `\u%04X`), false},
			{"JSON in JSON", tricky, toJSON(toJSON(tricky)), false},
			{"several lines in JSON", pem, toJSON(pem), false},
			{"a binary string in JSON", "\xff\xfe\x80bin-ary-1", `\u00ff\u00fe\u0080bin-ary-1`, false},
			{"UTF-8 read as Latin-1", umlaut, runes(latin(umlaut), "%c", "%c"), false},
			{"Go `%q`", tricky, strconv.Quote(tricky), false},
			{"Go `%+q`", umlaut, strconv.QuoteToASCII(umlaut), false},
			{"Go `%x`", long, fmt.Sprintf("%x", long), false},
			{"Go `% x`", long, fmt.Sprintf("% x", long), false},
			{"Go `%#x`", long, fmt.Sprintf("%#x", long), false},
			{"Go `% #x`", long, fmt.Sprintf("% #x", long), false},
			{"Go `%v` of bytes", long, fmt.Sprint([]byte(long)), false},
			{"Go `%#v` of bytes", long, fmt.Sprintf("%#v", []byte(long)), false},
			{"Python `repr` of bytes", umlaut, "b'" + strings.ReplaceAll(strconv.QuoteToASCII(latin(umlaut)), `\u00`, `\x`) + "'", false},
			{"Python `ascii()`", umlaut, runes(umlaut, `\x%02x`, `\u%04x`), false},
			{"Python `list` of bytes", long, "[" + numbersOf(long, "%d", ", ") + "]", false},
			{"Python `hex(sep)`", long, numbersOf(long, "%02x", ":"), false},
			{"Perl Data::Dumper", umlaut, runes(umlaut, `\x{%x}`, `\x{%x}`), false},
			{"Perl in octal", umlaut, octalHigh(umlaut), false},
			{"JavaScript `escape()`", umlaut, runes(umlaut, "%%%02X", "%%u%04X"), false},
			{"JavaScript, ES6 (`\\u{…}`)", long, every(long, `\u{%x}`), false},
			{"a Node.js Buffer", long, "<Buffer " + numbersOf(long, "%02x", " ") + ">", false},
			{"a Node.js Buffer in JSON", long, `{"type":"Buffer","data":[` + numbersOf(long, "%d", ",") + "]}", false},
			{"signed bytes of Java", umlaut, "[" + signedBytes(umlaut) + "]", false},
			{"C, Python: `\\xHH`", long, every(long, `\x%02x`), false},
			{"C, Python: `\\xHH` in upper case", long, every(long, `\x%02X`), false},
			{"C: `\\ooo`", long, every(long, `\%03o`), false},
			{"Python, C: `\\UHHHHHHHH`", long, every(long, `\U%08x`), false},
			{"Rust, Swift: `\\u{…}` where needed", umlaut, runes(umlaut, `\u{%x}`, `\u{%x}`), false},
			{"an array in C (`xxd -i`)", long, "  " + wrapList(numbersOf(long, "0x%02x", ", "), 12) + "\n", false},
			{"shell, single quotes", `it's 4 o'clock now`, `'it'\''s 4 o'\''clock now'`, false},
			{"shell, single quotes by Python", `it's 4 o'clock now`, `'it'"'"'s 4 o'"'"'clock now'`, false},
			{"shell, double quotes", "a$b`c\"d\\e9-x", "\"a\\$b\\`c\\\"d\\\\e9-x\"", false},
			{"bash -x, `$'…'`", "it's\tso$9 x", "+ echo $'it\\'s\\tso$9 x'", false},
			{"bash -x, `$'…'` in octal", umlaut, "$'" + octalHigh(umlaut) + "'", false},
			{"bash `printf %q`", "it's so$9 x", `it\'s\ so\$9\ x`, false},
			{"`cat -v`", umlaut, catV(umlaut), false},
			{"a line that goes on (backslash)", long, long[:9] + "\\\n" + long[9:], false},
		}},
		{"URLs, markup, mail", []way{
			{"a query, by Go", tricky, url.QueryEscape(tricky), false},
			{"a path, by Go", tricky, url.PathEscape(tricky), false},
			{"userinfo, by Go", tricky, url.UserPassword("u", tricky).String()[2:], false},
			{"`encodeURIComponent`", "a?b!c(d)e f:1", "a%3Fb!c(d)e%20f%3A1", false},
			{"percent in lower case", "a?b=c&d/e f:1", "a%3fb%3dc%26d%2fe%20f%3a1", false},
			{"percent, each byte", long, every(long, "%%%02X"), false},
			{"percent, each byte, in lower case", long, every(long, "%%%02x"), false},
			{"percent, twice", tricky, url.PathEscape(url.PathEscape(tricky)), false},
			{"percent, each byte, twice", long, every(long, "%%25%02X"), false},
			{"percent of base64", tricky, url.QueryEscape(b64(tricky)), false},
			{"HTML", tricky, html.EscapeString(tricky), false},
			{"XML", tricky, toXML(tricky), false},
			{"named entities", "caf\u00e9<&>key-9", "caf&eacute;&lt;&amp;&gt;key-9", false},
			{"decimal entities", long, every(long, "&#%d;"), false},
			{"hexadecimal entities", long, every(long, "&#x%x;"), false},
			{"hexadecimal entities in upper case", long, every(long, "&#X%02X;"), false},
			{"HTML, twice", tricky, html.EscapeString(html.EscapeString(tricky)), false},
			{"JSON in HTML", tricky, html.EscapeString(toJSON(tricky)), false},
			{"quoted-printable", "caf\u00e9=key=" + long, quoted("caf\u00e9=key=" + long), false},
			{"quoted-printable in lines", strings.Repeat(long, 4), quoted(strings.Repeat(long, 4)), false},
			{"quoted-printable, each byte", long, every(long, "=%02X"), false},
		}},
		{"Base64 and other bases", []way{
			{"base64", tricky, b64(tricky), false},
			{"base64 for URLs", tricky, base64.URLEncoding.EncodeToString([]byte(tricky)), false},
			{"base64 without padding", tricky, base64.RawStdEncoding.EncodeToString([]byte(tricky)), false},
			{"base64 of a text with the value in it", tricky, b64("user:" + tricky + "@host"), false},
			{"base64 in lines of 64", pem, wrap(b64(pem), "\n", 64), false},
			{"base64 in lines of 76, indented", pem, wrap(b64(pem), "\r\n    ", 76), false},
			{"base64 with `\\n` written out", pem, wrap(b64(pem), `\n`, 64), false},
			{"base64 with `\\/`", "???>>>" + long, strings.ReplaceAll(b64("???>>>"+long), "/", `\/`), false},
			{"base64 of base64", long, b64(b64(long)), false},
			{"base64 of base64 in lines", strings.Repeat(long, 3), b64(wrap(b64(strings.Repeat(long, 3)), "\n", 76) + "\n"), false},
			{"base64 in the base64 of a longer text", long, b64(`{"auth":"` + b64("u:"+long) + `"}`), false},
			{"base64 of UTF-16 (PowerShell)", long, b64(utf16Bytes(long, true)), false},
			{"base64 of what is not UTF-8", "\xff\xfe\x80bin-ary-1", b64("\xff\xfe\x80bin-ary-1"), false},
			{"base32", long, base32.StdEncoding.EncodeToString([]byte(long)), false},
			{"base32 in lower case", long, strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(long))), false},
			{"base32hex", long, base32.HexEncoding.EncodeToString([]byte(long)), false},
			{"base32 of a text with the value in it", long, base32.StdEncoding.EncodeToString([]byte("abc" + long + "de")), false},
			{"base58", long, string(base58([]byte(long))), false},
			{"base85 of Python and Git", long, b85(long), false},
			{"Ascii85", long, "<~" + a85(long) + "~>", false},
			{"hex", long, hexed, false},
			{"hex in upper case", long, strings.ToUpper(hexed), false},
			{"hex in mixed case", long, mixedCase(hexed), false},
			{"hex in lines", long, wrap(hexed, "\n", 8), false},
			{"hex of UTF-16", long, hex.EncodeToString([]byte(utf16Bytes(long, true))), false},
			{"a value of hex digits in upper case", token, strings.ToUpper(token), false},
			{"a value of hex digits in lower case", token, strings.ToLower(token), false},
			{"a UUID without hyphens", token, strings.ToLower(strings.ReplaceAll(token, "-", "")), false},
		}},
		{"Lists of numbers and dumps", []way{
			{"hex with colons", long, numbersOf(long, "%02x", ":"), false},
			{"hex with blanks", long, numbersOf(long, "%02x", " "), false},
			{"hex with hyphens, in upper case", long, numbersOf(long, "%02X", "-"), false},
			{"hex with commas", long, numbersOf(long, "%02x", ", "), false},
			{"hex with `0x`", long, numbersOf(long, "0x%02x", ", "), false},
			{"hex with `0x`, in quotes", long, "['" + numbersOf(long, "0x%02x", "', '") + "']", false},
			{"hex with colons in lines (openssl)", long, "    " + wrap(numbersOf(long, "%02x", ":"), "\n    ", 45), false},
			{"hex with blanks, a short value", "pw-12345", numbersOf("pw-12345", "%02x", " "), false},
			{"decimal with blanks", long, numbersOf(long, "%d", " "), false},
			{"decimal with commas", long, numbersOf(long, "%d", ", "), false},
			{"decimal, one number per line", long, "[\n  " + numbersOf(long, "%d", ",\n  ") + "\n]", false},
			{"`xxd`", long, xxd(long, 2), false},
			{"`xxd` of a text with the value in it", long, xxd("export TOKEN="+long+" # and more\n", 2), false},
			{"`xxd` in colour", long, strings.ReplaceAll(xxd(long, 2), " 2d", " \x1b[1;32m2d\x1b[0m"), false},
			{"`xxd -g1`", long, xxd(long, 1), false},
			{"`xxd -g4`", long, xxd(long, 4), false},
			{"`xxd -b`", long, dump(long, 6, func(at int, p string) string {
				return fmt.Sprintf("%08x: %-53s  %s", at, numbersOf(p, "%08b", " "), p)
			}), false},
			{"`xxd -p`", long, wrap(hexed, "\n", 60), false},
			{"`hexdump -C`, Go's `hex.Dump`", long, hex.Dump([]byte(long)), false},
			{"`hexdump`", long, dump(long, 16, func(at int, p string) string { return fmt.Sprintf("%07x", at) + wordsOf(p, " %04x") }), false},
			{"`hexdump -c`", long, odC(long), false},
			{"`od`", long, dump(long, 16, func(at int, p string) string { return fmt.Sprintf("%07o", at) + wordsOf(p, " %06o") }), false},
			{"`od -c`", umlaut, odC(umlaut), false},
			{"`od -b`", long, od(long, " %03o"), false},
			{"`od -x`", long, dump(long, 16, func(at int, p string) string { return fmt.Sprintf("%07o", at) + wordsOf(p, " %04x") }), false},
			{"`od -d`", long, dump(long, 16, func(at int, p string) string { return fmt.Sprintf("%07o", at) + wordsOf(p, " %5d") }), false},
			{"`od -t x1`", long, od(long, " %02x"), false},
			{"`od -t x1z`", long, dump(long, 16, func(at int, p string) string {
				return fmt.Sprintf("%07o%-48s  >%s<", at, numbersOf(p, " %02x", ""), p)
			}), false},
			{"`od -t u1`", long, od(long, " %3d"), false},
			{"`od -An -t x1`", long, dump(long, 16, func(_ int, p string) string { return numbersOf(p, " %02x", "") }), false},
		}},
		{"Secret parts of composite values, from four bytes", []way{
			{"the password in a URL", pgURL, "pw12345", false},
			{"the password in a URL, as written", encURL, "p%40w%2F9x", false},
			{"the password in a URL, decoded", encURL, "p@w/9x", false},
			{"a token before the host of a URL", "https://tok99@git.example/x.git", "tok99", false},
			{"a password without a user", "redis://:pw99x@cache:6379/0", "pw99x", false},
			{"a DSN without a scheme", "app:pw12345@tcp(db:3306)/shop", "pw12345", false},
			{"a member of JSON whose name says secret", `{"user":"app","password":"pw123"}`, "pw123", false},
			{"the same, deeper", `{"db":[{"api_key":"k9-x1"}]}`, "k9-x1", false},
			{"the same, in base64", `{"user":"admin","password":"leaf-pass-1"}`, b64("admin:leaf-pass-1"), false},
			{"`K=V;K=V`", ado, "pw12345", false},
			{"libpq `k='v'`", libpq, "p w'12", false},
			{"a .env", "A=1\nexport TOKEN='tk-99'\n", "tk-99", false},
			{"YAML", "a: b\n- token: tk-99\n", "tk-99", false},
			{"a block of YAML", "a: b\npassword: |\n  pw-99x\nc: d\n", "pw-99x", false},
			{"a .netrc", "machine h login app password pw99x\nmachine i login b password q8-zz\n", "pw99x", false},
			{"a .pgpass", "db:5432:shop:app:pw99x", "pw99x", false},
			{"a .npmrc", "//registry.example/:_authToken=tk-99\n", "tk-99", false},
			{"a parameter of a query", "https://api.example/v1?user=app&token=tk-99", "tk-99", false},
			{"the path of a webhook", hook, "a1B2c3D4e5F6g7H8i9J0k1L2", false},
			{"what is random in another path", "https://ci.example/t/a1B2c3D4e5F6g7H8i9J0/run", "a1B2c3D4e5F6g7H8i9J0", false},
			{"the word after Bearer", "Bearer tk-99", "tk-99", false},
			{"the same in a header", "Authorization: Bearer tk-99", "tk-99", false},
			{"basic authentication, decoded", "Basic " + basic, "pw12345", false},
			{"user:password", "app:pw-99", "pw-99", false},
			{"user:password in base64", basic, "pw12345", false},
			{"`auth` of a Docker configuration", docker, "pw12345", false},
			{"a leaf of eight bytes, whatever its name", `{"host":"db.internal.example"}`, "db.internal.example", false},
			{"a number of eight digits in JSON", `{"id":987654321012}`, "987654321012", false},
			{"a shorter leaf whose name says nothing", `{"user":"webuser","password":"pw123"}`, "webuser", true},
			{"the user, host, port and database of a URL", pgURL, "app db.internal 5432 shop", true},
		}},
		{"Not covered", []way{
			{"a proper part of a value (`cut -c1-12`)", long, long[:12], true},
			{"halves apart, in one stream or in two", long, long[:13] + " and " + long[13:], true},
			{"blanks between the characters", long, every(long, "%c "), true},
			{"reversed (`rev`)", long, reversed(long), true},
			{"rot13", long, rot13(long), true},
			{"xor, encryption", long, xored(long), true},
			{"compression (`gzip`)", long, "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff" + xored(long), true},
			{"hashes", long, "5d41402abc4b2a76b9719d911017c592", true},
			{"letters that look alike", long, strings.Replace(long, "a", "\u0430", 1), true},
			{"other case, of what is not hex", long, strings.ToUpper(long), true},
			{"the cursor moved so that the end is written first", long, "\x1b[14G" + long[13:] + "\x1b[1G" + long[:13], true},
			{"percent, three times", long, every(long, "%%2525%02X"), true},
			{"a dump behind other text on each line", long, strings.ReplaceAll("app-1 | "+strings.TrimSpace(odC(long)), "\n", "\napp-1 | "), true},
			{"words of a passphrase on their own", "correct horse battery staple", "horse", true},
		}},
	}
}

func latin(v string) string {
	var b []byte
	for i := range len(v) {
		b = utf8.AppendRune(b, rune(v[i]))
	}
	return string(b)
}

func octalHigh(v string) string {
	var b strings.Builder
	for i := range len(v) {
		if v[i] < 0x80 {
			b.WriteByte(v[i])
		} else {
			fmt.Fprintf(&b, `\%03o`, v[i])
		}
	}
	return b.String()
}

func signedBytes(v string) string {
	var parts []string
	for i := range len(v) {
		parts = append(parts, strconv.Itoa(int(int8(v[i]))))
	}
	return strings.Join(parts, ", ")
}

func catV(v string) string {
	var b strings.Builder
	for i := range len(v) {
		switch c := v[i]; {
		case c < 0x80:
			b.WriteByte(c)
		case c < 0xa0:
			b.WriteString("M-^" + string(rune(c-0x80+'@')))
		default:
			b.WriteString("M-" + string(rune(c-0x80)))
		}
	}
	return b.String()
}

func wrapList(list string, count int) string {
	parts := strings.Split(list, ", ")
	var lines []string
	for len(parts) > 0 {
		n := min(count, len(parts))
		lines = append(lines, strings.Join(parts[:n], ", "))
		parts = parts[n:]
	}
	return strings.Join(lines, ",\n  ")
}

func rot13(v string) string {
	return strings.Map(func(r rune) rune {
		if r|0x20 >= 'a' && r|0x20 <= 'z' {
			return r&^0x1f | (r&0x1f+12)%26 + 1
		}
		return r
	}, v)
}

func xored(v string) string {
	b := []byte(v)
	for i := range b {
		b[i] ^= 0x55
	}
	return string(b)
}

// TestTable tries every way and holds docs/redaction.md against the outcome.
func TestTable(t *testing.T) {
	var doc strings.Builder
	count := 0
	for _, s := range sections() {
		fmt.Fprintf(&doc, "\n### %s\n\n| How it is printed | Redacted |\n|---|---|\n", s.title)
		for _, w := range s.ways {
			m, forms := newMatcher(t, Needle{Value: []byte(w.value), Label: "*"})
			in := []byte("<<\n" + w.printed + "\n>>")
			out := stream(t, m, in, 7)
			if want := oracle(m, forms, in); !bytes.Equal(out, want) {
				t.Errorf("%s: got %q, want %q", w.name, out, want)
			}
			redacted := bytes.Contains(out, []byte("[redacted:*]"))
			// Of what was printed less than half is left (the text around the value), and of the value no four bytes in a row.
			rest := strings.ReplaceAll(string(out[3:max(3, len(out)-3)]), "[redacted:*]", "")
			redacted = redacted && 2*len(rest) < len(w.printed)
			for i := 0; i+4 <= len(w.printed) && redacted; i++ {
				piece := w.printed[i : i+4]
				redacted = !strings.Contains(w.value, piece) || !strings.Contains(rest, piece)
			}
			if redacted == w.open {
				t.Errorf("%s: redacted: %v: %q became %q", w.name, redacted, w.printed, out)
			}
			count++
			fmt.Fprintf(&doc, "| %s | %s |\n", strings.ReplaceAll(w.name, "|", `\|`), map[bool]string{true: "no", false: "yes"}[w.open])
		}
	}
	if count < 140 {
		t.Errorf("only %d ways", count)
	}
	const page, begin, end = "../../docs/redaction.md", "<!-- table -->\n", "<!-- end of the table -->\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("docs/redaction.md has no place for the table")
	}
	want := head + begin + doc.String() + "\n" + end + tail
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatal("docs/redaction.md has another table: go test ./internal/leak -run TestTable -update")
	}
	if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
