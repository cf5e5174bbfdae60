package broker

import (
	"context"
	"encoding/hex"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

func (b *Broker) verifyLog(ctx context.Context, c *call, op keyturn.VerifyLog) (keyturn.Result, error) {
	var held []byte
	if op.Checkpoint != nil {
		held = verify.Whole(*op.Checkpoint)
	}
	report, err := b.Log.VerifyAgainst(ctx, held)
	if err != nil {
		return nil, err
	}
	res := &keyturn.Verified{Receipt: c.receipt(nil), Size: report.Size, Head: hex.EncodeToString(report.Root[:]), Pruned: report.Pruned, Restored: report.Restored}
	if report.Against != nil {
		checkpoint := checkpointOf(*report.Against)
		res.Held = &checkpoint
	}
	return res, nil
}

func checkpointOf(c verify.Checkpoint) keyturn.Checkpoint {
	return keyturn.Checkpoint{Origin: c.Origin, Size: c.Size, Head: hex.EncodeToString(c.Root[:]), Generation: c.Generation, Time: c.Time, Pruned: c.Pruned}
}

func (b *Broker) exportLog(ctx context.Context, c *call, op keyturn.ExportLog) (keyturn.Result, error) {
	if err := b.Log.Flush(ctx); err != nil {
		return nil, err
	}
	res, wanted := &keyturn.Exported{Receipt: c.receipt(nil)}, audit.Range{From: op.From, Since: op.Since}
	if res.Lines = b.Log.Export(ctx, wanted); op.Follow {
		res.Lines = b.Log.Follow(ctx, wanted)
	}
	return res, nil
}

func (b *Broker) makeCheckpoint(ctx context.Context, c *call) (keyturn.Result, error) {
	signed, made, err := b.Log.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	key, err := b.Log.VerifierKey()
	return &keyturn.Checkpointed{Receipt: c.receipt(nil), Checkpoint: checkpointOf(made), Signed: string(signed), Key: key}, err
}

// listRecords yields the records that op asks for.
func (b *Broker) listRecords(ctx context.Context, c *call, op keyturn.ListRecords) (keyturn.Result, error) {
	if err := b.Log.Flush(ctx); err != nil {
		return nil, err
	}
	pruned := new(int64)
	hidden := keyturn.Prefix{}
	if !op.Under.IsZero() {
		hidden = b.Log.HidePrefix(op.Under)
	}
	return &keyturn.Records{Receipt: c.receipt(nil), Pruned: pruned, Records: filterRecords(op, hidden, b.Log.Records(ctx, pruned))}, nil
}

// Flush records the outcomes that wait for a later commit. Call it before the
// program ends.
func (b *Broker) Flush() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return b.Log.Flush(ctx)
}

// filterRecords yields the records of all that f asks for, up to the first error, which
// it yields. An outcome is yielded where its intent was. hidden is f.Under as records
// with hidden names spell it; zero where the log hides none.
func filterRecords(f keyturn.ListRecords, hidden keyturn.Prefix, all iter.Seq2[keyturn.Record, error]) iter.Seq2[keyturn.Record, error] {
	return func(yield func(keyturn.Record, error) bool) {
		begun := map[string]bool{}
		for r, err := range all {
			if err == nil && !matchesFilter(f, hidden, r, begun) {
				continue
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// matchesFilter reports whether f asks for r. An outcome names neither actor nor secret:
// it matches where its intent did, which begun remembers.
func matchesFilter(f keyturn.ListRecords, hidden keyturn.Prefix, r keyturn.Record, begun map[string]bool) bool {
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
	// A refusal that is recorded without its operation names neither kind nor secret, and
	// one that stands for several names them of one: it is shown rather than hidden, or
	// what it asked for would keep it out of sight.
	if (f.Op != "" || !f.Under.IsZero()) && len(r.Op) > 0 && r.Count == 0 {
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

// touches reports whether op is about anything below a prefix.
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
