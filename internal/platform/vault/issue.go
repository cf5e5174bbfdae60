package vault

import (
	"context"
	"errors"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/lease"
)

// Issues implements platform.Issuer: by the type of the engine that the name lies
// in.
func (p *Platform) Issues(ctx context.Context, ref keyturn.Ref) (bool, error) {
	e, _, err := p.anyEngine(ctx, ref)
	return err == nil && lease.Makes(e.kind), err
}

// Lease implements platform.Issuer.
func (p *Platform) Lease(ctx context.Context, ref keyturn.Ref) (platform.Leased, error) {
	e, rest, err := p.anyEngine(ctx, ref)
	if err != nil {
		return platform.Leased{}, err
	}
	if !lease.Makes(e.kind) {
		return platform.Leased{}, keyturn.E(keyturn.Unsupported, "the engine '"+keyturn.Clean(e.path)+"' is of type "+keyturn.Clean(e.kind)+", which makes no credentials",
			"what it keeps is read as it is: keyturn get "+keyturn.Quote(ref.Secret().Short())).About(ref)
	}
	return lease.Take(ctx, p.client, ref, e.path+"/"+rest)
}

// Renew implements platform.Issuer.
func (p *Platform) Renew(ctx context.Context, ref keyturn.Ref, id string, term time.Duration) (platform.Term, error) {
	return lease.Renew(ctx, p.client, ref, id, term)
}

// Revoke implements platform.Issuer.
func (p *Platform) Revoke(ctx context.Context, ref keyturn.Ref, id string) error {
	return lease.Revoke(ctx, p.client, ref, id)
}

// Ended implements platform.Issuer. The default policy lets everybody look up a lease
// by its id (https://developer.hashicorp.com/vault/docs/concepts/policies#default-policy).
func (p *Platform) Ended(ctx context.Context, _ keyturn.Ref, id string) (bool, error) {
	_, err := lease.Look(ctx, p.client, id)
	if errors.Is(err, keyturn.NotFound) {
		return true, nil
	}
	return false, err
}
