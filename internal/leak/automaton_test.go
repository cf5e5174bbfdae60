package leak

import "testing"

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
