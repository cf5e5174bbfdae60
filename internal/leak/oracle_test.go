package leak

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// The oracle looks at the whole buffer and tries every form at every position,
// in the bytes and in every view of them, none of which rests.

// newMatcher compiles needles and returns the forms for the oracle as well.
func newMatcher(t testing.TB, needles ...Needle) (*Matcher, []form) {
	t.Helper()
	m, skipped, err := Compile(needles)
	if err != nil {
		t.Fatal(err)
	}
	var set formSet
	for i, n := range needles {
		if len(n.Value) > 0 && !slices.ContainsFunc(skipped, func(s Skipped) bool { return s.Index == i && !s.Reason.part() }) {
			set.addNeedle(n.Value, uint32(i))
		}
	}
	return m, set.forms
}

// rawMatcher makes a matcher of exactly the given forms, with labels 0, 1, 2…
func rawMatcher(t testing.TB, texts ...string) (*Matcher, []form) {
	t.Helper()
	m := &Matcher{}
	var forms []form
	for i, text := range texts {
		forms = append(forms, form{[]byte(text), uint32(i)})
		m.markers = append(m.markers, marker(fmt.Sprint(i)))
	}
	if !m.build(slices.Clone(forms)) {
		t.Fatal("too large")
	}
	return m, forms
}

// readings returns the views of the whole of data.
func readings(data []byte) []*view {
	var s views
	s.init(nil, nil)
	var strip stripper
	shown := strip.finish(int64(len(data)), strip.strip(data, 0, nil))
	s.shadow.feed(shown)
	once := s.unescapers[0].finish(s.unescapers[0].decode(shown, nil))
	s.once.feed(once)
	s.twice.feed(s.unescapers[1].finish(s.unescapers[1].decode(once, nil)))
	s.lists.feed(shown)
	s.lists.finish()
	s.dumps.feed(shown)
	s.dumps.finish()
	var all []*view
	for _, v := range s.all() {
		v.finish()
		all = append(all, v)
	}
	return all
}

func occurrences(forms []form, data []byte) (found []occurrence) {
	for _, f := range forms {
		for i := range data {
			if bytes.HasPrefix(data[i:], f.bytes) {
				found = append(found, occurrence{start: int64(i), end: int64(i + len(f.bytes)), label: f.label})
			}
		}
	}
	for n, v := range readings(data) {
		for _, f := range forms {
			if (n == 3 || n == 4) && len(f.bytes) < minListed {
				continue // lists
			}
			for i := range v.text {
				end := i + len(f.bytes)
				if bytes.HasPrefix(v.text[i:], f.bytes) && !slices.ContainsFunc(v.cuts, func(cut int) bool { return i < cut && cut < end }) {
					found = append(found, occurrence{start: v.offsets.start(int64(i)), end: v.offsets.end(int64(end - 1)), label: f.label})
				}
			}
		}
	}
	return found
}

// oracle returns what a Writer must write for data.
func oracle(m *Matcher, forms []form, data []byte) []byte {
	found := occurrences(forms, data)
	slices.SortFunc(found, func(a, b occurrence) int { return int(a.start - b.start) })
	var out []byte
	pos := int64(0)
	for len(found) > 0 {
		first, end := found[0], found[0].end
		n := 1
		for ; n < len(found) && found[n].start < end; n++ {
			o := found[n]
			end = max(end, o.end)
			if o.start == first.start && (o.end > first.end || o.end == first.end && o.label < first.label) {
				first = o
			}
		}
		out = append(out, data[pos:first.start]...)
		out = append(out, m.markers[first.label]...)
		if bytes.IndexByte(data[first.start:end], esc) >= 0 {
			out = append(out, "\x1b[0m"...)
		}
		pos = end
		found = found[n:]
	}
	return append(out, data[pos:]...)
}

// stream writes data in chunks of the given sizes, used in turn, and returns
// the output.
func stream(t testing.TB, m *Matcher, data []byte, sizes ...int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := m.Writer(&out, Options{Idle: -1})
	for i := 0; len(data) > 0; i++ {
		n := min(max(sizes[i%len(sizes)], 1), len(data))
		if written, err := w.Write(data[:n]); err != nil || written != n {
			t.Fatalf("Write = %d, %v; want %d", written, err, n)
		}
		if len(w.held) > m.longest+slack+block {
			t.Fatalf("%d bytes are held", len(w.held))
		}
		for _, v := range w.views.all() {
			if len(v.offsets.segments) > 2*m.longest+block {
				t.Fatalf("%d segments are kept", len(v.offsets.segments))
			}
		}
		data = data[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// checkStream compares the oracle with the streamed output for every way to
// cut data in two, for single bytes, and for the whole.
func checkStream(t *testing.T, m *Matcher, forms []form, data []byte) []byte {
	t.Helper()
	want := oracle(m, forms, data)
	for cut := range data {
		if got := stream(t, m, data, cut, len(data)); !bytes.Equal(got, want) {
			t.Fatalf("cut at %d of %q:\n got %q\nwant %q", cut, data, got, want)
		}
	}
	for _, size := range []int{1, 2, 3, 7, len(data)} {
		if got := stream(t, m, data, size); !bytes.Equal(got, want) {
			t.Fatalf("chunks of %d of %q:\n got %q\nwant %q", size, data, got, want)
		}
	}
	return want
}
