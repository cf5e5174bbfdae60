package vault

import (
	"context"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/admin"
)

// Administration implements platform.Administrator.
func (p *Platform) Administration() keyturn.Administration { return admin.List() }

// Perform implements platform.Administrator.
func (p *Platform) Perform(ctx context.Context, a platform.Act) (platform.Acted, error) {
	return admin.Perform(ctx, p.client, p.mount, a)
}
