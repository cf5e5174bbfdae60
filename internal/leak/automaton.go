package leak

import (
	"bytes"
	"cmp"
	"slices"
)

// maxNodes bounds the automaton: 17 bytes each, 143 MB in all. A value of 32
// bytes takes some 1,200, a 4096-bit RSA key 84,000, 128 KiB up to 4.5 million.
const maxNodes = 8 << 20

// root is the state in which no form is under way.
const root = 0

// automaton is an Aho–Corasick matcher. Its states are the nodes of the trie
// of all forms, numbered in breadth-first order, so that the children of a
// node are neighbours and lie between first[n] and first[n+1]. Failure links
// are followed at run time: a table of all transitions would be faster on
// hostile input and some hundred times larger.
type automaton struct {
	roots [256]uint32 // transitions from the root
	label []byte      // the byte that leads into a node
	first []uint32    // the first child of a node; one entry more than nodes
	fail  []uint32    // the longest proper suffix that is a node as well
	hold  []uint32    // the longest suffix, in bytes, that can still grow into a form
	match []uint32    // 1 + the longest form that ends here, or 0
}

// compileAutomaton builds the automaton of forms, which must be sorted and
// distinct. It reports false if that takes more than maxNodes states.
func compileAutomaton(forms []form) (*automaton, bool) {
	type span struct{ lo, hi, depth uint32 } // the forms that begin with a node's bytes
	size := nodes(forms)
	if size > maxNodes {
		return nil, false
	}
	a := &automaton{label: make([]byte, 1, size), fail: make([]uint32, 1, size), first: make([]uint32, 0, size+1),
		match: make([]uint32, 0, size), hold: make([]uint32, 0, size)}
	spans := append(make([]span, 0, size), span{0, uint32(len(forms)), 0})
	for n := 0; n < len(spans); n++ {
		s := spans[n]
		fail := a.fail[n]
		a.first = append(a.first, uint32(len(spans)))
		match, hold := uint32(0), uint32(0)
		if n != root {
			match, hold = a.match[fail], a.hold[fail]
		}
		if s.lo < s.hi && len(forms[s.lo].bytes) == int(s.depth) {
			s.lo++
			match = s.lo
		}
		if s.lo < s.hi {
			hold = s.depth
		}
		a.match = append(a.match, match)
		a.hold = append(a.hold, hold)
		for s.lo < s.hi {
			c := forms[s.lo].bytes[s.depth]
			hi := s.lo + 1
			for hi < s.hi && forms[hi].bytes[s.depth] == c {
				hi++
			}
			child := uint32(len(spans))
			spans = append(spans, span{s.lo, hi, s.depth + 1})
			a.label = append(a.label, c)
			if n == root {
				a.roots[c] = child
				a.fail = append(a.fail, root)
			} else {
				a.fail = append(a.fail, a.step(fail, c))
			}
			s.lo = hi
		}
	}
	a.first = append(a.first, uint32(len(spans)))
	return a, true
}

// nodes counts what the trie of sorted forms will have, its root included: each form
// adds what it does not share with the one before.
func nodes(forms []form) int {
	n := 1
	for i, f := range forms {
		shared := 0
		for i > 0 && shared < min(len(f.bytes), len(forms[i-1].bytes)) && f.bytes[shared] == forms[i-1].bytes[shared] {
			shared++
		}
		n += len(f.bytes) - shared
	}
	return n
}

// step returns the state after c in state n.
func (a *automaton) step(n uint32, c byte) uint32 {
	for n != root {
		lo, hi := a.first[n], a.first[n+1]
		for lo < hi {
			mid := (lo + hi) / 2
			switch l := a.label[mid]; {
			case l == c:
				return mid
			case l < c:
				lo = mid + 1
			default:
				hi = mid
			}
		}
		n = a.fail[n]
	}
	return a.roots[c]
}

// sortForms sorts forms and drops repetitions, keeping the first needle's.
func sortForms(forms []form) []form {
	slices.SortFunc(forms, func(a, b form) int {
		return cmp.Or(bytes.Compare(a.bytes, b.bytes), cmp.Compare(a.label, b.label))
	})
	return slices.CompactFunc(forms, func(a, b form) bool { return bytes.Equal(a.bytes, b.bytes) })
}
