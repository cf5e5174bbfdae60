package secret

import (
	"path"
	"strings"

	"github.com/keyturn/keyturn"
)

// glob is a pattern of names: the segments as path.Match takes them, and "**"
// for any number of segments.
type glob []string

const maxGlob = 64 // segments

func parseGlob(s string) (glob, error) {
	g := glob(strings.Split(s, "/"))
	bad := func(why string) (glob, error) {
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

// match takes time in the product of both lengths, whatever the pattern.
func (g glob) match(name string) bool {
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
