package term

import (
	"slices"
	"strings"
	"unicode"
)

// match is an item that a pattern matches, and how well.
type match struct {
	index int // of the item
	score int
}

// filter returns the items that match every word of a pattern, the best first;
// of two that match as well the shorter, then the one that was there before. An
// empty pattern matches all, in their order.
func filter(items []string, pattern string) []match {
	words := strings.Fields(pattern)
	out := make([]match, 0, len(items))
	for i, item := range items {
		total, ok := 0, true
		for _, w := range words {
			s, found := score(item, w)
			if ok = found; !ok {
				break
			}
			total += s
		}
		if ok {
			out = append(out, match{i, total})
		}
	}
	if len(words) > 0 {
		slices.SortStableFunc(out, func(a, b match) int {
			if a.score != b.score {
				return b.score - a.score
			}
			return len(items[a.index]) - len(items[b.index])
		})
	}
	return out
}

// The worth of a letter that is found.
const (
	worthLetter = 1
	worthNext   = 4 // right behind the one before
	worthBegin  = 6 // at the beginning of a word of the name
	worthCase   = 1 // capital where a capital was typed
)

// score tells whether the letters of word are in name in their order, and how well
// they are: the more of them stand together, and at the beginnings of words, the
// better. Small letters match capitals, and not the other way round.
//
// best[j] is the best score of all letters so far with the last one at name's j-th
// place; each letter is one pass, so that the best way of all is found.
func score(name, word string) (int, bool) {
	n, w := []rune(name), []rune(word)
	if len(w) == 0 {
		return 0, true
	}
	if len(w) > len(n) || len(n) > 4096 {
		return 0, false
	}
	const none = -1
	best := make([]int, len(n))
	next := make([]int, len(n))
	for i, letter := range w {
		before := none // the best of all places left of the one before j
		for j := range n {
			next[j] = none
			if j > 1 {
				before = max(before, best[j-2])
			}
			if !same(n[j], letter) {
				continue
			}
			worth := worthLetter
			if begins(n, j) {
				worth += worthBegin
			}
			if n[j] == letter && unicode.IsUpper(letter) {
				worth += worthCase
			}
			switch {
			case i == 0:
				next[j] = worth
			default:
				if before > none {
					next[j] = before + worth
				}
				if j > 0 && best[j-1] > none {
					next[j] = max(next[j], best[j-1]+worth+worthNext)
				}
			}
		}
		best, next = next, best
	}
	top := slices.Max(best)
	return top, top > none
}

func same(in, typed rune) bool { return in == typed || unicode.ToLower(in) == typed }

// begins reports whether a word of the name begins at its j-th letter.
func begins(n []rune, j int) bool {
	if j == 0 {
		return true
	}
	before := n[j-1]
	return !unicode.IsLetter(before) && !unicode.IsDigit(before) || unicode.IsUpper(n[j]) && unicode.IsLower(before)
}
