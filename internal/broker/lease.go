package broker

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/rules"
)

// Holders says which of the processes that hold leases live.
type Holders interface {
	// Hold makes this process known, and returns its name: the same each time.
	Hold() (name string, err error)
	// Holds reports whether the process of that name lives. It never says no of one
	// that does.
	Holds(name string) bool
}

// takeLease has a platform make a credential, and answers with its lease; with its
// values only where op asks to show them.
func (b *Broker) takeLease(ctx context.Context, c *call, op keyturn.TakeLease) (keyturn.Result, error) {
	m, err := b.Mounts.Mount(op.Ref.Mount())
	if err != nil {
		return nil, err
	}
	out := &keyturn.Leased{Receipt: c.receipt(m), Target: m.Target()}
	out.Lease, out.Values, err = b.take(ctx, m, keyturn.LeaseInfo{ID: c.id, Ref: op.Ref, By: c.actor.Principal(), Target: m.Target()})
	if err == nil && out.Lease.Native == "" {
		err = keyturn.E(keyturn.Unsupported, op.Ref.Short()+" gives values without a lease, which nobody can revoke",
			"a command can use them: keyturn run --env-from "+keyturn.Quote(op.Ref.Short())+" -- COMMAND")
	}
	if err != nil {
		return nil, err
	}
	if !op.Show {
		out.Values = nil
	}
	return out, nil
}

// renewLease has a platform let a lease last longer.
func (b *Broker) renewLease(ctx context.Context, c *call, op keyturn.RenewLease) (keyturn.Result, error) {
	row, err := b.findLease(ctx, c, op.Ref, op.ID)
	if err != nil {
		return nil, err
	}
	m, err := b.mountOfLease(row)
	if err != nil {
		return nil, err
	}
	lease, err := b.renew(ctx, m, row, time.Duration(op.Seconds)*time.Second)
	if err != nil {
		return nil, err
	}
	return &keyturn.Leased{Receipt: c.receipt(m), Target: m.Target(), Lease: lease}, nil
}

// revokeLease has a platform revoke a lease, or only forgets the lease.
func (b *Broker) revokeLease(ctx context.Context, c *call, op keyturn.RevokeLease) (keyturn.Result, error) {
	row, err := b.findLease(ctx, c, op.Ref, op.ID)
	if err != nil {
		return nil, err
	}
	if op.Forget {
		return &keyturn.Leased{Receipt: c.receipt(nil), Lease: row.LeaseInfo}, b.journal.Leases.Drop(ctx, row.ID)
	}
	m, err := b.mountOfLease(row)
	if err != nil {
		return nil, err
	}
	lease, err := b.revoke(ctx, m, row, !b.tidying)
	if err != nil {
		return nil, err
	}
	return &keyturn.Leased{Receipt: c.receipt(m), Target: m.Target(), Lease: lease}, nil
}

// mountOfLease returns the mount that a lease was taken from. It is Conflict where the
// mount has another address now: a platform there knows nothing of the lease, and would
// say that it has ended.
func (b *Broker) mountOfLease(r journal.LeaseRow) (*platform.Mount, error) {
	m, err := b.Mounts.Mount(r.Ref.Mount())
	if err != nil || m.Target() == r.Target {
		return m, err
	}
	now, then := keyturn.Clean(m.Target()), keyturn.Clean(r.Target)
	return nil, keyturn.E(keyturn.Conflict, "the lease "+r.ID+" was taken at "+then+", and the mount '"+m.Name()+"' is at "+now,
		"repeat it with the mount where it was; to have it listed no more: keyturn lease revoke "+r.ID+" --forget").About(r.Ref)
}

// findLease returns the lease that an operation is about: the caller's own, and for a
// person who may take leases of ref anybody's. It is NotFound for any other lease, so
// that its existence is not told.
func (b *Broker) findLease(ctx context.Context, c *call, ref keyturn.Ref, id string) (journal.LeaseRow, error) {
	r, err := b.journal.Leases.Find(ctx, ref, id)
	if err == nil && !b.tidying && r.By != c.actor.Principal() && (c.actor.Kind != keyturn.Person || !b.may(c.actor, keyturn.Lease, ref)) {
		return journal.LeaseRow{}, journal.NoLease(id)
	}
	return r, err
}

// listLeases lists the caller's own leases, and those of secrets that the caller may
// list.
func (b *Broker) listLeases(ctx context.Context, c *call, op keyturn.ListLeases) (keyturn.Result, error) {
	rows, err := b.journal.Leases.List(ctx)
	if err != nil {
		return nil, err
	}
	out := &keyturn.Leases{Receipt: c.receipt(nil)}
	if !op.Under.IsZero() && !slices.ContainsFunc(rows, func(r journal.LeaseRow) bool { return r.Ref.Mount() == op.Under.Mount() }) {
		if _, err := b.Mounts.Mount(op.Under.Mount()); errors.Is(err, keyturn.NotFound) {
			return nil, err
		}
	}
	for _, r := range rows {
		if (op.Under.IsZero() || op.Under.Holds(r.Ref)) && (r.By == c.actor.Principal() || b.may(c.actor, keyturn.List, r.Ref)) {
			out.Leases = append(out.Leases, r.LeaseInfo)
		}
	}
	return out, nil
}

// take has a platform make a credential. The journal has a row before the platform is
// asked, and knows the lease before the values are returned; where it cannot be written
// the credential is revoked at once. A credential without a lease, which nothing can
// revoke, has an empty Native.
func (b *Broker) take(ctx context.Context, m *platform.Mount, l keyturn.LeaseInfo) (keyturn.LeaseInfo, map[string]keyturn.Value, error) {
	holder := ""
	if b.Holders != nil {
		var err error
		if holder, err = b.Holders.Hold(); err != nil {
			return l, nil, err
		}
	}
	if err := b.journal.Leases.Ask(ctx, l, holder); err != nil {
		return l, nil, err
	}
	got, err := m.Lease(ctx, l.Ref)
	ctx = context.WithoutCancel(ctx) // what was made is made
	if err != nil {
		var e *keyturn.Error
		if errors.As(err, &e) && e.Unknown {
			return l, nil, errors.Join(err, b.journal.Leases.Lose(ctx, l.ID))
		}
		return l, nil, errors.Join(err, b.journal.Leases.Drop(ctx, l.ID))
	}
	l.Fields = slices.Sorted(maps.Keys(got.Values))
	if got.ID == "" {
		return l, got.Values, b.journal.Leases.Drop(ctx, l.ID)
	}
	l, err = b.journal.Leases.Give(ctx, l.ID, got.ID, got.For, got.Renewable, l.Fields)
	if err != nil {
		return l, nil, errors.Join(err, m.Revoke(ctx, l.Ref, got.ID))
	}
	return l, got.Values, nil
}

// renew asks a platform for a longer term; 0 is as long as the last one. A lease that
// the platform does not know any more loses its row.
func (b *Broker) renew(ctx context.Context, m *platform.Mount, r journal.LeaseRow, term time.Duration) (keyturn.LeaseInfo, error) {
	if r.State != keyturn.LeaseActive {
		return r.LeaseInfo, keyturn.E(keyturn.Conflict, "the lease "+r.ID+" is "+r.State+", and cannot be renewed", "take another one: keyturn lease create "+keyturn.Quote(r.Ref.Short()))
	}
	if term == 0 {
		term = r.Term()
	}
	got, err := m.Renew(ctx, r.Ref, r.Native, term)
	if errors.Is(err, keyturn.NotFound) {
		return r.LeaseInfo, errors.Join(keyturn.E(keyturn.NotFound, "the lease "+r.ID+" has ended at the platform", "take another one: keyturn lease create "+keyturn.Quote(r.Ref.Short())).Because(err),
			b.journal.Leases.Drop(context.WithoutCancel(ctx), r.ID))
	}
	if e := keyturn.AsError(err); e != nil {
		if e.Unknown || e.Code == keyturn.Unavailable { // the platform may have said yes
			err = errors.Join(err, b.journal.Leases.Extend(context.WithoutCancel(ctx), r.ID, term))
		}
		return r.LeaseInfo, err
	}
	return b.journal.Leases.Renewed(context.WithoutCancel(ctx), r.ID, got.For, got.Renewable)
}

// revoke has a platform revoke a lease. A lease that the platform does not revoke stays
// in the journal. With insist it is tried now, also where somebody has just tried.
func (b *Broker) revoke(ctx context.Context, m *platform.Mount, r journal.LeaseRow, insist bool) (keyturn.LeaseInfo, error) {
	switch {
	case r.State == keyturn.LeaseUnknown, r.State == keyturn.LeaseAsked && (b.Holders == nil || r.Holder == "" || !b.Holders.Holds(r.Holder)):
		return r.LeaseInfo, keyturn.E(keyturn.Unsupported, "nobody knows under which name the platform gave the lease "+r.ID+", if it did",
			"it ends by itself when its time is over; to have it listed no more: keyturn lease revoke "+r.ID+" --forget")
	case r.State == keyturn.LeaseAsked:
		return r.LeaseInfo, keyturn.E(keyturn.Conflict, "the lease "+r.ID+" is being taken", "wait until it is there: keyturn lease list")
	}
	l, err := b.journal.Leases.End(ctx, r.ID, insist)
	if err != nil {
		return l, err
	}
	err = b.askToRevoke(ctx, m, r)
	ctx = context.WithoutCancel(ctx)
	if err == nil {
		return l, b.journal.Leases.Drop(ctx, r.ID)
	}
	e := *keyturn.AsError(err)
	if logErr := b.journal.Leases.Refuse(ctx, r.ID, e.Code); logErr != nil {
		e.Err = errors.Join(e.Err, logErr)
	}
	e.Message = "the lease " + r.ID + " was not revoked: " + e.Message
	if e.Hint != "" {
		e.Hint += "\n"
	}
	e.Hint += "it stays in 'keyturn lease list', and keyturn tries again when it is next started"
	return l, &e
}

// askToRevoke asks a platform to revoke a lease. Where the lease's time is over it first
// asks whether the lease still exists: a token that may look up leases may not be
// allowed to revoke them, and then nothing is left to revoke.
func (b *Broker) askToRevoke(ctx context.Context, m *platform.Mount, r journal.LeaseRow) error {
	if !r.Expires.IsZero() && r.Expires.Before(b.journal.Leases.Now()) {
		switch ended, err := m.Ended(ctx, r.Ref, r.Native); {
		case ended, errors.Is(err, keyturn.Unavailable), errors.Is(err, keyturn.Sealed):
			return err
		}
	}
	return m.Revoke(ctx, r.Ref, r.Native)
}

// planLeases finds among the secrets of c, a command to be run, those that a platform
// makes anew for each request, and decides whether the caller may take a lease of each:
// one that is refused refuses the whole command. It returns the leases to take by
// secret, and likewise the errors of secrets whose platform did not answer.
func (b *Broker) planLeases(ctx context.Context, c *call) (takes map[keyturn.Ref]*call, unasked map[keyturn.Ref]error, err error) {
	takes = map[keyturn.Ref]*call{}
	var refused []*keyturn.Error
	made, unasked := b.madeAnew(ctx, c.op.Refs())
	for _, ref := range made {
		take := &call{id: keyturn.NewID(b.Now()), actor: c.actor, from: c.from, parent: c, approval: c.approval}
		if err := take.take(keyturn.TakeLease{Ref: ref}); err != nil {
			return nil, nil, err
		}
		if err := b.decideLease(ctx, take); err != nil {
			refused = append(refused, keyturn.AsError(b.refuse(ctx, take, err)))
		}
		takes[ref] = take
	}
	if len(refused) > 0 {
		return nil, nil, keyturn.Join("the command was not started", refused...)
	}
	return takes, unasked, nil
}

// decideLease decides about one lease of a command. An approval of the whole command
// covers the leases that it needs, except where a rule forbids one.
func (b *Broker) decideLease(ctx context.Context, take *call) error {
	take.verdict = b.judge(take)
	switch {
	case take.verdict.Never:
		return take.verdict.Refusal(take.actor, take.op)
	case take.approval != "" && take.verdict.Effect != rules.Allow:
		return nil
	}
	return b.approve(ctx, take)
}

// madeAnew finds among refs the secrets that their platforms make anew for each request,
// each once, in their order; and those whose platform could not be asked, with the
// reason. It passes over mounts that do not exist: the read that follows reports them.
func (b *Broker) madeAnew(ctx context.Context, refs []keyturn.Ref) (made []keyturn.Ref, failed map[keyturn.Ref]error) {
	failed = map[keyturn.Ref]error{}
	byMount := map[string][]keyturn.Ref{}
	for _, ref := range refs {
		byMount[ref.Mount()] = append(byMount[ref.Mount()], ref.Secret())
	}
	for _, ref := range refs {
		list := byMount[ref.Mount()]
		delete(byMount, ref.Mount())
		if len(list) == 0 {
			continue
		}
		if m, err := b.Mounts.Mount(ref.Mount()); err == nil {
			yes, errs := m.Issued(ctx, list)
			for i, ref := range list {
				if yes[i] && !slices.Contains(made, ref) {
					made = append(made, ref)
				}
				if errs[i] != nil {
					failed[ref] = errs[i]
				}
			}
		}
	}
	return made, failed
}

// useLeases takes the leases that planLeases found, one for each secret, and adds their
// values to the answers. It returns the leases that were taken, also where another one
// failed.
func (b *Broker) useLeases(ctx context.Context, c *call, takes map[keyturn.Ref]*call, answers map[keyturn.Ref]platform.Outcome) ([]keyturn.LeaseInfo, error) {
	var intents []keyturn.Record
	for _, take := range takes {
		intents = append(intents, b.intent(take))
	}
	if err := b.Log.Append(ctx, intents...); err != nil {
		return nil, err
	}
	var taken []keyturn.LeaseInfo
	made := map[keyturn.Ref]platform.Outcome{}
	for ref, take := range takes {
		l, values, err := b.takeForRun(ctx, c, take)
		if l.Native != "" && err == nil {
			taken = append(taken, l)
		}
		record := take.outcome(nil, err)
		record.Version = l.Native
		err = errors.Join(err, b.Log.Append(context.WithoutCancel(ctx), record))
		made[ref] = platform.Outcome{Err: err, Secret: keyturn.Secret{Values: values,
			Info: keyturn.Info{Ref: ref, State: keyturn.Live, Version: l.Native, Fields: l.Fields}}}
	}
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
		child.recorded = true
		answers[ref] = o
	}
	slices.SortFunc(taken, func(a, b keyturn.LeaseInfo) int { return cmp.Compare(a.Ref.Short(), b.Ref.Short()) })
	return taken, nil
}

// takeForRun takes one lease for the command c, under c's approval or under its own.
func (b *Broker) takeForRun(ctx context.Context, c, take *call) (keyturn.LeaseInfo, map[string]keyturn.Value, error) {
	ref := take.op.Refs()[0]
	l := keyturn.LeaseInfo{ID: take.id, Ref: ref, By: c.actor.Principal(), Run: true}
	m, err := b.Mounts.Mount(ref.Mount())
	if err != nil {
		return l, nil, err
	}
	l.Target = m.Target()
	if take.approval != c.approval { // else the approval of the whole covers it, or none is needed
		if err := b.spend(ctx, take); err != nil {
			return l, nil, err
		}
	}
	return b.take(ctx, m, l)
}

// giveBack revokes the leases that were taken for a command that is not started after
// all. A lease that cannot be revoked stays in the journal.
func (b *Broker) giveBack(ctx context.Context, taken []keyturn.LeaseInfo) {
	for _, l := range taken {
		_, _ = b.Do(context.WithoutCancel(ctx), keyturn.RevokeLease{Ref: l.Ref, ID: l.ID})
	}
}

// tidyLimit is how long the start of a command may wait for what others left.
const tidyLimit = 5 * time.Second

// Tidy revokes the leases that killed processes have left behind, and those that a
// platform did not revoke before and may be asked again by now. It returns a sentence
// about each, with the names that the caller may know. Where the platform of a mount
// does not answer, nothing else is asked of that mount until the lease that was tried
// is due again, so that the caller waits for it once. Tidy also records the refusals that
// are only counted so far.
func (b *Broker) Tidy(ctx context.Context) (told []string) {
	ctx, cancel := context.WithTimeout(ctx, tidyLimit)
	defer cancel()
	b.tellRefusals(ctx)
	actor, err := b.WhoIs(ctx)
	if err != nil || b.Holders == nil {
		return nil
	}
	keeper := *b
	keeper.tidying = true
	keeper.WhoIs = func(context.Context) (keyturn.Actor, error) {
		return keyturn.Actor{Kind: keyturn.ServiceKind, Name: "keyturn", Proof: "clean-up of leases"}, nil
	}
	leases := b.journal.Leases
	rows, err := leases.List(ctx)
	if err != nil {
		return nil // the caller's own operation reports it
	}
	silent := map[string]time.Time{} // by mount, until when
	for _, r := range rows {
		if next := silent[r.Ref.Mount()]; !next.IsZero() {
			if leases.Due(r, b.Holders.Holds) {
				_ = leases.PutOff(context.WithoutCancel(ctx), r.ID, next) // else it is tried at the next start
			}
			continue
		}
		if !leases.Due(r, b.Holders.Holds) {
			continue
		}
		if _, err := b.mountOfLease(r); err != nil {
			continue
		}
		which := "a lease"
		if b.may(actor, keyturn.List, r.Ref) {
			which = "the lease " + r.ID + " of " + keyturn.Quote(r.Ref.Short())
		}
		if r.State == keyturn.LeaseAsked {
			if leases.Lose(ctx, r.ID) == nil {
				told = append(told, "a keyturn that was killed may have taken "+which+", whose name nobody knows: it ends by itself; 'keyturn lease list' shows it")
			}
			continue
		}
		_, err := keeper.Do(ctx, keyturn.RevokeLease{Ref: r.Ref, ID: r.ID})
		switch e := keyturn.AsError(err); {
		case e == nil && r.State == keyturn.LeaseRevoking:
			told = append(told, "revoked "+which+", which could not be revoked before")
		case e == nil:
			told = append(told, "revoked "+which+", which a run that was killed had left behind")
		case e.Code != keyturn.Conflict && e.Code != keyturn.NotFound: // else another process is at it
			if e.Code == keyturn.Unavailable || e.Code == keyturn.Sealed {
				if tried, err := leases.Find(context.WithoutCancel(ctx), r.Ref, r.ID); err == nil {
					silent[r.Ref.Mount()] = tried.Next
				}
			}
			told = append(told, which+" was left behind, and cannot be revoked yet ("+string(e.Code)+"); 'keyturn lease list' shows it")
		}
	}
	return told
}
