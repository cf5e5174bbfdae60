package leak

import "slices"

// Search seeks the needles of a Matcher in texts and changes nothing. One goroutine at a
// time may use it.
type Search struct {
	m     *Matcher
	pos   int64
	plain uint32
	views views
	hits  []hit
	found []int
}

// Search returns a Search that has found nothing yet. It is good until Wipe.
func (m *Matcher) Search() *Search {
	s := &Search{m: m}
	s.views.init(m, s.add)
	return s
}

func (s *Search) add(o occurrence) {
	if i := int(o.label); !slices.Contains(s.found, i) {
		s.found = append(s.found, i)
	}
}

// Write seeks in p, the next part of the text. It does not keep p, and never fails.
func (s *Search) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		n := min(len(p), block)
		var deep depths
		s.plain, s.hits = s.m.scan(s.plain, p[:n], s.hits[:0], &deep)
		for _, h := range s.hits {
			s.m.each(h, func(f formInfo) { s.add(occurrence{label: f.label}) })
		}
		s.views.take(p[:n], s.pos, deep)
		p, s.pos = p[n:], s.pos+int64(n)
	}
	return total, nil
}

// Next ends the text, and begins another: nothing is found across its border.
func (s *Search) Next() {
	s.views.finish(s.pos)
	s.views.wipe()
	s.plain, s.views = root, views{}
	s.views.init(s.m, s.add)
}

// Found returns which needles were found so far, by their places in the slice that Compile
// was given; of two with one value the first. Some are found only by Next.
func (s *Search) Found() []int { return slices.Sorted(slices.Values(s.found)) }
