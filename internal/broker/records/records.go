// Package records picks records of the audit log. It is pure.
package records

import (
	"iter"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
)

// Filter yields those of all that f asks for, until an error, which it yields. An
// outcome goes where its intent went. hidden is f.Under as it stands in records whose
// names are hidden; zero where there are none.
func Filter(f keyturn.ListRecords, hidden keyturn.Prefix, all iter.Seq2[keyturn.Record, error]) iter.Seq2[keyturn.Record, error] {
	return func(yield func(keyturn.Record, error) bool) {
		begun := map[string]bool{}
		for r, err := range all {
			if err == nil && !matches(f, hidden, r, begun) {
				continue
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// matches applies the filters. An outcome names neither actor nor secret: it goes
// where its intent, which begun remembers, went.
func matches(f keyturn.ListRecords, hidden keyturn.Prefix, r keyturn.Record, begun map[string]bool) bool {
	if r.Phase == keyturn.Outcome {
		ok := begun[r.ID]
		delete(begun, r.ID)
		return ok
	}
	if r.Time.Before(f.Since) {
		return false
	}
	if f.Who != "" && (r.Actor == nil || r.Actor.Principal() != f.Who) {
		return false
	}
	// A refusal too large to be kept whole says neither kind nor secret: it is shown
	// rather than hidden, or its size would keep it out of sight.
	if (f.Op != "" || !f.Under.IsZero()) && len(r.Op) > 0 {
		op, err := keyturn.DecodeOp(r.Op)
		if err != nil {
			return false
		}
		if f.Op != "" && op.Kind() != f.Op {
			return false
		}
		if !f.Under.IsZero() && !touches(op, f.Under) && (hidden.IsZero() || !touches(op, hidden)) {
			return false
		}
	}
	if r.Phase == keyturn.Intent {
		begun[r.ID] = true
	}
	return true
}

func touches(op keyturn.Op, under keyturn.Prefix) bool {
	if list, ok := op.(keyturn.ListSecrets); ok {
		return strings.HasPrefix(list.Under.String(), under.String())
	}
	mount := ""
	switch op := op.(type) {
	case keyturn.Login:
		mount = op.Mount
	case keyturn.Logout:
		mount = op.Mount
	case keyturn.PlatformAction:
		mount = op.Mount
	}
	// What is about a whole mount is about no secret in it.
	return mount == under.Mount() && under.Path() == "" || slices.ContainsFunc(op.Refs(), under.Holds)
}
