package broker

import (
	"context"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker/candidate"
	"github.com/keyturn/keyturn/internal/broker/migration"
	"github.com/keyturn/keyturn/internal/platform"
)

func (b *Broker) journal() migration.Book { return migration.Book{Items: b.Items, Now: b.Now} }

func (b *Broker) migrations(c *call) migration.Door {
	return migration.Door{Book: b.journal(), Mount: b.Mounts.Mount, Receipt: c.receipt, Caller: c.actor,
		May: func(v keyturn.Verb, ref keyturn.Ref) bool { return b.may(c.actor, v, ref) },
		Taken: func(ctx context.Context, ref keyturn.Ref, sealed string) (map[string]keyturn.Value, error) {
			return candidate.Take(ctx, b.Items, c.actor, ref, sealed)
		},
		Compare: func(ctx context.Context, fields int, ref keyturn.Ref) error {
			return b.spendCompare(ctx, c, fields, ref)
		},
		Expects: func(m *platform.Mount, ref keyturn.Ref) string { return c.expects(m, ref, "") },
		Wrote: func(ctx context.Context, version string, err error) {
			for _, child := range c.children {
				b.toldWrite(ctx, child, version, err)
			}
		},
	}
}
