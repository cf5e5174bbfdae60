package broker

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker/leases"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/rules"
)

func (b *Broker) leases(c *call) leases.Door {
	return leases.Door{Desk: leases.Desk{Book: leases.Book{Items: b.Items, Now: b.Now}, Holders: b.Holders}, Mount: b.Mounts.Mount, Receipt: c.receipt,
		Caller: c.actor, May: func(v keyturn.Verb, ref keyturn.Ref) bool { return b.may(c.actor, v, ref) }, Tidying: b.tidying}
}

// planLeases finds among the parts of c, a command to be run, those that a platform
// makes anew for each asking, and has the rules decide whether the caller may take a
// lease of each: one that may not be taken denies all. What is found is known by the
// secret; so is what could not be told, since nobody answered.
func (b *Broker) planLeases(ctx context.Context, c *call) (takes map[keyturn.Ref]*call, unasked map[keyturn.Ref]error, err error) {
	takes = map[keyturn.Ref]*call{}
	var refused []*keyturn.Error
	made, unasked := b.leases(c).Made(ctx, c.op.Refs())
	for _, ref := range made {
		take := &call{id: keyturn.NewID(b.Now()), actor: c.actor, from: c.from, parent: c, approval: c.approval}
		if err := take.take(keyturn.TakeLease{Ref: ref}); err != nil {
			return nil, nil, err
		}
		if err := b.letLease(ctx, take); err != nil {
			refused = append(refused, keyturn.AsError(b.refuse(ctx, take, err)))
		}
		takes[ref] = take
	}
	if len(refused) > 0 {
		return nil, nil, keyturn.Join("the command was not started", refused...)
	}
	return takes, unasked, nil
}

// letLease decides about one lease. A yes to the whole command is one to what it
// needs, but for what a rule forbids.
func (b *Broker) letLease(ctx context.Context, take *call) error {
	take.verdict = b.judge(take)
	switch {
	case take.verdict.Never:
		return take.verdict.Refusal(take.actor, take.op)
	case take.approval != "" && take.verdict.Effect != rules.Allow:
		return nil
	}
	return b.approve(ctx, take)
}

// useLeases takes what planLeases found, each once, and adds it to the answers. What
// was taken is returned also where one of them failed.
func (b *Broker) useLeases(ctx context.Context, c *call, takes map[keyturn.Ref]*call, answers map[keyturn.Ref]platform.Outcome) ([]keyturn.LeaseInfo, error) {
	var intents []keyturn.Record
	parts := map[keyturn.Ref]leases.Part{}
	for ref, take := range takes {
		intents = append(intents, take.intent())
		parts[ref] = leases.Part{ID: take.id, Before: func() error {
			if take.approval == c.approval { // a yes to the whole, or none was needed
				return nil
			}
			return b.spend(ctx, take)
		}, After: func(l keyturn.LeaseInfo, err error) error {
			record := take.outcome(nil, err)
			record.Version = l.Native
			return b.Log.Append(context.WithoutCancel(ctx), record)
		}}
	}
	if err := b.Log.Append(ctx, intents...); err != nil {
		return nil, err
	}
	taken, made := b.leases(c).TakeAll(ctx, parts)
	for _, child := range c.children {
		ref := child.op.Refs()[0]
		o, leased := made[ref.Secret()]
		if !leased {
			continue
		}
		if o.Err == nil {
			o.Secret, o.Err = platform.Pick(ref, o.Secret)
		}
		record := child.outcome(nil, o.Err)
		record.Version = o.Secret.Version
		b.Log.Later(ctx, record)
		child.told = true
		answers[ref] = o
	}
	slices.SortFunc(taken, func(a, b keyturn.LeaseInfo) int { return cmp.Compare(a.Ref.Short(), b.Ref.Short()) })
	return taken, nil
}

// giveBack revokes what was taken for a command that is not started after all. What
// cannot be revoked is in the journal.
func (b *Broker) giveBack(ctx context.Context, taken []keyturn.LeaseInfo) {
	for _, l := range taken {
		_, _ = b.Do(context.WithoutCancel(ctx), keyturn.RevokeLease{Ref: l.Ref, ID: l.ID})
	}
}

// tidyLimit is how long the start of a command may wait for what others left.
const tidyLimit = 5 * time.Second

// Tidy revokes the leases that processes which were killed have left behind, and
// those that a platform would not revoke before and may be asked again by now. It
// returns a sentence about each, in words that the caller may know.
func (b *Broker) Tidy(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, tidyLimit)
	defer cancel()
	actor, err := b.WhoIs(ctx)
	if err != nil {
		return nil
	}
	keeper := *b
	keeper.tidying = true
	keeper.WhoIs = func(context.Context) (keyturn.Actor, error) {
		return keyturn.Actor{Kind: keyturn.ServiceKind, Name: "keyturn", Proof: "clean-up of leases"}, nil
	}
	return b.leases(&call{actor: actor}).Tidy(ctx, leases.Cleaner{
		Reaches: func(r leases.Row) bool {
			m, err := b.Mounts.Mount(r.Ref.Mount())
			return err == nil && m.Target() == r.Target
		},
		Shows:  func(ref keyturn.Ref) bool { return b.may(actor, keyturn.List, ref) },
		Revoke: func(op keyturn.RevokeLease) error { _, err := keeper.Do(ctx, op); return err },
	})
}
