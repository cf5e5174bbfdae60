// Package pattern matches the paths of secrets. It is pure.
package pattern

import (
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/rules/quote"
)

// Limits of a pattern.
const (
	MaxLength   = 2500 // bytes
	MaxSegments = 128
)

// Wildcards, as segments.
const (
	Single = "*"  // one segment
	Deep   = "**" // any number of segments, none included
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

// Parse reads a pattern. It is Invalid where a literal segment is not in
// the canonical spelling of names, since it could then never match.
func Parse(s string) (Pattern, error) {
	bad := func(why, hint string) (Pattern, error) {
		return Pattern{}, keyturn.E(keyturn.Invalid, quote.Text(s)+" is not a pattern: "+why, hint)
	}
	switch {
	case s == "":
		return bad("it is empty", "write MOUNT/NAME, with * for one segment and ** for any number; '**' is everything")
	case len(s) > MaxLength:
		return bad("it is too long", "a pattern may have 2500 bytes")
	case strings.HasPrefix(s, keyturn.Scheme):
		return bad("it has a scheme", "leave "+keyturn.Scheme+" out")
	case strings.HasSuffix(s, "/"):
		return bad("it ends in a slash", "write "+quote.Text(s+"**")+" for everything below")
	}
	parts := strings.Split(s, "/")
	if len(parts) > MaxSegments {
		return bad("it has too many segments", "a pattern may have 128; ** stands for any number")
	}
	var out []string
	for i, part := range parts {
		if part == Single || part == Deep {
			if part == Deep && len(out) > 0 && out[len(out)-1] == Deep {
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

// Literal returns the pattern that matches path only, which must be canonical
// ([keyturn.Ref.Path]); and for "**" that which matches everything. For any
// other text it returns the zero Pattern.
func Literal(path string) Pattern {
	if path == Deep {
		return Pattern{segments: []string{Deep}}
	}
	if path == "" || !Canonical(path) {
		return Pattern{}
	}
	return Pattern{segments: strings.Split(path, "/")}
}

// Of is the pattern of these segments, which need not be those of a name.
func Of(segments []string) Pattern { return Pattern{segments: segments} }

// First is the first segment of p, the mount or a wildcard.
func (p Pattern) First() string { return p.segments[0] }

// String returns what Parse reads; "" for the zero Pattern.
func (p Pattern) String() string {
	out := slices.Clone(p.segments)
	for i, seg := range out {
		if seg != Single && seg != Deep {
			out[i] = strings.ReplaceAll(seg, "*", "%2A")
		}
	}
	return strings.Join(out, "/")
}

// Match reports whether p matches a canonical path. It takes at most
// len(pattern) × len(path) steps: only the last "**" is ever tried again.
func (p Pattern) Match(path string) bool { return p.MatchPath(Split(path)) }

// MatchPath is Match for a path in segments.
func (p Pattern) MatchPath(path []string) bool {
	if len(p.segments) == 0 {
		return false
	}
	i, j, star, mark := 0, 0, -1, 0
	for j < len(path) {
		switch {
		case i < len(p.segments) && p.segments[i] == Deep:
			star, mark = i, j
			i++
		case i < len(p.segments) && (p.segments[i] == path[j] || p.segments[i] == Single && path[j] != ""):
			i, j = i+1, j+1
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p.segments) && p.segments[i] == Deep {
		i++
	}
	return i == len(p.segments)
}

// after returns the places of p where matching may stand after the words: at
// each, p.segments[i:] is still to be matched. In words, "*" is any one segment
// and "**" any number, so only a wildcard takes them: the answer for patterns as
// words is on the safe side.
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
			case seg == Deep:
				next[i] = true
			case w != Deep && (seg == Single || seg == w):
				next[i+1] = true
			}
		}
		p.skip(next)
		now = next
	}
	return now
}

// skip adds the places behind each "**": it may match nothing.
func (p Pattern) skip(at []bool) {
	for i, seg := range p.segments {
		if at[i] && seg == Deep {
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

// Under is the pattern for everything at and below path.
func Under(path []string) Pattern { return Pattern{segments: append(slices.Clone(path), Deep)} }

// Split cuts a path into segments; none for the empty path.
func Split(path string) []string {
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// Canonical reports whether path is one that rules can decide about: empty, a
// mount's name, or what keyturn.Ref.Path spells. Anything else could be a second
// spelling that slips past a never.
func Canonical(path string) bool {
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
