// Package tokens keeps the tokens of logins as rows of keyturn's own store, which
// encrypts them.
//
// A token belongs to the mount that it was got for, and to the platform, address and
// namespace that issued it. It is looked up by all four, and the row repeats them, to be
// compared. A mount whose address is changed has no token.
package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// Items keeps small encrypted rows. State satisfies it.
type Items interface {
	// Item returns one row; NotFound where there is none or it has expired.
	Item(ctx context.Context, kind, id string) (keyturn.Item, error)
	// UpdateItem replaces one row in one durable transaction; a nil body removes it.
	UpdateItem(ctx context.Context, kind, id string, change func(keyturn.Item) (keyturn.Item, error)) error
}

// Lister is Items that can be listed. State satisfies it.
type Lister interface {
	// Items yields the rows of a kind that have not expired.
	Items(ctx context.Context, kind string) iter.Seq2[keyturn.Item, error]
}

const kind = "token"

// Login is a login that is kept, wherever it belongs.
type Login struct {
	Mount, Platform, Address, Namespace string
	Identity                            string
	Expires                             time.Time // zero: never
}

// List lists all logins that are kept, those of earlier addresses and mounts among
// them. Corrupt where one cannot be read.
func List(ctx context.Context, items Lister) ([]Login, error) {
	var out []Login
	for it, err := range items.Items(ctx, kind) {
		if err != nil {
			return nil, err
		}
		var k kept
		if err := json.Unmarshal(it.Body, &k); err != nil {
			return nil, unreadable()
		}
		clear(k.Token)
		out = append(out, Login{Mount: k.Mount, Platform: k.Platform, Address: k.Address, Namespace: k.Namespace, Identity: k.Identity, Expires: k.Expires})
	}
	return out, nil
}

// Holds reports whether l is in this place.
func (s *Shelf) Holds(l Login) bool {
	return s.place == place{Mount: l.Mount, Platform: l.Platform, Address: l.Address, Namespace: l.Namespace}
}

// unreadable has no cause, which could quote a token.
func unreadable() error {
	return keyturn.E(keyturn.Corrupt, "a token that is kept cannot be read", "log in once more")
}

// place is where a token belongs.
type place struct {
	Mount     string `json:"mount"`
	Platform  string `json:"platform"`
	Address   string `json:"address"`
	Namespace string `json:"namespace,omitempty"`
}

// kept is a token as it is kept.
type kept struct {
	place
	Token     []byte    `json:"token"`
	Accessor  string    `json:"accessor,omitempty"`
	Identity  string    `json:"identity,omitempty"`
	Policies  []string  `json:"policies,omitempty"`
	Issued    time.Time `json:"issued"`
	Expires   time.Time `json:"expires,omitzero"`
	Renewable bool      `json:"renewable,omitempty"`
	Words     string    `json:"words,omitempty"`
	Given     bool      `json:"given,omitempty"`
	By        string    `json:"by,omitempty"`
}

// Shelf holds the token of one place. It implements platform.Keeper.
type Shelf struct {
	items Items
	place place
	id    string
}

var _ platform.Keeper = (*Shelf)(nil)

// At returns the shelf of a mount: of a platform's server, as one of its namespaces
// sees it. Addresses that differ only in the case of the host or a slash at the end are
// one.
func At(items Items, mount, platformName, address, namespace string) *Shelf {
	p := place{Mount: mount, Platform: platformName, Address: platform.CanonicalAddress(address), Namespace: strings.Trim(namespace, "/")}
	id, _ := json.Marshal(p) // plain members only
	return &Shelf{items: items, place: p, id: string(id)}
}

// Load implements platform.Keeper.
func (s *Shelf) Load(ctx context.Context) (platform.Token, error) {
	it, err := s.items.Item(ctx, kind, s.id)
	if errors.Is(err, keyturn.NotFound) {
		return platform.Token{}, s.none()
	}
	if err != nil {
		return platform.Token{}, err
	}
	return s.read(it)
}

// read reads a row; Corrupt where it is not of this place.
func (s *Shelf) read(it keyturn.Item) (platform.Token, error) {
	var k kept
	if err := json.Unmarshal(it.Body, &k); err != nil || k.place != s.place {
		return platform.Token{}, unreadable()
	}
	t := platform.Token{Value: keyturn.NewValue(k.Token), Accessor: k.Accessor, Identity: k.Identity, Policies: k.Policies,
		Issued: k.Issued, Expires: k.Expires, Renewable: k.Renewable, Words: k.Words, Given: k.Given, By: k.By}
	clear(k.Token)
	return t, nil
}

func (s *Shelf) none() error {
	where := s.place.Address
	if s.place.Namespace != "" {
		where += ", namespace " + s.place.Namespace
	}
	return keyturn.E(keyturn.NotFound, "no login of the mount '"+s.place.Mount+"' to "+keyturn.Clean(where)+" is kept here", "")
}

// row is how t is kept: without an end, since what has run out is told, and nothing takes
// its place.
func (s *Shelf) row(t platform.Token) (keyturn.Item, error) {
	k := kept{place: s.place, Token: t.Value.Reveal(), Accessor: t.Accessor, Identity: t.Identity, Policies: t.Policies,
		Issued: t.Issued, Expires: t.Expires, Renewable: t.Renewable, Words: t.Words, Given: t.Given, By: t.By}
	body, err := json.Marshal(k)
	if err != nil {
		return keyturn.Item{}, keyturn.E(keyturn.Internal, "a token has no form", "")
	}
	return keyturn.Item{ID: s.id, Body: body}, nil
}

// Keep implements platform.Keeper. What was there and cannot be read is replaced.
func (s *Shelf) Keep(ctx context.Context, t platform.Token) (platform.Token, error) {
	var before platform.Token
	it, err := s.row(t)
	if err != nil {
		return before, err
	}
	err = s.items.UpdateItem(ctx, kind, s.id, func(old keyturn.Item) (keyturn.Item, error) {
		if before = (platform.Token{}); old.Body != nil {
			before, _ = s.read(old)
		}
		return it, nil
	})
	return before, err
}

// Renewed implements platform.Keeper.
func (s *Shelf) Renewed(ctx context.Context, t platform.Token) (bool, error) {
	it, err := s.row(t)
	if err != nil {
		return false, err
	}
	return s.where(ctx, t, it)
}

// Forget implements platform.Keeper.
func (s *Shelf) Forget(ctx context.Context, t platform.Token) error {
	_, err := s.where(ctx, t, keyturn.Item{})
	return err
}

// where puts a row in the place of t's, and reports whether t was there.
func (s *Shelf) where(ctx context.Context, t platform.Token, it keyturn.Item) (bool, error) {
	was := false
	err := s.items.UpdateItem(ctx, kind, s.id, func(old keyturn.Item) (keyturn.Item, error) {
		if was = false; old.Body == nil {
			return old, nil
		}
		now, err := s.read(old)
		if err != nil || !now.Value.Equal(t.Value) {
			return old, err
		}
		was = true
		return it, nil
	})
	return was && err == nil, err
}
