package leak

import "slices"

// stage is how much of the stream is looked at between two decisions whether
// the views with escapes decoded differ from the shadow.
const stage = 4 << 10

// views are the readings of a stream, beside the bytes themselves, in which
// occurrences are looked for.
//
//	stream ─ stripper ─┬─ shadow                 what a terminal shows, in one line
//	                   ├─ unescaper ─┬─ once     escapes decoded
//	                   │             └─ unescaper ─ twice
//	                   ├─ lists ─ hex, decimal   lists of numbers
//	                   └─ dumps ─ first, second  hex dumps
//
// All share the automaton. Those with escapes decoded rest, and cost nothing,
// while they would read what the view before them reads.
type views struct {
	m     *Matcher
	strip stripper

	shadow, once, twice, hex, decimal, first, second view

	unescapers [2]unescaper
	awake      [2]bool // whether once and twice go their own way
	shallow    bool    // no head of a form ends in the stage, or goes on from it
	lists      lists
	dumps      dumps

	events  [3][]event
	decoded []byte // what is decoded once, of the stage
	hits    []hit
	found   func(occurrence)
}

func (s *views) init(m *Matcher, found func(occurrence)) {
	s.m, s.found = m, found
	s.unescapers[0].families, s.unescapers[1].families = allEscapes, allEscapes
	s.lists.hex.view, s.lists.decimal.view = &s.hex, &s.decimal
	s.lists.decimal.decimal = true
	if m != nil {
		s.lists.filter = &m.filter
	}
	s.dumps.first, s.dumps.second = &s.first, &s.second
}

func (s *views) all() [7]*view {
	return [7]*view{&s.shadow, &s.once, &s.twice, &s.hex, &s.decimal, &s.first, &s.second}
}

// take looks at p, which lies at the position at of the stream; deep is what a scan of
// p says. No more than a block is taken at a time.
func (s *views) take(p []byte, at int64, deep depths) {
	for from := 0; from < len(p); {
		end := min(from+stage, len(p))
		s.strip.odd = len(s.strip.half) > 0
		s.events[0] = s.strip.strip(p[from:end], at+int64(from), s.events[0][:0])
		s.shallow = !deep.within(from, end)
		s.feed(p[from:end], at+int64(from))
		from = end
	}
}

// feed hands the events, which come from p, to the decoders and looks at what they make of
// them.
func (s *views) feed(p []byte, at int64) {
	in := s.events[0]
	s.decode(!s.awake[0] && mayDecode(p), in, false)
	s.dumps.feed(in)
	if s.strip.odd || len(s.strip.half) > 0 {
		s.lists.feed(in)
	} else {
		s.lists.look(p, at, in) // makes events of its own of them
	}
	for _, v := range []*view{&s.hex, &s.decimal, &s.first, &s.second} {
		s.scan(v, false)
	}
}

// decode feeds the shadow and the views with escapes decoded. What was not
// decoded yet at the end of the stream is decoded if final.
func (s *views) decode(escapes bool, in []event, final bool) {
	chain := [3]*view{&s.shadow, &s.once, &s.twice}
	var known [3]bool
	whole := s.shallow
	for i, v := range chain {
		if i > 0 && len(s.unescapers[i-1].pending) > 0 {
			whole = false
		}
		known[i] = whole && len(v.blanks) == 0 && v.mark.c == 0
	}
	for i := range s.awake {
		// The view before goes on below; this one begins where that one stands.
		if !s.awake[i] && escapes {
			chain[i+1].follows(s.model(i + 1))
			s.awake[i], known[i+1] = true, known[i+1] && known[i]
		}
		out := in
		if s.awake[i] {
			u := &s.unescapers[i]
			out = u.decode(in, s.events[i+1][:0])
			if final {
				out = u.finish(out)
			}
			s.events[i+1] = out
			if i == 0 && !s.awake[1] {
				s.decoded = joined(s.decoded[:0], out)
				escapes = mayDecodeAgain(s.decoded, out)
			}
		} else {
			escapes = false
		}
		if i == 0 || s.awake[i-1] {
			chain[i].feed(in)
		}
		in = out
	}
	if s.awake[1] {
		s.twice.feed(in)
	}
	s.scan(&s.shadow, known[0])
	for i, awake := range s.awake {
		if awake {
			v := chain[i+1]
			s.scan(v, known[i+1])
			u := &s.unescapers[i]
			s.awake[i] = len(u.pending) > 0 || u.chained || !v.same(s.model(i+1), s.hold(v))
		}
	}
}

// model returns the view that the i-th of the chain reads while it rests: the
// last before it that is awake.
func (s *views) model(i int) *view {
	if i == 2 && s.awake[0] {
		return &s.once
	}
	return &s.shadow
}

// scan looks at what is new in v. Where that is known to be shallow, the stretches
// that lie in one piece in the stream were looked at there, and hold no head of a
// form.
func (s *views) scan(v *view, known bool) {
	if len(v.text) == 0 && len(v.cuts) == 0 {
		return
	}
	if known && s.skip(v) {
		return
	}
	from := 0
	for _, cut := range append(v.cuts, len(v.text)) {
		v.state, s.hits = s.m.scan(v.state, v.text[from:cut], s.hits[:0], new(depths))
		for _, h := range s.hits {
			end := v.scanned + int64(from+h.end)
			s.m.each(h, func(f formInfo) {
				if f.length < minListed && (v == &s.hex || v == &s.decimal) {
					return
				}
				s.found(occurrence{
					start: v.offsets.start(end - int64(f.length)),
					end:   v.offsets.end(end - 1),
					label: f.label,
				})
			})
		}
		if from = cut; cut < len(v.text) {
			v.state = root
		}
	}
	if n := len(v.cuts); n > 0 && v.cuts[n-1] == len(v.text) {
		v.state = root
	}
	s.done(v)
}

// begins reports whether p has the head of a form.
func (s *views) begins(p []byte) bool {
	a, state := s.m.automaton, uint32(root)
	for _, c := range p {
		state = a.step(state, c)
		if n := &a.nodes[state]; int(n.hold) >= s.m.filter.reach+gram || n.match() != 0 {
			return true
		}
	}
	return false
}

// done drops what was scanned.
func (s *views) done(v *view) {
	v.scanned += int64(len(v.text))
	v.text, v.cuts = v.text[:0], v.cuts[:0]
	if len(v.offsets.segments) > 0 {
		v.offsets.forget(v.scanned - int64(max(s.hold(v), 1)))
	}
}

// skip looks for the head of a form where what is new in v begins, and where it does
// not lie in one piece in the stream. It reports false if there may be one, and has
// done nothing then.
func (s *views) skip(v *view) bool {
	a, f, head := s.m.automaton, &s.m.filter, s.m.filter.reach+gram
	p := v.text
	if len(p) < 2*head || int(s.hold(v)) >= head {
		return false
	}
	state := v.state
	for _, c := range p[:head-1] {
		state = a.step(state, c)
		if n := &a.nodes[state]; int(n.hold) >= head || n.match() != 0 {
			return false
		}
	}
	last := -1 // the last gram looked at
	segments := v.offsets.segments
	for _, g := range segments[v.offsets.find(v.scanned)+1:] {
		border := int(g.view - v.scanned)
		end := min(border+head-1, len(p))
		for i := max(last, border-head) + f.reach + 1; i+gram <= end; i += f.reach + 1 {
			last = i
			if f.has(p[i:]) && s.begins(p[max(i-f.reach, 0):min(i+head, len(p))]) {
				return false
			}
		}
	}
	state = root
	for _, c := range p[len(p)-head+1:] {
		state = a.step(state, c)
	}
	v.state = state
	s.done(v)
	return true
}

func (s *views) hold(v *view) uint32 { return s.m.automaton.nodes[v.state].hold }

// finish takes the end of the stream, which ends at at.
func (s *views) finish(at int64) {
	s.shallow = false
	s.events[0] = s.strip.finish(at, s.events[0][:0])
	s.decode(true, s.events[0], true)
	s.lists.feed(s.events[0])
	s.lists.finish()
	s.dumps.feed(s.events[0])
	s.dumps.finish()
	for _, v := range s.all() {
		v.finish()
		s.scan(v, false)
	}
}

// live returns the position before which no occurrence can begin any more in
// any view, of the stream up to limit; and how many bytes of an occurrence there
// may be so far.
func (s *views) live(limit int64) (live int64, hold uint32) {
	live = limit - int64(len(s.strip.half))
	for i, v := range s.all() {
		if (i == 1 || i == 2) && !s.awake[i-1] {
			continue
		}
		h := s.hold(v)
		if h > 0 {
			live = min(live, v.offsets.start(v.scanned-int64(h)))
		}
		hold = max(hold, h)
		live = v.waits(s.m.automaton, live)
	}
	for i := range s.unescapers {
		if p := s.unescapers[i].pending; len(p) > 0 {
			live = min(live, p[0].at)
		}
	}
	live = s.lists.waits(live)
	live, n := s.dumps.waits(live)
	for _, v := range []*view{&s.first, &s.second} {
		if n > 0 {
			hold = max(hold, s.hold(v)+uint32(n))
		}
	}
	return live, hold
}

// wipe overwrites what the views hold of the stream.
func (s *views) wipe() {
	for _, v := range s.all() {
		clear(v.text[:cap(v.text)])
		clear(v.blanks[:cap(v.blanks)])
		v.text, v.blanks = nil, nil
	}
	for i := range s.unescapers {
		u := &s.unescapers[i]
		clear(u.bytes[:cap(u.bytes)])
		clear(u.pending[:cap(u.pending)])
	}
	clear(s.decoded[:cap(s.decoded)])
	clear(s.lists.text[:cap(s.lists.text)])
	clear(s.dumps.line[:cap(s.dumps.line)])
	for i := range s.events {
		clear(s.events[i][:cap(s.events[i])])
	}
	s.events = [3][]event{}
	s.hits = slices.Delete(s.hits, 0, len(s.hits))
}
