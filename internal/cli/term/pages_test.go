package term

import (
	"slices"
	"strings"
	"testing"
)

// TestPagesShowAll: each line is on exactly one page, and no page is higher than the
// terminal.
func TestPagesShowAll(t *testing.T) {
	var lines []string
	for i := range 200 {
		lines = append(lines, strings.Repeat("x", i%170), "", "界界界"+strings.Repeat("y", i%70))
	}
	for _, c := range []struct{ columns, rows int }{{80, 24}, {20, 5}, {160, 40}, {76, 1000}} {
		pages := paged(lines, func() (int, int) { return c.columns, c.rows })
		if got := slices.Concat(pages...); !slices.Equal(got, lines) {
			t.Fatalf("%+v: the pages hold %d lines of %d, or others", c, len(got), len(lines))
		}
		for i, p := range pages {
			rows := 0
			for _, l := range p {
				rows += max(1, (wide(l)+c.columns-1)/c.columns)
			}
			if rows > c.rows-1 && len(p) > 1 {
				t.Errorf("%+v: page %d takes %d rows", c, i, rows)
			}
		}
		if c.rows == 24 && len(pages) < 25 {
			t.Errorf("%d pages", len(pages))
		}
	}
	end := []string{"", "request", "who", "wants"}
	for n := range 60 {
		pages := paged(slices.Concat(lines[:n], end), func() (int, int) { return 80, 24 })
		if last := pages[len(pages)-1]; len(last) < len(end) || !slices.Equal(last[len(last)-len(end):], end) {
			t.Errorf("behind %d lines the last page is %q", n, last)
		}
	}
	if pages := paged(nil, func() (int, int) { return 80, 24 }); len(pages) != 1 || len(pages[0]) != 0 {
		t.Errorf("nothing has the pages %v", pages)
	}
}
