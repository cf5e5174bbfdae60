package journal

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/keyturn/keyturn"
)

const (
	proofKind = "proof"
	// MinPassphrase is the fewest characters that a passphrase may have.
	MinPassphrase = 8
	// freeTries are wrong passphrases without a pause; each further one doubles
	// the pause, from two seconds to an hour.
	freeTries = 3
	maxPause  = time.Hour
)

// Parameters of Argon2id: RFC 9106, section 4, second recommended option (64
// MiB, three passes), with two lanes.
const (
	argonTime   = 3
	argonMemory = 64 << 10
	argonLanes  = 2
)

// Passphrases keeps one passphrase for each person, as an Argon2id verifier, and slows
// guessing down.
type Passphrases struct {
	rows table[verifier] // by principal
	now  func() time.Time
}

type verifier struct {
	Salt   []byte    `json:"salt"`
	Key    []byte    `json:"key"`
	Wrong  int       `json:"wrong,omitempty"` // in a row
	Closed time.Time `json:"closed,omitzero"` // until then no try is looked at
}

// Known reports whether actor has set a passphrase.
func (p Passphrases) Known(ctx context.Context, actor keyturn.Actor) (bool, error) {
	return p.rows.has(ctx, actor.Principal())
}

// Any reports whether anybody has a passphrase, which need not be readable.
func (p Passphrases) Any(ctx context.Context) (bool, error) {
	for _, err := range p.rows.items.Items(ctx, p.rows.kind) {
		return err == nil, err
	}
	return false, nil
}

// Set keeps a person's first passphrase; Conflict where there is one already.
func (p Passphrases) Set(ctx context.Context, actor keyturn.Actor, pass keyturn.Value) error {
	if utf8.RuneCount(pass.Reveal()) < MinPassphrase {
		return keyturn.E(keyturn.Invalid, fmt.Sprintf("a passphrase has at least %d characters", MinPassphrase), "several words are easy to remember")
	}
	v := verifier{Salt: make([]byte, 16)}
	_, _ = rand.Read(v.Salt)
	v.Key = stretch(pass, v.Salt)
	return p.rows.update(ctx, actor.Principal(), func(have *verifier) (*verifier, time.Time, error) {
		if have != nil {
			return nil, time.Time{}, keyturn.E(keyturn.Conflict, actor.Principal()+" has a passphrase already", "")
		}
		return &v, time.Time{}, nil
	})
}

// Check is Denied for a wrong passphrase. After three wrong ones in a row each
// further try has to wait, twice as long each time, until a right one. A try is
// counted before its passphrase is compared, so that many tries at the same time do
// not get past the pause.
func (p Passphrases) Check(ctx context.Context, actor keyturn.Actor, pass keyturn.Value) error {
	var v verifier
	err := p.change(ctx, actor, &v, func() error {
		if wait := v.Closed.Sub(p.now()); wait > 0 && wait <= maxPause { // a longer one is from a clock that has jumped back
			return wrong(fmt.Sprintf("too many wrong passphrases: wait %s", wait.Round(time.Second)))
		}
		if v.Wrong++; v.Wrong >= freeTries {
			v.Closed = p.now().Add(min(maxPause, 2*time.Second<<min(v.Wrong-freeTries, 20))).UTC()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(stretch(pass, v.Salt), v.Key) != 1 {
		return wrong("that is not the passphrase")
	}
	return p.change(ctx, actor, &v, func() error {
		v.Wrong, v.Closed = 0, time.Time{}
		return nil
	})
}

// change changes actor's verifier, and leaves the new one in v.
func (p Passphrases) change(ctx context.Context, actor keyturn.Actor, v *verifier, f func() error) error {
	return p.rows.update(ctx, actor.Principal(), func(have *verifier) (*verifier, time.Time, error) {
		if have == nil {
			return nil, time.Time{}, wrong(actor.Principal() + " has no passphrase yet")
		}
		*v = *have
		if err := f(); err != nil {
			return nil, time.Time{}, err
		}
		return v, time.Time{}, nil
	})
}

func stretch(pass keyturn.Value, salt []byte) []byte {
	return argon2.IDKey(pass.Reveal(), salt, argonTime, argonMemory, argonLanes, 32)
}

func wrong(message string) *keyturn.Error {
	e := keyturn.E(keyturn.Denied, message, "nothing was done; try again")
	e.By = "person"
	return e
}
