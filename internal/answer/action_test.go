package answer

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestDifference(t *testing.T) {
	for what, c := range map[string]struct{ a, b, want string }{
		"same":         {"a\nb\n", "a\nb\n", ""},
		"new":          {"", "a\nb\n", "+ a|+ b"},
		"gone":         {"a\n", "", "- a"},
		"changed":      {"a\nb\nc\n", "a\nx\nc\n", "  a|- b|+ x|  c"},
		"cut":          {"1\n2\n3\n4\n5\n6\n7\n", "1\n2\n3\n4\n5\n6\n8\n", "  5|  6|- 7|+ 8"},
		"cut between":  {"a\n1\n2\n3\n4\n5\nb\n", "x\n1\n2\n3\n4\n5\ny\n", "- a|+ x|  1|  2|  …|  4|  5|- b|+ y"},
		"no last line": {"a", "a\n", ""},
	} {
		if got := strings.Join(ChangedLines(c.a, c.b), "|"); got != c.want {
			t.Errorf("%s: %s", what, got)
		}
	}
}

// The lines that stay and those that come are the new text, those that stay and
// those that go the old one.
func TestDifferenceIsComplete(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "+ x", "- y", "  z"}), 0, 5)
		a, b := lines.Draw(t, "a"), lines.Draw(t, "b")
		text := func(l []string) string {
			if len(l) == 0 {
				return ""
			}
			return strings.Join(l, "\n") + "\n"
		}
		var left, right []string
		got := ChangedLines(text(a), text(b))
		if slices.Equal(a, b) {
			if len(got) > 0 {
				t.Fatalf("%q", got)
			}
			return
		}
		if slices.Contains(got, "  …") || len(a)+len(b) > 6 {
			return // some lines that stay are left out
		}
		for _, l := range got {
			switch l[:2] {
			case "- ":
				left = append(left, l[2:])
			case "+ ":
				right = append(right, l[2:])
			default:
				left, right = append(left, l[2:]), append(right, l[2:])
			}
		}
		// What is left out stays, and is before the first or behind the last change.
		if !contains(a, left) || !contains(b, right) {
			t.Fatalf("%q to %q: %q", a, b, got)
		}
	})
}

// contains reports whether part is one stretch of all.
func contains(all, part []string) bool {
	for i := 0; i+len(part) <= len(all); i++ {
		if slices.Equal(all[i:i+len(part)], part) {
			return true
		}
	}
	return false
}
