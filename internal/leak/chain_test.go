package leak

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// sink keeps what is written to it, and where each Write ended.
type sink struct {
	bytes.Buffer
	ends []int
}

func (s *sink) Write(p []byte) (int, error) {
	n, err := s.Buffer.Write(p)
	s.ends = append(s.ends, s.Len())
	return n, err
}

// chained redacts data with one Matcher and then with another.
func chained(t testing.TB, first, second *Matcher, data []byte, sizes ...int) string {
	t.Helper()
	var out bytes.Buffer
	two := second.Writer(&out, Options{Idle: -1})
	one := first.Writer(two, Options{Idle: -1})
	for i := 0; len(data) > 0; i++ {
		n := min(len(data), sizes[i%len(sizes)])
		if _, err := one.Write(data[:n]); err != nil {
			t.Fatal(err)
		}
		data = data[n:]
	}
	for _, w := range []*Writer{one, two} {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// TestChain: the second of two redactors works on each text between the markers of the
// first, and on nothing else, whatever the cut into writes.
func TestChain(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		draw := func(what string) []string {
			return rapid.SliceOfNDistinct(rapid.StringMatching("[ab1]{4,7}"), 1, 4, rapid.ID[string]).Draw(r, what)
		}
		one, two := draw("first"), draw("second")
		first, forms := rawMatcher(t, one...)
		second, _ := rawMatcher(t, two...)
		for i := range first.markers {
			first.markers[i] = "\x00" // found again below
		}
		parts := append(append([]string{"redacted", "a", "b", "1", "\n", "\x1b[1m"}, one...), two...)
		data := []byte(strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 14).Draw(r, "data"), ""))
		sizes := rapid.SliceOfN(rapid.IntRange(1, 9), 1, 4).Draw(r, "sizes")
		var want strings.Builder
		for _, text := range strings.SplitAfter(strings.ReplaceAll(string(oracle(first, forms, data)), "\x00\x1b[0m", "\x01"), "\x00") {
			for text := range strings.SplitAfterSeq(text, "\x01") {
				body := strings.TrimRight(text, "\x00\x01")
				want.Write(second.Redact([]byte(body)))
				want.WriteString(strings.ReplaceAll(text[len(body):], "\x01", "\x00\x1b[0m"))
			}
		}
		if got := chained(t, first, second, data, sizes...); got != want.String() {
			r.Fatalf("first %q, second %q, data %q\n got %q\nwant %q", one, two, data, got, want.String())
		}
	})
}

// TestFirstKnowsNoGuess plays the oracle of a text that the caller chose beside a value
// that it wants to know, at every place where the two can meet and in every encoding that
// both have: whether the guess is right or wrong, the same bytes come out of the first
// redactor in the same writes, and where the second adds its markers depends on what the
// first lets through alone.
func TestFirstKnowsNoGuess(t *testing.T) {
	const secret = "kR7pQ2mZ9xLw4tBv"
	right := func(n int) string { return secret[:n] }
	wrong := func(n int) string { return strings.Map(func(c rune) rune { return c ^ 1 }, secret[:n]) }
	first, _, err := Compile([]Needle{{Value: []byte(secret), Label: "local/prod/db#password", Strong: true}})
	if err != nil {
		t.Fatal(err)
	}
	runs := 0
	play := func(program, guess string) (shown string, ends []int, end string) {
		second, _, err := Compile([]Needle{{Value: []byte(guess), Label: "local/scratch/g"}})
		if err != nil {
			t.Fatal(err)
		}
		var out sink
		var last bytes.Buffer
		w := first.Writer(&out, Options{Idle: -1})
		for i := 0; i < len(program); i += 7 {
			_, _ = w.Write([]byte(program)[i:min(i+7, len(program))])
		}
		_ = w.Close()
		two := second.Writer(&last, Options{Idle: -1})
		one := first.Writer(two, Options{Idle: -1})
		_, _ = one.Write([]byte(program))
		_, _ = one.Close(), two.Close()
		runs++
		return out.String(), out.ends, last.String()
	}
	for n := 1; n < len(secret); n++ {
		for what, where := range map[string]func(string) string{
			"prefix":      func(g string) string { return "password=" + g },
			"suffix":      func(g string) string { return g[len(g)/2:] + "\nnext line" },
			"inside":      func(g string) string { return g[len(g)/3:] + "-" },
			"across":      func(g string) string { return "user=app password=" + g + "…" },
			"across line": func(g string) string { return "password=\n  " + g },
			"quoted":      func(g string) string { return `{"password": "` + g },
		} {
			for _, spell := range []func(string) string{
				func(s string) string { return s },
				func(s string) string { return string(hexOf(s)) },
				func(s string) string { return fmt.Sprintf("%q", s) },
			} {
				// What the program prints is the same: the guess is a needle alone.
				program := "connecting with user=app password=" + spell(secret) + " to db\npassword=\n  " + spell(secret) + "\n{\"password\": \"" + spell(secret) + "\"}\n"
				a, ends, endA := play(program, where(right(n)))
				b, ends2, endB := play(program, where(wrong(n)))
				if a != b || !slices.Equal(ends, ends2) {
					t.Fatalf("%s of %d: the first shows\n%q at %v for a right guess and\n%q at %v for a wrong one", what, n, a, ends, b, ends2)
				}
				if endA != endB {
					t.Errorf("%s of %d: after the second it is\n%q for a right guess and\n%q for a wrong one", what, n, endA, endB)
				}
			}
		}
	}
	t.Logf("%d runs, no difference", runs)
}

func hexOf(s string) (out []byte) {
	hexForms([]byte(s), func(f []byte) {
		if out == nil {
			out = bytes.Clone(f)
		}
	})
	return out
}

// TestFirstKeepsItsTime: what waits for a pause in the first redactor does not wait for the
// second's needles, and the timers are those of the first.
func TestFirstKeepsItsTime(t *testing.T) {
	times := func(guess string) (at []time.Duration) {
		first, _ := newMatcher(t, Needle{Value: []byte(secret)})
		second, _ := newMatcher(t, Needle{Value: []byte(guess)})
		var out sink
		two := second.Writer(&out, Options{Idle: -1})
		one := first.Writer(two, Options{AfterFunc: func(d time.Duration, f func()) Timer {
			at = append(at, d)
			return time.AfterFunc(time.Hour, f)
		}})
		for i := range secret {
			_, _ = one.Write([]byte("x" + secret[:i]))
		}
		_, _ = one.Close(), two.Close()
		return at
	}
	if a, b := times("x"+secret[:5]), times("xyzwvutsr"); !slices.Equal(a, b) {
		t.Errorf("timers at %v and %v", a, b)
	}
}

// TestApart: where a value that stands apart shares bytes with another needle's, nothing is
// shown from there on, whatever the cut; where the two are equal, or do not meet, all is.
func TestApart(t *testing.T) {
	const value = "kR7pQ2mZ9xLw"
	for _, x := range []struct {
		guess   string
		stopped bool
	}{
		{"password=kR7", true},   // its beginning
		{"Q2mZ9xLw\nnext", true}, // its end
		{"R7pQ2mZ9", true},       // inside
		{"=" + value, true},      // all of it, as the end of the guess
		{value + "\n", false},    // equal but for white space
		{value, false},
		{"password=kR8", false},
		{"elsewhere", false},
	} {
		for size := 1; size < 40; size++ {
			m, _, err := Compile([]Needle{{Value: []byte(value), Label: "v", Apart: true}, {Value: []byte(x.guess), Label: "g"}})
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			w := m.Writer(&out, Options{Idle: -1})
			data := []byte("elsewhere password=" + value + "\nnext line, and the rest")
			for i := 0; i < len(data); i += size {
				_, _ = w.Write(data[i:min(i+size, len(data))])
			}
			_ = w.Close()
			if w.Stopped() != x.stopped || strings.Contains(out.String(), "the rest") == x.stopped || strings.Contains(out.String(), value[:4]) {
				t.Errorf("%q, cut at %d: stopped is %v after %q", x.guess, size, w.Stopped(), out.String())
			}
		}
	}
}

// TestSearch finds a value in any encoding, over any cut, and nothing across texts.
func TestSearch(t *testing.T) {
	m, forms := newMatcher(t, Needle{Value: []byte(secret)}, Needle{Value: []byte("another-value-2")})
	for _, f := range forms {
		s := m.Search()
		text := "before " + string(f.bytes) + " behind"
		for i := range len(text) {
			_, _ = s.Write([]byte(text[i : i+1]))
		}
		s.Next()
		if got := s.Found(); len(got) != 1 || got[0] != int(f.label) {
			t.Fatalf("%q: found are %v", text, got)
		}
	}
	s := m.Search()
	_, _ = s.Write([]byte("x" + secret[:5]))
	s.Next()
	if _, _ = s.Write([]byte(secret[5:])); len(s.Found()) > 0 {
		t.Errorf("found across two texts: %v", s.Found())
	}
}

// TestStrongOnly: for somebody who may guess, no needle is made of a weak value or part.
func TestStrongOnly(t *testing.T) {
	const strong = "kR7pQ2mZ9xLw4tBv8sNc"
	m, skipped, err := Compile([]Needle{
		{Value: []byte("sunshine0042"), Label: "word", Strong: true},
		{Value: []byte("postgres://app:pw12345x@db.example.com/shop"), Label: "url", Strong: true},
		{Value: []byte(`{"user":"sunshine0042","key":"` + strong + `"}`), Label: "json", Strong: true},
		{Value: []byte("sunshine0043"), Label: "known"},
	})
	if err != nil || len(skipped) != 2 || skipped[0] != (Skipped{0, "word", TooWeak}) || skipped[1] != (Skipped{1, "url", PartTooWeak}) {
		t.Fatalf("%+v (%v)", skipped, err)
	}
	for value, want := range map[string]Reason{
		`{"user":"app","pin_code":"48213377"}`:                                             PartTooWeak,
		`{"recovery_codes":["abcd-1234","efgh-5678"]}`:                                     PartTooWeak,
		`{"answer":"fluffy-dog"}`:                                                          PartTooWeak,
		`{"otp":"482133","key":"` + strong + `"}`:                                          PartTooCommon,
		"abcd-1234\nefgh-5678\nijkl-9012\n":                                                PartTooWeak,
		"DB_HOST=db.example.net\nDB_CODEWORD=fluffydog\n":                                  PartTooWeak,
		"DB_HOST=db.example.net\nDB_KEY=" + strong + "\n":                                  "",
		"machine api.example.net\n  login anna-maria\n  password " + strong + "\n":         "",
		`{"username":"app-user","host":"db.example.net","password":"` + strong + `"}`:      "",
		`{"url":"https://app:fluffydog@db.example.net/","key":"` + strong + `"}`:           PartTooWeak,
		"-----BEGIN KEY-----\n" + strong + strong + "\n" + "x9Kq2mQ1\n-----END KEY-----\n": "",
	} {
		_, skipped, err := Compile([]Needle{{Value: []byte(value), Strong: true}})
		if err != nil || (want == "") != (len(skipped) == 0) || want != "" && skipped[0].Reason != want {
			t.Errorf("%s: %+v (%v)", value, skipped, err)
		}
		if _, skipped, err = Compile([]Needle{{Value: []byte(value)}}); err != nil || want == PartTooWeak && len(skipped) > 0 {
			t.Errorf("%s, for a person: %+v (%v)", value, skipped, err)
		}
	}
	// What is a needle is what is searched for, and what is open is neither.
	open, _, err := Compile([]Needle{
		{Value: []byte(`{"client_email":"bot-kR7pQ2mZ9xLw4tBv@p.example","key":"` + strong + `","note":"vT4xN8qWc2LhZp7sKd9R"}`), Strong: true},
		{Value: []byte("https://kR7pQ2mZ9xLw4tBv.example/?token=xW3nT8bYq5Jr0MvGd6Ha"), Strong: true, Open: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int{"bot-kR7pQ2mZ9xLw4tBv@p.example": 0, strong: 1, "vT4xN8qWc2LhZp7sKd9R": 1,
		"https://kR7pQ2mZ9xLw4tBv.example/?token=": 0, "xW3nT8bYq5Jr0MvGd6Ha": 1} {
		search := open.Search()
		_, _ = search.Write([]byte(text))
		search.Next()
		if n, shown := len(search.Found()), string(open.Redact([]byte(text))); n != want || (shown == text) != (want == 0) {
			t.Errorf("%s: %d found; shown is %s", text, n, shown)
		}
	}
	const want = "sunshine0042 pw12345x [redacted:json] [redacted:known]"
	if got := string(m.Redact([]byte("sunshine0042 pw12345x " + strong + " sunshine0043"))); got != want {
		t.Errorf("%s", got)
	}
}
