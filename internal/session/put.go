package session

import (
	"context"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
)

// Put seals values, if there are any, and does op with them. It sets op's Candidate, and
// sorts op's lists as the Service wants them. A put that waited for an approval is done by
// the same call again: the same values are then the same candidate.
func Put(ctx context.Context, s *Session, op keyturn.PutSecret, values map[string]keyturn.Value) (*keyturn.Changed, error) {
	op.Public = slices.Compact(slices.Sorted(slices.Values(op.Public)))
	op.Unlabel = slices.Sorted(slices.Values(op.Unlabel))
	op.Generate = slices.SortedFunc(slices.Values(op.Generate), func(a, b keyturn.Generate) int { return strings.Compare(a.Field, b.Field) })
	if len(values) > 0 {
		var err error
		if op.Candidate, err = s.Service.Seal(ctx, op.Ref, values); err != nil {
			return nil, err
		}
	}
	return Ask[*keyturn.Changed](ctx, s, op)
}
