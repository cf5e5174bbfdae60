package leak

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// pieces are drawn to make texts that nearly match, in either view.
var pieces = []string{"a", "b", "ab", "ba", "aab", "\n", "\r\n", "\n  ", " ", "\x1b[1m", "\x1b]0;ab\x07", "\x1b", "[", "m", "\x00", "\xff"}

func drawText(t *rapid.T, label string, limit int) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, limit).Draw(t, label), "")
}

// TestStreamEqualsOracle: however the stream is cut, the output is that of the
// naive redactor of the whole.
func TestStreamEqualsOracle(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var texts []string
		for range rapid.IntRange(0, 6).Draw(r, "forms") {
			text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces[:9]), 4, 12).Draw(r, "form"), "")
			texts = append(texts, text)
		}
		m, forms := rawMatcher(t, texts...)
		parts := append(append([]string{}, pieces...), texts...)
		data := []byte(strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 40).Draw(r, "data"), ""))
		sizes := rapid.SliceOfN(rapid.IntRange(1, 20), 1, 5).Draw(r, "sizes")
		want := oracle(m, forms, data)
		if got := stream(t, m, data, sizes...); !bytes.Equal(got, want) {
			r.Fatalf("forms %q, data %q\n got %q\nwant %q", texts, data, got, want)
		}
	})
}

// TestStreamEqualsOracleForRuns does the same with runs of texts that are
// varied enough for the filter to skip, and alike enough for it to rewind.
func TestStreamEqualsOracleForRuns(t *testing.T) {
	draw := func(r *rapid.T, least, most int) string {
		text := rapid.SampledFrom([]string{"abcdefghijklmnopqrstuvwxyz", "abacabadabacabaeabacabad"}).Draw(r, "text")
		from := rapid.IntRange(0, 6).Draw(r, "from")
		return text[from : from+rapid.IntRange(least, most).Draw(r, "length")]
	}
	rapid.Check(t, func(r *rapid.T) {
		var texts []string
		least := rapid.SampledFrom([]int{4, 5, 6, 9, 14}).Draw(r, "least")
		for range rapid.IntRange(1, 4).Draw(r, "forms") {
			texts = append(texts, draw(r, least, 18))
		}
		m, forms := rawMatcher(t, texts...)
		var data []byte
		for range rapid.IntRange(0, 12).Draw(r, "runs") {
			data = append(data, draw(r, 1, 18)...)
		}
		sizes := rapid.SliceOfN(rapid.IntRange(1, 60), 1, 3).Draw(r, "sizes")
		want := oracle(m, forms, data)
		if got := stream(t, m, data, sizes...); !bytes.Equal(got, want) {
			r.Fatalf("forms %q, data %q\n got %q\nwant %q", texts, data, got, want)
		}
	})
}

// TestStreamEqualsOracleForValues does the same with all forms of values.
func TestStreamEqualsOracleForValues(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var needles []Needle
		var parts []string
		for range rapid.IntRange(1, 3).Draw(r, "values") {
			v := []byte(drawText(r, "value", 10) + rapid.StringN(0, 6, 12).Draw(r, "tail"))
			needles = append(needles, Needle{Value: v, Label: ""})
		}
		m, forms := newMatcher(t, needles...)
		for _, f := range forms {
			parts = append(parts, string(f.bytes), string(f.bytes[:len(f.bytes)/2]), string(f.bytes[len(f.bytes)/2:]))
		}
		parts = append(parts, pieces...)
		data := []byte(strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 12).Draw(r, "data"), ""))
		sizes := rapid.SliceOfN(rapid.IntRange(1, 30), 1, 5).Draw(r, "sizes")
		want := oracle(m, forms, data)
		if got := stream(t, m, data, sizes...); !bytes.Equal(got, want) {
			r.Fatalf("needles %+v, data %q\n got %q\nwant %q", needles, data, got, want)
		}
	})
}

// TestNoFragments plants forms into filler that shares no byte with them. No
// eight bytes of any are left.
func TestNoFragments(t *testing.T) {
	value := []byte(tricky + "\n" + secret)
	m, all := newMatcher(t, Needle{Value: value})
	rapid.Check(t, func(r *rapid.T) {
		f := rapid.SampledFrom(all).Draw(r, "form").bytes
		f = f[:len(f):len(f)]
		if rapid.Bool().Draw(r, "fold") {
			at := rapid.IntRange(1, len(f)-1).Draw(r, "at")
			gap := rapid.SampledFrom([]string{"\n", "\r\n\t", "\x1b[1m", "\x1b]0;\x07"}).Draw(r, "gap")
			if !isBlank(f[at]) && !isBlank(f[at-1]) && !bytes.ContainsAny(f, "\r\n\x1b\x00") {
				f = append(append(bytes.Clone(f[:at]), gap...), f[at:]...)
			}
		}
		filler := strings.Repeat("|", rapid.IntRange(0, 20).Draw(r, "filler"))
		data := []byte(filler + string(f) + "|")
		out := stream(t, m, data, rapid.IntRange(1, 40).Draw(r, "size"))
		if !bytes.HasPrefix(out, []byte(filler+"[redacted]")) {
			r.Fatalf("%q became %q", data, out)
		}
		for i := 0; i+8 <= len(f); i++ {
			if bytes.Contains(out, f[i:i+8]) {
				r.Fatalf("%q is left of %q in %q", f[i:i+8], data, out)
			}
		}
	})
}

// TestIdleShowsThreeBytes lets the timer fire between any two writes. Then at
// most the first three bytes of a value appear, and nothing else changes.
func TestIdleShowsThreeBytes(t *testing.T) {
	m, _ := newMatcher(t, Needle{Value: []byte(secret), Label: "*"})
	gaps := []string{"\n", "\x1b[1m", "", "", ""}
	rapid.Check(t, func(r *rapid.T) {
		var in, pattern strings.Builder
		pattern.WriteString("^")
		for range rapid.IntRange(1, 4).Draw(r, "values") {
			filler := rapid.SampledFrom([]string{"..", "## ", "\n", ". .\n"}).Draw(r, "filler")
			in.WriteString(filler)
			pattern.WriteString(regexp.QuoteMeta(filler) + "(?:s[\n\x1b\\[1m]*(?:3[\n\x1b\\[1m]*(?:c[\n\x1b\\[1m]*)?)?)?" + regexp.QuoteMeta("[redacted:*]") + "(?:\x1b\\[0m)?")
			for i := range len(secret) {
				in.WriteByte(secret[i])
				if i+1 < len(secret) {
					in.WriteString(rapid.SampledFrom(gaps).Draw(r, "gap"))
				}
			}
		}
		pattern.WriteString("$")
		var out bytes.Buffer
		var timer fakeTimer
		w := m.Writer(&out, Options{AfterFunc: timer.after})
		for data := in.String(); data != ""; {
			n := min(rapid.IntRange(1, 9).Draw(r, "size"), len(data))
			if _, err := w.Write([]byte(data[:n])); err != nil {
				r.Fatal(err)
			}
			if rapid.Bool().Draw(r, "pause") {
				timer.fire()
			}
			data = data[n:]
		}
		if err := w.Close(); err != nil {
			r.Fatal(err)
		}
		if !regexp.MustCompile(pattern.String()).Match(out.Bytes()) {
			r.Fatalf("%q became %q", in.String(), out.String())
		}
	})
}

// FuzzStream cuts fuzzed data by a fuzzed pattern. The values come first, one
// per line.
func FuzzStream(f *testing.F) {
	f.Add([]byte("0x0xdeadbeef"), []byte("k=0x0x0xdeadbeef"), []byte{6, 10})
	f.Add([]byte("aaaab\naaaa\nabab"), []byte("aaaabababaaaa"), []byte{1})
	f.Add([]byte(secret+"\n"+tricky), []byte(secret[:4]+"\x1b[1m"+secret[4:]+"\r\n"+tricky), []byte{3, 1, 4})
	f.Add([]byte("abcd1\nabcd1234\nd1234efgh\n1234"), []byte("abcd1234efgh abcd1 d1234efg"), []byte{2})
	f.Add([]byte("pass\x1b]word1"), []byte("pass\x1b]word1\x07pass\n\n  word1"), []byte{1, 9})
	f.Add([]byte("a\x00b\x00c\x00d1"), []byte("YQBiAGMAZDE= a\x00b\x00c\x00d1 6100620063006431"), []byte{5})
	f.Add([]byte("   pad-ded value   "), []byte("\n   pad-ded value   \n\r\r\n pad-ded\n value"), []byte{7})
	f.Add([]byte(""), []byte("\xff\x00\x1b"), []byte{})
	f.Fuzz(func(t *testing.T, values, data, cuts []byte) {
		if len(values) > 200 || len(data) > 2000 {
			t.Skip()
		}
		var needles []Needle
		for v := range bytes.SplitSeq(values, []byte("\n")) {
			needles = append(needles, Needle{Value: v})
		}
		sizes := []int{1}
		for _, c := range cuts {
			sizes = append(sizes, int(c))
		}
		m, forms := newMatcher(t, needles...)
		want := oracle(m, forms, data)
		if got := stream(t, m, data, sizes...); !bytes.Equal(got, want) {
			t.Fatalf("values %q, data %q\n got %q\nwant %q", values, data, got, want)
		}
	})
}

// TestStreamEqualsOracleForEscapes does the same where escapes and line breaks lie close
// together in text that is taken in large pieces: with all forms of values, and with short
// ones that begin alike.
func TestStreamEqualsOracleForEscapes(t *testing.T) {
	values := []string{"kR7pQ2mZ9x\\Lw4\"tBv8sNc", "post-1&2%41=x", "3f9a1b77c0de4e21"}
	var needles []Needle
	for i, v := range values {
		needles = append(needles, Needle{Value: []byte(v), Label: string(rune('a' + i))})
	}
	m, all := newMatcher(t, needles...)
	short, shortForms := rawMatcher(t, "postgres-1", "posting\"2", "    #ab", "one\\two-3", "d34db33f77aa")
	rapid.Check(t, func(r *rapid.T) {
		m, forms := m, all
		if rapid.Bool().Draw(r, "short") {
			m, forms = short, shortForms
		}
		var data []byte
		for range rapid.IntRange(1, 30).Draw(r, "parts") {
			switch rapid.IntRange(0, 3).Draw(r, "what") {
			case 0:
				data = append(data, rapid.SampledFrom([]string{"\n", "\n    ", "  \n# ", `\n`, `\\`, `\"`, "%25", "&amp;", "=41", "=3D", "request served ", "12 34 56 78 ", "2026-07-12\n", "\x1b[1m", "\xe2\x9c\x93"}).Draw(r, "filler")...)
			case 1:
				f := rapid.SampledFrom(forms).Draw(r, "form").bytes
				from := rapid.IntRange(0, len(f)-1).Draw(r, "from")
				data = append(data, f[from:from+rapid.IntRange(1, len(f)-from).Draw(r, "length")]...)
			default:
				v := string(rapid.SampledFrom(forms).Draw(r, "form").bytes)
				for range rapid.IntRange(0, 2).Draw(r, "times") {
					how := rapid.SampledFrom([]string{`\u%04x`, "%%%02x", "%s", "&#%d;", "0x%02x, ", "%d\n"}).Draw(r, "how")
					odd := rapid.IntRange(1, 9).Draw(r, "each")
					var b strings.Builder
					for i := range len(v) {
						if how == "%s" || i%odd != 0 && how != "%d\n" && how != "0x%02x, " {
							b.WriteByte(v[i])
						} else {
							fmt.Fprintf(&b, how, v[i])
						}
					}
					if v = b.String(); len(v) > 400 {
						break
					}
				}
				data = append(data, v...)
			}
		}
		sizes := rapid.SliceOfN(rapid.IntRange(20, 2000), 1, 3).Draw(r, "sizes")
		want := oracle(m, forms, data)
		if got := stream(t, m, data, sizes...); !bytes.Equal(got, want) {
			r.Fatalf("data %q\n got %q\nwant %q", data, got, want)
		}
	})
}
