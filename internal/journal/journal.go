// Package journal keeps what keyturn remembers from one command to the next:
//
//	approvals.go    operations that wait for an approval, and the approvals given
//	passphrases.go  the passphrases that approvers prove themselves with
//	candidates.go   values, sealed until the one put that they are for
//	trust.go        what projects' files may ask for (trustfiles.go), as people have accepted it
//	machine.go      the operator's file that is pinned, the person's environment, the folder
//	compares.go     how many fields agents and services have compared
//	refusals.go     how much callers were refused
//	leases.go       credentials that keyturn had a platform make
//	migrations.go   files that a migration claims, and (texts.go) what they held
//
// All of it is rows of keyturn's own store, which encrypts them. The package reaches
// no platform and decides nothing: broker does, and writes the rows around its steps.
package journal

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"time"

	"github.com/keyturn/keyturn"
)

// Items keeps small encrypted rows. State satisfies it.
type Items interface {
	// Item returns one row; NotFound where there is none or it has expired.
	Item(ctx context.Context, kind, id string) (keyturn.Item, error)
	// Items yields the rows of a kind that have not expired.
	Items(ctx context.Context, kind string) iter.Seq2[keyturn.Item, error]
	// UpdateItem replaces one row in one durable transaction: change gets the row,
	// or one without a body where there is none, and returns the new one; a nil
	// body removes the row. An error of change leaves everything as it was.
	UpdateItem(ctx context.Context, kind, id string, change func(keyturn.Item) (keyturn.Item, error)) error
}

// Journal is the parts of the journal. All of them are safe for concurrent use, by
// several processes too.
type Journal struct {
	Approvals   Approvals
	Passphrases Passphrases
	Candidates  Candidates
	Trust       Trust
	Machines    Machines
	Compares    Compares
	Refusals    Refusals
	Leases      Leases
	Migrations  Migrations
}

// New returns the journal that is kept in items. The clock is now, or time.Now where
// now is nil.
func New(items Items, now func() time.Time) Journal {
	if now == nil {
		now = time.Now
	}
	return Journal{
		Approvals:   Approvals{now: now, rows: table[Request]{items: items, kind: requestKind, name: "a request for approval", id: func(r Request) string { return r.ID }}},
		Passphrases: Passphrases{now: now, rows: table[verifier]{items: items, kind: proofKind, name: "the passphrase's verifier"}},
		Candidates:  Candidates{now: now, rows: table[candidate]{items: items, kind: candidateKind, name: "a sealed candidate"}},
		Trust: Trust{projects: table[pin]{items: items, kind: projectKind, name: "the trust in a project"},
			configs: table[struct{}]{items: items, kind: configKind, name: "a known configuration"}},
		Machines: Machines{table[Machine]{items: items, kind: machineKind, name: "what the store knows of this machine"}},
		Compares: Compares{now: now, rows: table[[]spent]{items: items, kind: compareKind, name: "the budget of compares"}},
		Refusals: Refusals{now: now, rows: table[[]refused]{items: items, kind: refusalKind, name: "the count of refusals"}},
		Leases: Leases{now: now, rows: table[LeaseRow]{items: items, kind: leaseKind, name: "the journal of leases", hint: "the secrets themselves are whole",
			id: func(r LeaseRow) string { return r.ID }}},
		Migrations: Migrations{now: now,
			list:  table[[]keyturn.Migration]{items: items, kind: migrationKind, name: "the journal of migrations", hint: "the secrets themselves are whole"},
			texts: table[[]textRow]{items: items, kind: textKind, name: "the texts of a migration"}},
	}
}

// Pending lists the kinds of the rows that are true of the moment only: requests and
// approvals, sealed values, and what people trust. A restored store starts without
// them, since an approval may have been used, or a trust withdrawn, after the backup.
func Pending() []string { return []string{requestKind, candidateKind, projectKind, configKind} }

// ForgetMachine removes what is known of the machine, for a store that comes to another
// one. It reports whether an operator's file was pinned.
func (j Journal) ForgetMachine(ctx context.Context) (pinned bool, err error) {
	have, err := j.Machines.Get(ctx)
	if err != nil && !errors.Is(err, keyturn.Corrupt) {
		return false, err
	}
	return have.Config != nil, j.Machines.rows.drop(ctx, machineID)
}

// table is the rows of one kind. Each row is a T, kept as JSON.
type table[T any] struct {
	items Items
	kind  string
	name  string         // of a row, for the error where a row cannot be read
	hint  string         // of that error
	id    func(T) string // the id that a row itself states; nil where rows state none
}

// row is one row of a table.
type row[T any] struct {
	id      string
	size    int // bytes of its JSON
	content T
}

// read decodes a row. It is Corrupt where that fails, without a cause: a cause could
// quote a value.
func (t table[T]) read(it keyturn.Item) (T, error) {
	var content T
	if err := json.Unmarshal(it.Body, &content); err != nil || t.id != nil && t.id(content) != it.ID {
		var none T
		return none, keyturn.E(keyturn.Corrupt, t.name+" cannot be read", t.hint)
	}
	return content, nil
}

// get returns one row; NotFound where there is none.
func (t table[T]) get(ctx context.Context, id string) (T, error) {
	it, err := t.items.Item(ctx, t.kind, id)
	if err != nil {
		var none T
		return none, err
	}
	return t.read(it)
}

// has reports whether there is a row, which need not be readable.
func (t table[T]) has(ctx context.Context, id string) (bool, error) {
	_, err := t.items.Item(ctx, t.kind, id)
	if errors.Is(err, keyturn.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// all returns every row, in no particular order.
func (t table[T]) all(ctx context.Context) ([]row[T], error) {
	var out []row[T]
	for it, err := range t.items.Items(ctx, t.kind) {
		if err != nil {
			return nil, err
		}
		content, err := t.read(it)
		if err != nil {
			return nil, err
		}
		out = append(out, row[T]{it.ID, len(it.Body), content})
	}
	return out, nil
}

// update changes one row in one durable transaction. change gets the row, nil where
// there is none, and returns the new one and when that expires, zero for never; nil
// removes the row. An error of change leaves everything as it was.
func (t table[T]) update(ctx context.Context, id string, change func(have *T) (*T, time.Time, error)) error {
	return t.items.UpdateItem(ctx, t.kind, id, func(it keyturn.Item) (keyturn.Item, error) {
		var have *T
		if it.Body != nil {
			content, err := t.read(it)
			if err != nil {
				return it, err
			}
			have = &content
		}
		next, expires, err := change(have)
		if err != nil {
			return it, err
		}
		if next == nil {
			return keyturn.Item{ID: id}, nil
		}
		body, err := json.Marshal(next)
		if err != nil {
			return it, keyturn.E(keyturn.Internal, t.name+" has no JSON form", "") // a cause could quote a value
		}
		return keyturn.Item{ID: id, Body: body, Expires: expires}, nil
	})
}

// put writes a row that never expires over whatever is there.
func (t table[T]) put(ctx context.Context, id string, content T) error {
	body, err := json.Marshal(content)
	if err != nil {
		return keyturn.E(keyturn.Internal, t.name+" has no JSON form", "")
	}
	return t.items.UpdateItem(ctx, t.kind, id, func(keyturn.Item) (keyturn.Item, error) {
		return keyturn.Item{ID: id, Body: body}, nil
	})
}

// drop removes a row, whether or not it is there or readable.
func (t table[T]) drop(ctx context.Context, id string) error {
	return t.items.UpdateItem(ctx, t.kind, id, func(keyturn.Item) (keyturn.Item, error) {
		return keyturn.Item{ID: id}, nil
	})
}
