package leak

import "slices"

// region is a stretch [start, end) of the stream to be replaced by one marker:
// occurrences that share bytes with one another. Occurrences that merely touch
// are regions of their own.
//
// The marker is that of the leftmost occurrence, the longest if several begin
// there. The choice does not depend on the order in which they are found.
type region struct {
	start, end int64
	first      occurrence // the occurrence that names the region
	labels     [2]uint32  // of two of its occurrences, different ones if there are any
	marked     bool       // the marker is written
	escape     bool       // an ESC was dropped
}

// occurrence is one thing to redact.
type occurrence struct {
	start, end int64
	label      uint32
}

// names reports whether o rather than p names a region that has both.
func (o occurrence) names(p occurrence) bool {
	switch {
	case o.start != p.start:
		return o.start < p.start
	case o.end != p.end:
		return o.end > p.end
	default:
		return o.label < p.label
	}
}

// regions are pending replacements, ordered and disjoint.
type regions []region

// add covers o, joining it with the regions that it shares bytes with. It returns the
// region that o is in then.
func (rs *regions) add(o occurrence) *region {
	hi := len(*rs)
	for hi > 0 && (*rs)[hi-1].start >= o.end {
		hi--
	}
	lo := hi
	merged := region{start: o.start, end: o.end, first: o, labels: [2]uint32{o.label, o.label}}
	for lo > 0 && (*rs)[lo-1].end > o.start {
		lo--
		r := (*rs)[lo]
		merged.start = min(merged.start, r.start)
		merged.end = max(merged.end, r.end)
		merged.marked = merged.marked || r.marked
		merged.escape = merged.escape || r.escape
		if r.first.names(merged.first) {
			merged.first = r.first
		}
		for _, l := range r.labels {
			if l != merged.labels[0] {
				merged.labels[1] = l
			}
		}
	}
	if hi-lo == 1 {
		(*rs)[lo] = merged
	} else {
		*rs = slices.Replace(*rs, lo, hi, merged)
	}
	return &(*rs)[lo]
}

// mixed reports whether the region has occurrences of different needles.
func (r *region) mixed() bool { return r.labels[0] != r.labels[1] }
