package state

import (
	"context"

	"github.com/keyturn/keyturn/internal/state/table"
)

// VerifyState checks that secrets, their versions and items are all there and are
// the newest ones: Corrupt where one was removed, added or replaced by an older
// copy from outside. It is one snapshot. No value is decrypted: that those are
// sound is seen when they are read, or by VerifyValues.
func (db *DB) VerifyState(ctx context.Context) error { return db.verify(ctx, false) }

// VerifyValues is VerifyState that opens every value, too, and drops it: Corrupt
// where one cannot be read.
func (db *DB) VerifyValues(ctx context.Context) error { return db.verify(ctx, true) }

func (db *DB) verify(ctx context.Context, values bool) error {
	return db.read(ctx, func(t *tx) error {
		h, err := t.top(ctx)
		if err != nil {
			return err
		}
		if _, err := table.CheckItems(ctx, t.Conn, t.Keys, h.Items, nil); err != nil {
			return err
		}
		return table.CheckSecrets(ctx, t.Conn, t.Keys, h.Secrets, values)
	})
}
