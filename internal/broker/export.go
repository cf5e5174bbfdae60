package broker

import (
	"context"
	"encoding/hex"

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
		checkpoint := told(*report.Against)
		res.Held = &checkpoint
	}
	return res, nil
}

func told(c verify.Checkpoint) keyturn.Checkpoint {
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
	return &keyturn.Checkpointed{Receipt: c.receipt(nil), Checkpoint: told(made), Signed: string(signed), Key: key}, err
}
