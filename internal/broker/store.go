package broker

import (
	"context"

	"github.com/keyturn/keyturn"
)

// Store is keyturn's own store as a whole. Its methods are called once an operation
// was let through and its intent is on record.
type Store interface {
	// Rekey replaces root key, master key and data keys.
	Rekey(ctx context.Context, op keyturn.RekeyStore) (*keyturn.Rekeyed, error)
	// Backup writes the store into one encrypted file.
	Backup(ctx context.Context, op keyturn.BackupStore) (*keyturn.BackedUp, error)
	// Unlock keeps the root key in the keychain for a while.
	Unlock(ctx context.Context, op keyturn.UnlockStore) (*keyturn.Unlocked, error)
	// Lock forgets what Unlock kept.
	Lock(ctx context.Context) error
}

// keepStore does what is about the store as a whole.
func (b *Broker) keepStore(ctx context.Context, c *call) (keyturn.Result, error) {
	if b.Store == nil {
		return nil, keyturn.E(keyturn.Unsupported, "there is no store of its own here", "")
	}
	switch op := c.op.(type) {
	case keyturn.RekeyStore:
		res, err := b.Store.Rekey(ctx, op)
		if err != nil {
			return nil, err
		}
		res.Receipt = c.receipt(nil)
		return res, nil
	case keyturn.BackupStore:
		res, err := b.Store.Backup(ctx, op)
		if err != nil {
			return nil, err
		}
		res.Receipt = c.receipt(nil)
		return res, nil
	case keyturn.UnlockStore:
		res, err := b.Store.Unlock(ctx, op)
		if err != nil {
			return nil, err
		}
		res.Receipt = c.receipt(nil)
		return res, nil
	}
	return &keyturn.Unlocked{Receipt: c.receipt(nil)}, b.Store.Lock(ctx)
}
