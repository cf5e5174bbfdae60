package verify

import (
	"bytes"
	"maps"
	"reflect"
	"slices"

	"github.com/keyturn/keyturn"
)

// Restorations are the records that tell of restored backups, by their numbers: a
// log that is whole may have taken the place of a longer one. The zero value has
// none.
type Restorations struct {
	known map[int64]keyturn.Restoration
}

// Note remembers what a record tells of them: the newest keyturn.MaxRestorations.
func (s *Restorations) Note(seq int64, r keyturn.Record) {
	if r.Phase != keyturn.Intent || !bytes.Contains(r.Op, []byte(`"op":"restore-store"`)) && !bytes.Contains(r.Op, []byte(`"op":"prune-log"`)) {
		return
	}
	op, err := keyturn.DecodeOp(r.Op)
	if err != nil {
		return
	}
	switch op := op.(type) {
	case keyturn.RestoreStore:
		s.add(keyturn.Restoration{Record: seq, RestoreStore: op})
	case keyturn.PruneLog: // what it dropped told so
		for _, r := range op.Restored {
			s.add(r)
		}
	}
}

func (s *Restorations) add(r keyturn.Restoration) {
	if s.known == nil {
		s.known = map[int64]keyturn.Restoration{}
	}
	if _, ok := s.known[r.Record]; ok {
		return
	}
	if s.known[r.Record] = r; len(s.known) > keyturn.MaxRestorations {
		delete(s.known, slices.Min(slices.Collect(maps.Keys(s.known))))
	}
}

// List returns them, oldest first.
func (s *Restorations) List() []keyturn.Restoration {
	var out []keyturn.Restoration
	for _, n := range slices.Sorted(maps.Keys(s.known)) {
		out = append(out, s.known[n])
	}
	return out
}

// NotIn returns what the log of a replaced store told of restored backups, and what
// that in turn had kept of logs before it, without what own, the log in its place,
// tells itself: the newest keyturn.MaxRestorations.
func NotIn(own, told []keyturn.Restoration) []keyturn.Restoration {
	known := flat(own)
	out := slices.DeleteFunc(flat(told), func(r keyturn.Restoration) bool {
		return slices.ContainsFunc(known, func(k keyturn.Restoration) bool { return reflect.DeepEqual(k, r) })
	})
	return out[max(0, len(out)-keyturn.MaxRestorations):]
}

// flat are list and what its entries hold of earlier logs, which stands before them.
func flat(list []keyturn.Restoration) []keyturn.Restoration {
	var out []keyturn.Restoration
	for _, r := range list {
		out = append(out, flat(r.Earlier)...)
		r.Earlier = nil
		out = append(out, r)
	}
	return out
}
