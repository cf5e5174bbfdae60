package journal

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
)

const (
	candidateKind = "candidate"
	// MaxCandidates is how many candidates one caller may have waiting.
	MaxCandidates = 100
	// CandidateLife is how long an unused candidate is kept.
	CandidateLife = 24 * time.Hour
	// The limits of one candidate; platforms have limits of their own.
	maxFields  = 1000
	maxBytes   = 16 << 20
	maxWaiting = 8 << 20 // bytes that all candidates of one agent or service may take up
)

// Candidates keeps values, encrypted, until the one put that they are for: an
// operation names them by an id, so that it can be hashed, approved and recorded
// without them.
type Candidates struct {
	rows table[candidate]
	now  func() time.Time
}

// candidate is a set of values, as its row holds it.
type candidate struct {
	Ref   string            `json:"ref"`
	Owner string            `json:"owner"`
	Data  map[string][]byte `json:"data"`
}

// Seal keeps values for one put on ref by actor, durably, and returns the id that the
// put names them by. The same values by the same caller give the same id while they
// wait. It is Invalid for too many or too large values and for names that no field can
// have, and Denied where the caller has too many candidates waiting.
func (c Candidates) Seal(ctx context.Context, actor keyturn.Actor, ref keyturn.Ref, values map[string]keyturn.Value) (string, error) {
	if err := checkValues(ref, values); err != nil {
		return "", err
	}
	want := candidate{Ref: ref.Secret().String(), Owner: actor.Principal(), Data: map[string][]byte{}}
	for f, v := range values {
		want.Data[f] = v.Reveal()
	}
	rows, err := c.rows.all(ctx)
	if err != nil {
		return "", err
	}
	mine, waiting := 0, 0
	for _, r := range rows {
		have := r.content
		if have.Owner != want.Owner {
			continue
		}
		waiting += r.size
		if mine++; have.Ref == want.Ref && maps.EqualFunc(have.Data, want.Data, func(x, y []byte) bool { return string(x) == string(y) }) {
			return r.id, nil
		}
	}
	if mine >= MaxCandidates || actor.Kind != keyturn.Person && waiting > maxWaiting {
		return "", keyturn.E(keyturn.Denied, fmt.Sprintf("%s has %d values waiting already", want.Owner, mine),
			"have some of the waiting requests answered; unused values vanish after a day")
	}
	now := c.now()
	id := keyturn.NewID(now)
	return id, c.rows.update(ctx, id, func(*candidate) (*candidate, time.Time, error) {
		return &want, now.Add(CandidateLife), nil
	})
}

// Take returns the values of a candidate and removes it, in one transaction: of
// several puts that name it exactly one gets them. It is NotFound where there is
// none, and also where the candidate is another caller's or was sealed for another
// secret, so that its existence is not told.
func (c Candidates) Take(ctx context.Context, actor keyturn.Actor, ref keyturn.Ref, id string) (map[string]keyturn.Value, error) {
	values := map[string]keyturn.Value{}
	err := c.rows.update(ctx, id, func(have *candidate) (*candidate, time.Time, error) {
		if have == nil || have.Owner != actor.Principal() || have.Ref != ref.Secret().String() {
			return nil, time.Time{}, keyturn.E(keyturn.NotFound, "the sealed values are no longer there", "give the values again")
		}
		for f, data := range have.Data {
			values[f] = keyturn.NewValue(data)
		}
		return nil, time.Time{}, nil
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}

// Fields returns the sorted names of the fields that a candidate has; none where Take
// would find none.
func (c Candidates) Fields(ctx context.Context, actor keyturn.Actor, ref keyturn.Ref, id string) ([]string, error) {
	if is, err := c.rows.has(ctx, id); err != nil || !is {
		return nil, err
	}
	have, err := c.rows.get(ctx, id)
	if err != nil || have.Owner != actor.Principal() || have.Ref != ref.Secret().String() {
		return nil, err
	}
	return slices.Sorted(maps.Keys(have.Data)), nil
}

// checkValues bounds what is kept, whoever asks. Its errors do not tell the size of
// any value.
func checkValues(ref keyturn.Ref, values map[string]keyturn.Value) error {
	if len(values) > maxFields {
		return keyturn.E(keyturn.Invalid, fmt.Sprintf("a secret has at most %d fields", maxFields), "use several secrets")
	}
	total := 0
	for f, v := range values {
		if _, err := ref.WithField(f); err != nil || f == "" {
			return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(f)+"' cannot be the name of a field", "name it with text, not too long")
		}
		total += v.Len()
	}
	if total > maxBytes {
		return keyturn.E(keyturn.Invalid, "these values are together too large to be kept", "use several secrets")
	}
	return nil
}
