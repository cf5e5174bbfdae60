package parse

import (
	"path"
	"strings"

	"github.com/keyturn/keyturn"
)

// Pattern is a pattern for names, by segments: each is a pattern of path.Match, or "**",
// which stands for any number of segments.
type Pattern []string

const maxGlob = 64 // segments of a pattern

// Glob reads a pattern: "*/db", "**/prod-?".
func Glob(s string) (Pattern, error) {
	g := Pattern(strings.Split(s, "/"))
	bad := func(why string) (Pattern, error) {
		return nil, keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(s)+"' is not a pattern: "+why,
			"for instance --match '*/db' or --match '**/prod-?'; it takes the name below the mount")
	}
	if len(g) > maxGlob {
		return bad("it has too many segments")
	}
	for _, seg := range g {
		switch {
		case seg == "":
			return bad("it has an empty segment")
		case seg != "**" && strings.Contains(seg, "**"):
			return bad("** stands for whole segments")
		}
		if _, err := path.Match(seg, ""); err != nil {
			return bad("a bracket or a backslash is not ended")
		}
	}
	return g, nil
}

// Match reports whether the pattern matches the whole name. It takes time in the product
// of both lengths, whatever the pattern.
func (g Pattern) Match(name string) bool {
	segments := strings.Split(name, "/")
	// from[i] tells whether the segments from i on match what is left of g.
	from := make([]bool, len(segments)+1)
	from[len(segments)] = true
	for k := len(g) - 1; k >= 0; k-- {
		next := make([]bool, len(segments)+1)
		for i := len(segments); i >= 0; i-- {
			switch {
			case g[k] == "**":
				next[i] = from[i] || i < len(segments) && next[i+1]
			case i < len(segments) && from[i+1]:
				next[i], _ = path.Match(g[k], segments[i])
			}
		}
		from = next
	}
	return from[0]
}
