package leak

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestNodes: the count that memory is taken for is the count that is needed.
func TestNodes(t *testing.T) {
	for want, texts := range map[int][]string{
		1: nil, 4: {"abc"}, 6: {"abc", "abcde"}, 7: {"abc", "abd", "bc"}, 9: {"a", "b", "ba", "bab", "c", "ca", "cab", "cabd"},
	} {
		var forms []form
		for i, s := range texts {
			forms = append(forms, form{[]byte(s), uint32(i)})
		}
		a, ok := compileAutomaton(sortForms(forms))
		if !ok || len(a.nodes) != want {
			t.Fatalf("%q: %d nodes, want %d", texts, len(a.nodes), want)
		}
	}
}

// TestLinks holds every node against what its definition says, for random forms of
// few letters, which share and repeat much.
func TestLinks(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		var forms []form
		for i := range 1 + rng.IntN(12) {
			b := make([]byte, 1+rng.IntN(14))
			for j := range b {
				b[j] = "ab\x00\xff"[rng.IntN(1+rng.IntN(4))]
			}
			forms = append(forms, form{b, uint32(i)})
		}
		forms = sortForms(forms)
		a, _ := compileAutomaton(forms)
		at := map[string]uint32{"": root} // by walking, without failure links
		for _, f := range forms {
			n := uint32(root)
			for d, c := range f.bytes {
				n = a.step(n, c)
				at[string(f.bytes[:d+1])] = n
			}
		}
		if len(at) != len(a.nodes) {
			t.Fatalf("%d nodes for %d beginnings of %v", len(a.nodes), len(at), forms)
		}
		for text, n := range at {
			if n == root {
				continue
			}
			var want node
			for from := 1; ; from++ {
				if m, ok := at[text[from:]]; ok {
					want.fail = m
					break
				}
			}
			for i, f := range forms {
				if s := string(f.bytes); strings.HasSuffix(text, s) && (want.match() == 0 || len(s) > len(forms[want.match()-1].bytes)) {
					want.tag = uint32(i+1) << 8
				}
				for d := 1; d < len(f.bytes); d++ {
					if strings.HasSuffix(text, string(f.bytes[:d])) {
						want.hold = max(want.hold, uint32(d))
					}
				}
			}
			if got := a.nodes[n]; got.fail != want.fail || got.hold != want.hold || got.match() != want.match() {
				t.Fatalf("%q of %v: %+v, want %+v", text, forms, got, want)
			}
		}
	}
}
