package leases

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// Door is what an operation about leases needs of the broker, which has let it
// through and recorded it.
type Door struct {
	Desk
	Mount   func(name string) (*platform.Mount, error)
	Receipt func(*platform.Mount) keyturn.Receipt // nil for no mount
	Caller  keyturn.Actor
	May     func(keyturn.Verb, keyturn.Ref) bool // what the rules say of the caller
	Tidying bool                                 // it is keyturn's own doing, see Tidy
}

// Do carries out TakeLease (as the lease of an id), RenewLease, RevokeLease and
// ListLeases.
func (d Door) Do(ctx context.Context, id string, op keyturn.Op) (keyturn.Result, error) {
	if list, ok := op.(keyturn.ListLeases); ok {
		return d.list(ctx, list)
	}
	ref := op.Refs()[0]
	take, isNew := op.(keyturn.TakeLease)
	var row Row
	var err error
	switch op := op.(type) {
	case keyturn.RenewLease:
		row, err = d.find(ctx, ref, op.ID)
	case keyturn.RevokeLease:
		if row, err = d.find(ctx, ref, op.ID); err == nil && op.Forget {
			return &keyturn.Leased{Receipt: d.Receipt(nil), Lease: row.LeaseInfo}, d.Drop(ctx, row.ID)
		}
	}
	if err != nil {
		return nil, err
	}
	m, err := d.Mount(ref.Mount())
	if err != nil {
		return nil, err
	}
	if !isNew {
		if err := here(m, row); err != nil {
			return nil, err
		}
	}
	out := &keyturn.Leased{Receipt: d.Receipt(m), Target: m.Target()}
	switch op := op.(type) {
	case keyturn.TakeLease:
		out.Lease, out.Values, err = d.Take(ctx, m, keyturn.LeaseInfo{ID: id, Ref: ref, By: d.Caller.Principal(), Target: m.Target()})
	case keyturn.RenewLease:
		out.Lease, err = d.Renew(ctx, m, row, time.Duration(op.Seconds)*time.Second)
	case keyturn.RevokeLease:
		out.Lease, err = d.Revoke(ctx, m, row, !d.Tidying)
	}
	if err == nil && isNew && out.Lease.Native == "" {
		err = keyturn.E(keyturn.Unsupported, ref.Short()+" gives values without a lease, which nobody can revoke",
			"a command can use them: keyturn run --env-from "+keyturn.Quote(ref.Short())+" -- COMMAND")
	}
	if err != nil {
		return nil, err
	}
	if !take.Show {
		out.Values = nil
	}
	return out, nil
}

// here is a Conflict where a mount is not where it was when a lease was taken: another
// server knows nothing of the lease, and says of such a one that it has ended.
func here(m *platform.Mount, r Row) error {
	if m.Target() == r.Target {
		return nil
	}
	now, then := keyturn.Clean(m.Target()), keyturn.Clean(r.Target)
	return keyturn.E(keyturn.Conflict, "the lease "+r.ID+" was taken at "+then+", and the mount '"+m.Name()+"' is at "+now,
		"repeat it with the mount where it was; to have it listed no more: keyturn lease revoke "+r.ID+" --forget").About(r.Ref)
}

// find is the lease that an operation is about: the caller's own, or, of a person
// who may take one, any. Of others not even the existence is told.
func (d Door) find(ctx context.Context, ref keyturn.Ref, id string) (Row, error) {
	r, err := d.Find(ctx, ref, id)
	if err == nil && !d.Tidying && r.By != d.Caller.Principal() && (d.Caller.Kind != keyturn.Person || !d.May(keyturn.Lease, ref)) {
		return Row{}, Missing(id)
	}
	return r, err
}

// list tells of the caller's own, and of those of secrets that they may list.
func (d Door) list(ctx context.Context, op keyturn.ListLeases) (keyturn.Result, error) {
	rows, err := d.List(ctx)
	if err != nil {
		return nil, err
	}
	out := &keyturn.Leases{Receipt: d.Receipt(nil)}
	if !op.Under.IsZero() && !slices.ContainsFunc(rows, func(r Row) bool { return r.Ref.Mount() == op.Under.Mount() }) {
		if _, err := d.Mount(op.Under.Mount()); errors.Is(err, keyturn.NotFound) {
			return nil, err
		}
	}
	for _, r := range rows {
		if (op.Under.IsZero() || op.Under.Holds(r.Ref)) && (r.By == d.Caller.Principal() || d.May(keyturn.List, r.Ref)) {
			out.Leases = append(out.Leases, r.LeaseInfo)
		}
	}
	return out, nil
}

// Made finds among refs the secrets that their platforms make anew for each asking,
// each once, in their order, and those whose platform could not be asked, with the
// reason. Of a mount that is not there reading will tell.
func (d Door) Made(ctx context.Context, refs []keyturn.Ref) (made []keyturn.Ref, failed map[keyturn.Ref]error) {
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
		if m, err := d.Mount(ref.Mount()); err == nil {
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

// Part is the taking of one lease for a command.
type Part struct {
	ID     string
	Before func() error                               // the last word before the platform is asked
	After  func(l keyturn.LeaseInfo, err error) error // records what came of it
}

// TakeAll takes one lease for each secret of parts. What was taken is returned also
// where another one failed, or could not be recorded.
func (d Door) TakeAll(ctx context.Context, parts map[keyturn.Ref]Part) (taken []keyturn.LeaseInfo, out map[keyturn.Ref]platform.Outcome) {
	out = map[keyturn.Ref]platform.Outcome{}
	for ref, p := range parts {
		l := keyturn.LeaseInfo{ID: p.ID, Ref: ref, By: d.Caller.Principal(), Run: true}
		var values map[string]keyturn.Value
		m, err := d.Mount(ref.Mount())
		if err == nil {
			l.Target = m.Target()
			err = p.Before()
		}
		if err == nil {
			l, values, err = d.Take(ctx, m, l)
		}
		if err == nil && l.Native != "" {
			taken = append(taken, l)
		}
		err = errors.Join(err, p.After(l, err))
		out[ref] = platform.Outcome{Err: err, Secret: keyturn.Secret{Values: values,
			Info: keyturn.Info{Ref: ref, State: keyturn.Live, Version: l.Native, Fields: l.Fields}}}
	}
	return taken, out
}
