package leak

import (
	"bytes"
	"errors"
	"sync/atomic"
)

// Errors of this package. None of them holds a value.
var (
	// ErrTooLarge says that the values are too many or too long for the
	// memory that redaction may use. The caller must withhold the output.
	ErrTooLarge = errors.New("leak: the values to redact are too large")

	// ErrWiped says that a Writer was used after Matcher.Wipe.
	ErrWiped = errors.New("leak: the matcher is wiped")

	// ErrClosed says that a Writer was used after Close.
	ErrClosed = errors.New("leak: the writer is closed")
)

// Matcher finds the forms of a set of needles. Until Wipe it does not change
// and may be shared by any number of Writers and goroutines.
type Matcher struct {
	automaton *automaton
	filter    filter
	forms     []formInfo
	markers   []string // by needle
	apart     []bool   // by needle; nil where none is
	longest   int      // bytes in the longest form
	wiped     atomic.Bool
}

// formInfo is what remains of a form beside the automaton.
type formInfo struct{ length, label uint32 }

// Compile prepares the redaction of needles. It returns the needles that are
// not redacted, or not wholly, because their values or secret parts of them are
// too short or too common, for the caller to name to the user; empty values are ignored. Where two needles have
// the same value, the first one's label is used. The only error is
// ErrTooLarge; there is no Matcher then and nothing may be shown.
func Compile(needles []Needle) (*Matcher, []Skipped, error) {
	var set formSet
	var skipped []Skipped
	m := &Matcher{markers: make([]string, len(needles))}
	for i, n := range needles {
		label := cleanLabel(n.Label)
		m.markers[i] = marker(label)
		if len(n.Value) == 0 {
			continue
		}
		reason := weakness(n.Value)
		if reason == "" && n.Strong && !n.Open && Bits(bytes.TrimSpace(n.Value)) < MinBits {
			reason = TooWeak
		}
		if reason != "" {
			skipped = append(skipped, Skipped{i, label, reason})
			continue
		}
		if n.Apart {
			if m.apart == nil {
				m.apart = make([]bool, len(needles))
			}
			m.apart[i] = true
		}
		set.strong, set.open = n.Strong, n.Open
		if reason := set.addNeedle(n.Value, uint32(i)); reason != "" {
			skipped = append(skipped, Skipped{i, label, reason})
		}
	}
	defer set.wipe()
	if set.size > maxBytes || !m.build(set.forms) {
		return nil, skipped, ErrTooLarge
	}
	return m, skipped, nil
}

// build makes a Matcher of forms, and of the markers that are there already.
func (m *Matcher) build(forms []form) bool {
	forms = sortForms(forms)
	for _, f := range forms {
		m.forms = append(m.forms, formInfo{uint32(len(f.bytes)), f.label})
		m.longest = max(m.longest, len(f.bytes))
	}
	m.filter = compileFilter(forms)
	var ok bool
	if m.automaton, ok = compileAutomaton(forms); !ok {
		return false
	}
	for i, text := range m.markers {
		if _, hits := m.scan(root, []byte(text), nil, new(depths)); len(hits) > 0 {
			m.markers[i] = marker("")
		}
	}
	return true
}

func marker(label string) string {
	if label == "" {
		return "[redacted]"
	}
	return "[redacted:" + label + "]"
}

// Redact returns p with all occurrences replaced, as a Writer would write it.
// It panics if m is wiped.
func (m *Matcher) Redact(p []byte) []byte {
	var out bytes.Buffer
	w := m.Writer(&out, Options{Idle: -1})
	if _, err := w.Write(p); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// Wipe overwrites the forms. No Writer may be in use at that time; afterwards
// every Write fails with ErrWiped and nothing is shown any more.
//
// This is the best that can be done here, not a guarantee: the memory is not
// locked and may have been swapped out, and the standard library's encoders,
// the runtime's stack copies and the child itself leave traces that nobody
// can reach.
func (m *Matcher) Wipe() {
	m.wiped.Store(true)
	a := m.automaton
	clear(a.bytes)
	clear(a.roots[:])
	clear(a.nodes)
	clear(a.forks)
	clear(a.heads)
	clear(m.filter.set)
	clear(m.forms)
}

// hit says that a form ends before the offset end.
type hit struct {
	end   int
	form  formInfo
	state uint32
}

// each calls do for the form of h, and where needles stand apart for each shorter form that
// ends at the same place.
func (m *Matcher) each(h hit, do func(formInfo)) {
	do(h.form)
	if m.apart == nil {
		return
	}
	a, last := m.automaton, h.form
	for n := a.nodes[h.state].fail; n != root; n = a.nodes[n].fail {
		if f := a.nodes[n].match(); f != 0 && m.forms[f-1] != last {
			last = m.forms[f-1]
			do(last)
		}
	}
}

// depths says where in up to a block the whole head of a form, the bytes that the
// filter knows, ends and the form goes on: a bit for each cell of 512 bytes.
type depths uint64

func (d *depths) add(at int) { *d |= 1 << (max(at, 0) / (block / 64) % 64) }

// within reports whether a head ends from start on and before end.
func (d depths) within(start, end int) bool {
	for cell := start / (block / 64); cell <= (end-1)/(block/64); cell++ {
		if d>>(cell%64)&1 != 0 {
			return true
		}
	}
	return false
}

// scan continues from state over p, appends the longest form that ends at
// each position to hits, and returns the new state. A hit may be repeated.
func (m *Matcher) scan(state uint32, p []byte, hits []hit, deep *depths) (uint32, []hit) {
	a := m.automaton
	head := m.filter.reach + gram
	guard := 0 // the filter has nothing to say about starts before this
	for i := 0; i < len(p); {
		hold := int(a.nodes[state].hold)
		if hold >= head {
			deep.add(i - 1)
		}
		if start := i - hold; start >= guard {
			next := m.filter.skip(p, start)
			guard = next + m.filter.reach + 1
			if next > start {
				state, i = root, next
				if i >= len(p) {
					break
				}
			}
		}
		state = a.step(state, p[i])
		i++
		if f := a.nodes[state].match(); f != 0 {
			hits = append(hits, hit{i, m.forms[f-1], state})
		}
	}
	if int(a.nodes[state].hold) >= head {
		deep.add(len(p) - 1)
	}
	return state, hits
}
