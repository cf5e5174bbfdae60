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
// of all forms, numbered depth first: the forms are sorted, so each adds one run
// of nodes, for the bytes that it does not share with the form before, and the
// first child of node n is n+1. Failure links are followed at run time: a table
// of all transitions would be faster on hostile input and some hundred times
// larger.
type automaton struct {
	roots [256]uint32 // transitions from the root
	nodes []node
	label []byte   // the byte that leads into a node
	forks []uint32 // where in heads the further children of each fork begin; one entry more than forks
	heads []uint32 // the further children of all forks
	bytes []byte   // the bytes that lead into them
}

type node struct {
	fail  uint32 // the longest proper suffix that is a node as well
	hold  uint32 // the longest suffix, in bytes, that can still grow into a form
	match uint32 // 1 + the longest form that ends here, or 0
	more  uint32 // 1 + the fork that this node is, or 0 if it has but one child, or leaf
}

// leaf is a node without children.
const leaf = ^uint32(0)

// run is the nodes of one form that no form before it has.
type run struct {
	head   uint32 // the first of them
	shared uint32 // how many bytes of the form lie before it
}

// compileAutomaton builds the automaton of forms, which must be sorted and
// distinct. It reports false if that takes more than maxNodes states.
func compileAutomaton(forms []form) (*automaton, bool) {
	runs, size := runsOf(forms)
	if size > maxNodes {
		return nil, false
	}
	a := &automaton{nodes: make([]node, size), label: make([]byte, size)}
	for i, r := range runs {
		f := forms[i].bytes
		copy(a.label[r.head:], f[r.shared:])
		last := &a.nodes[int(r.head)+len(f)-int(r.shared)-1]
		last.match = uint32(i + 1)
		if i+1 == len(runs) || int(runs[i+1].shared) < len(f) {
			last.more = leaf
		}
	}
	a.branch(runs)
	a.link(len(runs))
	return a, true
}

// runsOf returns the run of each form, and how many nodes there are, the root included.
func runsOf(forms []form) ([]run, int) {
	runs, size := make([]run, len(forms)), 1
	for i, f := range forms {
		shared := 0
		for i > 0 && shared < min(len(f.bytes), len(forms[i-1].bytes)) && f.bytes[shared] == forms[i-1].bytes[shared] {
			shared++
		}
		runs[i] = run{uint32(size), uint32(shared)}
		if size += len(f.bytes) - shared; size > maxNodes {
			break
		}
	}
	return runs, size
}

// branch hangs the runs up: below the root, or below a node of an earlier run.
func (a *automaton) branch(runs []run) {
	type child struct{ depth, parent, head uint32 }
	var further []child
	var path []run // that lead to the end of the form before, each longer than the one before
	for _, r := range runs {
		for len(path) > 0 && path[len(path)-1].shared >= r.shared {
			path = path[:len(path)-1]
		}
		if len(path) == 0 {
			a.roots[a.label[r.head]] = r.head
		} else {
			on := path[len(path)-1]
			if parent := on.head + r.shared - on.shared - 1; parent+1 < r.head {
				further = append(further, child{r.shared, parent, r.head})
			}
		}
		path = append(path, r)
	}
	slices.SortFunc(further, func(a, b child) int { // those that are met most lie together
		return cmp.Or(cmp.Compare(a.depth, b.depth), cmp.Compare(a.parent, b.parent))
	})
	for i, c := range further {
		if i == 0 || further[i-1].parent != c.parent {
			a.forks = append(a.forks, uint32(i))
			a.nodes[c.parent].more = uint32(len(a.forks))
		}
		a.heads = append(a.heads, c.head)
		a.bytes = append(a.bytes, a.label[c.head])
	}
	a.forks = append(a.forks, uint32(len(further)))
}

// link fills in what each node takes over from its suffixes, level by level.
func (a *automaton) link(forms int) {
	level, next := make([]uint32, 0, forms), make([]uint32, 0, forms)
	for _, n := range a.roots {
		if n != root {
			level = append(level, n)
		}
	}
	for depth := uint32(1); len(level) > 0; depth++ {
		next = next[:0]
		for _, n := range level {
			s := &a.nodes[n]
			suffix := &a.nodes[s.fail]
			if s.match == 0 {
				s.match = suffix.match
			}
			if s.more == leaf {
				s.hold = suffix.hold
				continue
			}
			s.hold = depth
			a.nodes[n+1].fail = a.step(s.fail, a.label[n+1])
			next = append(next, n+1)
			for _, m := range a.further(s) {
				a.nodes[m].fail = a.step(s.fail, a.label[m])
				next = append(next, m)
			}
		}
		level, next = next, level
	}
}

// step returns the state after c in state n.
func (a *automaton) step(n uint32, c byte) uint32 {
	for n != root {
		s := &a.nodes[n]
		if s.more != leaf {
			if a.label[n+1] == c {
				return n + 1
			}
			if s.more != 0 {
				lo, hi := a.forks[s.more-1], a.forks[s.more]
				if i := bytes.IndexByte(a.bytes[lo:hi], c); i >= 0 {
					return a.heads[lo+uint32(i)]
				}
			}
		}
		n = s.fail
	}
	return a.roots[c]
}

// further returns all children of n but its first.
func (a *automaton) further(s *node) []uint32 {
	if s.more == 0 || s.more == leaf {
		return nil
	}
	return a.heads[a.forks[s.more-1]:a.forks[s.more]]
}

// sortForms sorts forms and drops repetitions, keeping the first needle's.
func sortForms(forms []form) []form {
	slices.SortFunc(forms, func(a, b form) int {
		return cmp.Or(bytes.Compare(a.bytes, b.bytes), cmp.Compare(a.label, b.label))
	})
	return slices.CompactFunc(forms, func(a, b form) bool { return bytes.Equal(a.bytes, b.bytes) })
}
