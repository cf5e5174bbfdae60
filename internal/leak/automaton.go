package leak

import (
	"bytes"
	"cmp"
	"slices"
)

// maxNodes bounds the automaton: 16 bytes each, 134 MB in all. A value of 32
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
	forks []uint32 // where in heads the further children of each fork begin; one entry more than forks
	heads []uint32 // the further children of all forks
	bytes []byte   // the bytes that lead into them
}

// node is kept small, for it is the size of all this: what is met together lies
// in one line of the processor's cache.
type node struct {
	fail uint32 // the longest proper suffix that is a node as well
	hold uint32 // the longest suffix, in bytes, that can still grow into a form
	more uint32 // 1 + the fork that this node is, or 0 if it has but one child, or leaf
	tag  uint32 // the byte that leads here; above it 1 + the longest form that ends here, or 0
}

func (n *node) label() byte   { return byte(n.tag) }
func (n *node) match() uint32 { return n.tag >> 8 }

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
	a := &automaton{nodes: make([]node, size)}
	for i, r := range runs {
		f := forms[i].bytes
		own := a.nodes[r.head:][:len(f)-int(r.shared)]
		for j := range own {
			own[j] = node{hold: r.shared + uint32(j) + 1, tag: uint32(f[int(r.shared)+j])}
		}
		last := &own[len(own)-1]
		last.tag |= uint32(i+1) << 8
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
			a.roots[a.nodes[r.head].label()] = r.head
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
		a.bytes = append(a.bytes, a.nodes[c.head].label())
	}
	a.forks = append(a.forks, uint32(len(further)))
}

// link fills in what each node takes over from its longest suffix, which must be
// complete by then. After round n all nodes of depth n+1 are: what has a longer suffix
// waits for a later round, and the rest of a run is done in one go.
func (a *automaton) link(forms int) {
	todo, wait := make([]uint32, 0, forms), make([]uint32, 0, forms)
	for _, n := range a.roots {
		if n != root {
			todo = append(todo, n)
		}
	}
	for round := uint32(0); len(todo) > 0; round++ {
		wait = wait[:0]
		for i := 0; i < len(todo); i++ {
			for n := todo[i]; ; n++ {
				s := &a.nodes[n]
				suffix := &a.nodes[s.fail]
				if suffix.hold > round { // at most its length; less where it is complete
					wait = append(wait, n)
					break
				}
				if s.match() == 0 {
					s.tag |= suffix.match() << 8
				}
				if s.more == leaf {
					s.hold = suffix.hold
					break
				}
				for _, m := range a.further(s) {
					child := &a.nodes[m]
					child.fail = a.step(s.fail, child.label())
					todo = append(todo, m)
				}
				first := &a.nodes[n+1]
				first.fail = a.step(s.fail, first.label())
			}
		}
		todo, wait = wait, todo
	}
}

// step returns the state after c in state n.
func (a *automaton) step(n uint32, c byte) uint32 {
	for n != root {
		s := &a.nodes[n]
		if s.more != leaf {
			if a.nodes[n+1].label() == c {
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
