package keyturn

import "iter"

// Nearest returns the word of words that s is most probably a slip of; "" where
// none is close: two letters may differ, in a long one a few more. Folders that two
// paths share do not count.
func Nearest(s string, words iter.Seq[string]) string {
	best, least := "", len(s)+3
	for w := range words {
		from := 0
		for i := 0; i < min(len(s), len(w)) && s[i] == w[i]; i++ {
			if s[i] == '/' {
				from = i + 1
			}
		}
		limit := min(least, 3+len(s[from:])/8)
		if d := editDistance(s[from:], w[from:], limit); d < limit && d < len(w[from:]) {
			best, least = w, d
		}
	}
	return best
}

// editDistance counts the letters to insert, drop or change, or returns limit
// where there are no fewer.
func editDistance(a, b string, limit int) int {
	x, y := []rune(a), []rune(b)
	if len(x) > 256 || len(x)-len(y) >= limit || len(y)-len(x) >= limit {
		return limit
	}
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		diagonal := row[0]
		row[0] = i + 1
		smallest := row[0]
		for j := range y {
			cost := diagonal
			if x[i] != y[j] {
				cost++
			}
			diagonal, row[j+1] = row[j+1], min(cost, row[j]+1, row[j+1]+1)
			smallest = min(smallest, row[j+1])
		}
		if smallest >= limit {
			return limit
		}
	}
	return row[len(y)]
}
