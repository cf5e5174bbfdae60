package broker

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

const (
	candidateKind = "candidate"
	// MaxCandidates is how many sealed candidates one caller may have waiting.
	MaxCandidates = 100
	candidateLife = 24 * time.Hour
	// Of one candidate; platforms have limits of their own.
	maxSealedFields = 1000
	maxSealedBytes  = 16 << 20
	maxWaiting      = 8 << 20 // bytes that an agent's or service's candidates may take up
	// maxGenerated is how many fields one put may have generated.
	maxGenerated = 100
)

// candidate is a set of values that waits, encrypted, for one put.
type candidate struct {
	Ref   string            `json:"ref"`
	Owner string            `json:"owner"`
	Data  map[string][]byte `json:"data"`
}

// Seal implements keyturn.Service.
func (b *Broker) Seal(ctx context.Context, ref keyturn.Ref, values map[string]keyturn.Value) (string, error) {
	c, err := b.receive(ctx, keyturn.PutSecret{Ref: ref, Candidate: "-"})
	if err != nil {
		return "", b.refuse(ctx, c, err)
	}
	if err := b.decide(c); err != nil {
		return "", b.refuse(ctx, c, err)
	}
	if err := checkSealed(ref, values); err != nil {
		return "", tell(c, err)
	}
	want := candidate{Ref: ref.Secret().String(), Owner: c.actor.Principal(), Data: map[string][]byte{}}
	for f, v := range values {
		want.Data[f] = v.Reveal()
	}
	mine, waiting := 0, 0
	for it, err := range b.Items.Items(ctx, candidateKind) {
		if err != nil {
			return "", tell(c, err)
		}
		var have candidate
		if err := json.Unmarshal(it.Body, &have); err != nil {
			return "", tell(c, keyturn.E(keyturn.Corrupt, "a sealed candidate cannot be read", "")) // a cause could quote it
		}
		if have.Owner != want.Owner {
			continue
		}
		waiting += len(it.Body)
		if mine++; have.Ref == want.Ref && maps.EqualFunc(have.Data, want.Data, func(x, y []byte) bool { return string(x) == string(y) }) {
			return it.ID, nil
		}
	}
	if mine >= MaxCandidates || c.actor.Kind != keyturn.Person && waiting > maxWaiting {
		return "", tell(c, keyturn.E(keyturn.Denied, fmt.Sprintf("%s has %d values waiting already", want.Owner, mine),
			"have some of the waiting requests answered; unused values vanish after a day"))
	}
	body, err := json.Marshal(want)
	if err != nil {
		return "", tell(c, keyturn.E(keyturn.Internal, "a candidate has no form", ""))
	}
	id := keyturn.NewID(b.Now())
	err = b.Items.UpdateItem(ctx, candidateKind, id, func(keyturn.Item) (keyturn.Item, error) {
		return keyturn.Item{ID: id, Body: body, Expires: b.Now().Add(candidateLife)}, nil
	})
	return id, tell(c, err)
}

// checkSealed bounds what is kept for later, whoever asks. Nothing in its errors
// tells the size of a value.
func checkSealed(ref keyturn.Ref, values map[string]keyturn.Value) error {
	if len(values) > maxSealedFields {
		return keyturn.E(keyturn.Invalid, fmt.Sprintf("a secret has at most %d fields", maxSealedFields), "use several secrets")
	}
	total := 0
	for f, v := range values {
		if _, err := ref.WithField(f); err != nil || f == "" {
			return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(f)+"' cannot be the name of a field", "name it with text, not too long")
		}
		total += v.Len()
	}
	if total > maxSealedBytes {
		return keyturn.E(keyturn.Invalid, "these values are together too large to be kept", "use several secrets")
	}
	return nil
}

// unseal returns a candidate's values to a put of the caller who sealed them, on
// the reference that they were sealed for.
func (b *Broker) unseal(ctx context.Context, c *call, op keyturn.PutSecret) (map[string]keyturn.Value, error) {
	values := map[string]keyturn.Value{}
	if op.Candidate == "" {
		return values, nil
	}
	gone := keyturn.E(keyturn.NotFound, "the sealed values are no longer there", "give the values again")
	it, err := b.Items.Item(ctx, candidateKind, op.Candidate)
	if err != nil {
		if keyturn.AsError(err).Code == keyturn.NotFound {
			return nil, gone
		}
		return nil, err
	}
	var have candidate
	if err := json.Unmarshal(it.Body, &have); err != nil {
		return nil, keyturn.E(keyturn.Corrupt, "a sealed candidate cannot be read", "")
	}
	if have.Owner != c.actor.Principal() || have.Ref != op.Ref.Secret().String() {
		return nil, gone // somebody else's: not even its existence is told
	}
	for f, data := range have.Data {
		values[f] = keyturn.NewValue(data)
	}
	return values, nil
}

func (b *Broker) putSecret(ctx context.Context, c *call, op keyturn.PutSecret) (keyturn.Result, error) {
	values, err := b.unseal(ctx, c, op)
	if err != nil {
		return nil, err
	}
	for _, g := range op.Generate {
		if _, dup := values[g.Field]; dup {
			return nil, keyturn.E(keyturn.Invalid, "the field '"+keyturn.Clean(g.Field)+"' is both given and generated", "")
		}
		if values[g.Field], err = generate(g); err != nil {
			return nil, err
		}
	}
	for _, f := range op.Public {
		if _, ok := values[f]; !ok && op.Mode != keyturn.Merge {
			return nil, keyturn.E(keyturn.Invalid, "the field '"+keyturn.Clean(f)+"' cannot be public: it is not among those put", "")
		}
	}
	expect := op.IfVersion
	if held, ok := c.held[op.Ref.Secret().String()]; ok && expect == "" {
		// Approved for a new secret, or for this version.
		if expect, _, _ = strings.Cut(held, " "); expect == "" {
			expect = keyturn.None
		}
	}
	res, err := on(b, c, op.Ref, func(m *platform.Mount, r keyturn.Receipt) (keyturn.Result, error) {
		if !m.Spec().CompareAndSet {
			expect = op.IfVersion // docs: then the check of an approval is a race
		}
		ch, err := m.Put(ctx, op.Ref, platform.Put{Values: values, IfVersion: expect, Mode: op.Mode,
			Labels: op.Labels, Public: op.Public, Expires: op.Expires})
		return &keyturn.Changed{Receipt: r, Secret: ch.Info, Created: ch.Created, Before: ch.Before, Target: m.Target()}, err
	})
	if op.Candidate != "" {
		// The put is over, done or failed: who tries again seals again. A candidate
		// that cannot be removed now vanishes by itself.
		_ = b.Items.UpdateItem(context.WithoutCancel(ctx), candidateKind, op.Candidate, func(it keyturn.Item) (keyturn.Item, error) {
			it.Body = nil
			return it, nil
		})
	}
	return res, err
}

func validPut(op keyturn.PutSecret) error {
	switch {
	case op.Ref.Version() != "":
		return keyturn.E(keyturn.Invalid, "a put makes a new version: the reference cannot name one", "leave ?version= out; --if-version says which one must be current")
	case op.Ref.Field() != "":
		return keyturn.E(keyturn.Invalid, "a put takes the secret's reference, without a field", "name the fields behind it: keyturn put "+keyturn.Quote(op.Ref.Secret().Short())+" "+keyturn.Quote(op.Ref.Field()))
	case op.Mode != "" && op.Mode != keyturn.Merge && op.Mode != keyturn.Replace:
		return keyturn.E(keyturn.Invalid, "a put merges or replaces", "")
	case len(op.Generate) > maxGenerated:
		return keyturn.E(keyturn.Invalid, fmt.Sprintf("at most %d fields are generated at once", maxGenerated), "use several puts with --merge")
	case !op.Expires.Equal(op.Expires.Truncate(time.Second)) || op.Expires.Location() != time.UTC:
		return keyturn.E(keyturn.Invalid, "an expiry is in UTC and whole seconds", "")
	case op.Candidate == "" && len(op.Generate) == 0 && op.Mode != keyturn.Merge:
		return keyturn.E(keyturn.Invalid, "no value was given", "name a field, or --generate FIELD; with --merge only labels and expiry can change")
	case !slices.IsSortedFunc(op.Generate, func(x, y keyturn.Generate) int { return compare(x.Field, y.Field) }):
		return keyturn.E(keyturn.Invalid, "generated fields must be sorted", "")
	case !slices.IsSorted(op.Public):
		return keyturn.E(keyturn.Invalid, "public fields must be sorted", "")
	}
	for i, g := range op.Generate {
		if i > 0 && g.Field == op.Generate[i-1].Field {
			return keyturn.E(keyturn.Invalid, "the field '"+keyturn.Clean(g.Field)+"' is generated twice", "")
		}
		if err := checkGenerate(g); err != nil {
			return err
		}
	}
	return nil
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// charsets are the sets that values can be generated of. Letters that are easily
// mistaken stay in: values are not for reading.
var charsets = map[string]string{
	"alnum":     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
	"alpha":     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
	"lower":     "abcdefghijklmnopqrstuvwxyz",
	"upper":     "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
	"digits":    "0123456789",
	"hex":       "0123456789abcdef",
	"base64url": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
	"symbols":   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&()*+,-./:;<=>?@[]^_{|}~",
}

const (
	defaultLength = 32
	maxLength     = 4096
)

func checkGenerate(g keyturn.Generate) error {
	if g.Field == "" {
		return keyturn.E(keyturn.Invalid, "a generated field needs a name", "write --generate FIELD[:LENGTH[:CHARSET]]")
	}
	if g.Charset == "uuid" {
		if g.Length != 0 {
			return keyturn.E(keyturn.Invalid, "a UUID has no length to choose", "write --generate FIELD:uuid")
		}
		return nil
	}
	if _, ok := charsets[g.Charset]; !ok && g.Charset != "" {
		return keyturn.E(keyturn.Invalid, "no character set '"+keyturn.Clean(g.Charset)+"'",
			fmt.Sprintf("there are %v and uuid", slices.Sorted(maps.Keys(charsets))))
	}
	if g.Length < 0 || g.Length > maxLength {
		return keyturn.E(keyturn.Invalid, "a generated value has 1 to 4096 characters", "")
	}
	return nil
}

// generate makes a value of independent, evenly drawn characters, or a random
// UUID (RFC 9562, version 4).
func generate(g keyturn.Generate) (keyturn.Value, error) {
	if err := checkGenerate(g); err != nil {
		return keyturn.Value{}, err
	}
	if g.Charset == "uuid" {
		var u [16]byte
		_, _ = rand.Read(u[:])
		u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
		return keyturn.NewValue(fmt.Appendf(nil, "%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])), nil
	}
	set, n := charsets[g.Charset], g.Length
	if set == "" {
		set = charsets["alnum"]
	}
	if n == 0 {
		n = defaultLength
	}
	out := make([]byte, n)
	for i := range out {
		k, err := rand.Int(rand.Reader, big.NewInt(int64(len(set))))
		if err != nil {
			return keyturn.Value{}, keyturn.E(keyturn.Internal, "the system gives no random numbers", "").Because(err)
		}
		out[i] = set[k.Int64()]
	}
	return keyturn.NewValue(out), nil
}
