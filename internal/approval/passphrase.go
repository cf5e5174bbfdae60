package approval

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
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

// Passphrases keeps one passphrase for each person as an Argon2id verifier, and
// slows guessing down. It is safe for concurrent use, by several processes too.
type Passphrases struct {
	items Items
	now   func() time.Time
}

// NewPassphrases returns the passphrases kept in items; now is the clock,
// time.Now where nil.
func NewPassphrases(items Items, now func() time.Time) *Passphrases {
	if now == nil {
		now = time.Now
	}
	return &Passphrases{items: items, now: now}
}

type verifier struct {
	Salt   []byte    `json:"salt"`
	Key    []byte    `json:"key"`
	Wrong  int       `json:"wrong,omitempty"` // in a row
	Closed time.Time `json:"closed,omitzero"` // until then no try is looked at
}

// Known reports whether actor has set a passphrase.
func (p *Passphrases) Known(ctx context.Context, actor keyturn.Actor) (bool, error) {
	for it, err := range p.items.Items(ctx, proofKind) {
		if err != nil {
			return false, err
		}
		if it.ID == actor.Principal() {
			return true, nil
		}
	}
	return false, nil
}

// Set keeps a first passphrase; Conflict where there is one already.
func (p *Passphrases) Set(ctx context.Context, actor keyturn.Actor, pass keyturn.Value) error {
	if utf8.RuneCount(pass.Reveal()) < MinPassphrase {
		return keyturn.E(keyturn.Invalid, fmt.Sprintf("a passphrase has at least %d characters", MinPassphrase), "several words are easy to remember")
	}
	v := verifier{Salt: make([]byte, 16)}
	_, _ = rand.Read(v.Salt)
	v.Key = stretch(pass, v.Salt)
	return p.items.UpdateItem(ctx, proofKind, actor.Principal(), func(old keyturn.Item) (keyturn.Item, error) {
		if old.Body != nil {
			return old, keyturn.E(keyturn.Conflict, actor.Principal()+" has a passphrase already", "")
		}
		return v.item(actor)
	})
}

// Check reports a wrong passphrase as Denied. After three wrong ones in a row
// each further try has to wait, twice as long each time; a right one ends that.
// A try is counted before the answer is known, so that several at once do not
// get past the pause.
func (p *Passphrases) Check(ctx context.Context, actor keyturn.Actor, pass keyturn.Value) error {
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

func (p *Passphrases) change(ctx context.Context, actor keyturn.Actor, v *verifier, f func() error) error {
	return p.items.UpdateItem(ctx, proofKind, actor.Principal(), func(it keyturn.Item) (keyturn.Item, error) {
		if it.Body == nil {
			return it, wrong(actor.Principal() + " has no passphrase yet")
		}
		*v = verifier{}
		if err := json.Unmarshal(it.Body, v); err != nil {
			return it, keyturn.E(keyturn.Corrupt, "the passphrase's verifier cannot be read", "").Because(err)
		}
		if err := f(); err != nil {
			return it, err
		}
		return v.item(actor)
	})
}

func (v verifier) item(actor keyturn.Actor) (keyturn.Item, error) {
	body, err := json.Marshal(v)
	return keyturn.Item{ID: actor.Principal(), Body: body}, err
}

func stretch(pass keyturn.Value, salt []byte) []byte {
	return argon2.IDKey(pass.Reveal(), salt, argonTime, argonMemory, argonLanes, 32)
}

func wrong(message string) *keyturn.Error {
	e := keyturn.E(keyturn.Denied, message, "nothing was done; try again")
	e.By = "person"
	return e
}
