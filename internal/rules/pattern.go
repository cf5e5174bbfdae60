package rules

import (
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
)

// Limits of a pattern.
const (
	maxPattern  = 2500 // bytes
	maxSegments = 128
)

// Wildcards, as segments.
const (
	single = "*"  // one segment
	deep   = "**" // any number of segments, none included
)

// Pattern matches canonical paths, "local/myapp/db" ([keyturn.Ref.Path]), segment
// by segment: "*" is exactly one segment, "**" any number of them, none
// included, and every other segment is itself. The first segment is the mount.
// The empty path, of an operation without references, is matched by "**" only.
//
// No name has a segment "*" or "**", so patterns and names cannot be mixed up. A
// star inside a segment is written %2A. The zero Pattern matches nothing.
type Pattern struct {
	segments []string // literals as Ref.Path spells them
}

// ParsePattern reads a pattern. It is Invalid where a literal segment is not in
// the canonical spelling of names, since it could then never match.
func ParsePattern(s string) (Pattern, error) {
	bad := func(why, hint string) (Pattern, error) {
		return Pattern{}, keyturn.E(keyturn.Invalid, quote(s)+" is not a pattern: "+why, hint)
	}
	switch {
	case s == "":
		return bad("it is empty", "write MOUNT/NAME, with * for one segment and ** for any number; '**' is everything")
	case len(s) > maxPattern:
		return bad("it is too long", "a pattern may have 2500 bytes")
	case strings.HasPrefix(s, keyturn.Scheme):
		return bad("it has a scheme", "leave "+keyturn.Scheme+" out")
	case strings.HasSuffix(s, "/"):
		return bad("it ends in a slash", "write "+quote(s+"**")+" for everything below")
	}
	parts := strings.Split(s, "/")
	if len(parts) > maxSegments {
		return bad("it has too many segments", "a pattern may have 128; ** stands for any number")
	}
	var out []string
	for i, part := range parts {
		if part == single || part == deep {
			if part == deep && len(out) > 0 && out[len(out)-1] == deep {
				continue // twice any number is any number
			}
			out = append(out, part)
			continue
		}
		if strings.Contains(part, "*") {
			return bad("'*' stands for a whole segment", "write * or ** between slashes; a star in a name is written %2A")
		}
		lit := strings.ReplaceAll(part, "%2A", "*")
		if why, hint := checkSegment(lit, i == 0); why != "" {
			return bad(why, hint)
		}
		out = append(out, lit)
	}
	return Pattern{segments: out}, nil
}

// checkSegment says why seg cannot be a segment of a canonical path.
func checkSegment(seg string, mount bool) (why, hint string) {
	probe := "m/" + seg
	if mount {
		probe = seg + "/x"
	}
	r, err := keyturn.ParseRef(probe)
	if err == nil && r.Path() == probe {
		return "", ""
	}
	if mount {
		return "its first segment is no mount", "a mount is named with a-z, 0-9 and -, beginning with a letter"
	}
	if strings.ContainsAny(seg, "?#") {
		return "patterns are about secrets, not about versions or fields", "leave ? and # out; in a name they are written %3F and %23"
	}
	if n, err := keyturn.NewRef("m", seg); err == nil && !strings.Contains(seg, "%") {
		return "a segment is not in canonical form", "write " + strings.TrimPrefix(n.Path(), "m/")
	}
	if e := keyturn.AsError(err); e != nil && e.Hint != "" && !strings.Contains(seg, "%") {
		return "a segment could never be part of a name", e.Hint
	}
	return "a segment is not in canonical form", "escaped are %, ?, #, space and control characters only, as %XX in upper case"
}

// Literal returns the pattern that matches a canonical path ([keyturn.Ref.Path]) and
// nothing else; for "**" it returns the pattern that matches everything, and for any
// other text the zero Pattern.
func Literal(path string) Pattern {
	if path == deep {
		return Pattern{segments: []string{deep}}
	}
	if path == "" || !canonical(path) {
		return Pattern{}
	}
	return Pattern{segments: strings.Split(path, "/")}
}

// patternOf returns the pattern with these segments, which are not checked.
func patternOf(segments []string) Pattern { return Pattern{segments: segments} }

// first returns the first segment of p, a mount's name or a wildcard.
func (p Pattern) first() string { return p.segments[0] }

// String returns what ParsePattern reads; "" for the zero Pattern.
func (p Pattern) String() string {
	out := slices.Clone(p.segments)
	for i, seg := range out {
		if seg != single && seg != deep {
			out[i] = strings.ReplaceAll(seg, "*", "%2A")
		}
	}
	return strings.Join(out, "/")
}

// Match reports whether p matches a canonical path. It takes at most
// len(pattern) × len(path) steps: only the last "**" is ever tried again.
func (p Pattern) Match(path string) bool { return p.matchPath(splitPath(path)) }

// matchPath is Match for a path that is cut into segments.
func (p Pattern) matchPath(path []string) bool {
	if len(p.segments) == 0 {
		return false
	}
	i, j, star, mark := 0, 0, -1, 0
	for j < len(path) {
		switch {
		case i < len(p.segments) && p.segments[i] == deep:
			star, mark = i, j
			i++
		case i < len(p.segments) && (p.segments[i] == path[j] || p.segments[i] == single && path[j] != ""):
			i, j = i+1, j+1
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p.segments) && p.segments[i] == deep {
		i++
	}
	return i == len(p.segments)
}

// after returns for each i whether p.segments[:i] can match all of words, so that
// p.segments[i:] is still to be matched. The words may be those of another pattern:
// its wildcards are matched by wildcards only, which errs on the safe side.
func (p Pattern) after(words []string) []bool {
	n := len(p.segments)
	now := make([]bool, n+1)
	now[0] = n > 0
	p.skip(now)
	for _, w := range words {
		next := make([]bool, n+1)
		for i := range n {
			if !now[i] {
				continue
			}
			switch seg := p.segments[i]; {
			case seg == deep:
				next[i] = true
			case w != deep && (seg == single || seg == w):
				next[i+1] = true
			}
		}
		p.skip(next)
		now = next
	}
	return now
}

// skip adds the place behind each "**", which may match nothing.
func (p Pattern) skip(at []bool) {
	for i, seg := range p.segments {
		if at[i] && seg == deep {
			at[i+1] = true
		}
	}
}

// Reaches reports whether p could match something at or below the path.
func (p Pattern) Reaches(path []string) bool { return slices.Contains(p.after(path), true) }

// Covers reports whether p surely matches everything that q matches.
func (p Pattern) Covers(q Pattern) bool {
	return len(q.segments) > 0 && p.after(q.segments)[len(p.segments)] && len(p.segments) > 0
}

// everythingUnder returns the pattern for everything at and below path.
func everythingUnder(path []string) Pattern {
	return Pattern{segments: append(slices.Clone(path), deep)}
}

// splitPath cuts a path into segments; none for the empty path.
func splitPath(path string) []string {
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// canonical reports whether rules can decide about path: it is empty, a mount's
// name, or as keyturn.Ref.Path spells it. Any other text could be a second spelling
// that slips past a never.
func canonical(path string) bool {
	if path == "" {
		return true
	}
	if strings.Contains(path, "/") {
		r, err := keyturn.ParseRef(path)
		return err == nil && r.Path() == path
	}
	p, err := keyturn.ParsePrefix(path)
	return err == nil && p.Mount() == path
}
