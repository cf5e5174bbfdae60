package leak

import "slices"

// Search seeks the needles of a Matcher in texts and changes nothing. One goroutine at a
// time may use it.
type Search struct {
	m             *Matcher
	plain, shadow uint32
	strip         stripper
	view          []byte
	hits          []hit
	found         []int
}

// Search returns a Search that has found nothing yet. It is good until Wipe.
func (m *Matcher) Search() *Search { return &Search{m: m} }

// Write seeks in p, the next part of the text. It does not keep p, and never fails.
func (s *Search) Write(p []byte) (int, error) {
	s.plain, s.hits = s.m.scan(s.plain, p, s.hits[:0])
	s.view = s.view[:0]
	s.strip.strip(p, func(run []byte, _ int) { s.view = append(s.view, run...) })
	s.shadow, s.hits = s.m.scan(s.shadow, s.view, s.hits)
	for _, h := range s.hits {
		if i := int(h.form.label); !slices.Contains(s.found, i) {
			s.found = append(s.found, i)
		}
	}
	clear(s.view)
	return len(p), nil
}

// Next begins another text: nothing is found across its border.
func (s *Search) Next() {
	s.plain, s.shadow, s.strip = root, root, stripper{}
}

// Found returns which needles were found so far, by their places in the slice that Compile
// was given; of two with one value the first.
func (s *Search) Found() []int { return slices.Sorted(slices.Values(s.found)) }
