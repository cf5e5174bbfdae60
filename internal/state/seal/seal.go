// Package seal holds the keys of a store, and encrypts with them.
//
// A root key, which lies outside the store, wraps the store's random master keys.
// Each master key has a number, its epoch; there is one, or two while the newer
// one takes the place of the older (state.Rekey). Of a master key all others are
// derived with HKDF-SHA-256: those under which rows are looked up and added up by
// HMAC-SHA-256, and one for each purpose of encryption (AES-256-GCM).
//
// A ciphertext begins with its epoch. Associated data binds it to the format, the
// store, its purpose and its place, so that a row that was edited or moved cannot
// be opened.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strconv"

	"github.com/keyturn/keyturn/internal/state/codec"
)

// Format is the version of the form of ciphertexts, and part of their associated data.
const Format = 2

const (
	// KeySize is the length of all keys, in bytes.
	KeySize = 32
	// TagSize is how many bytes at the end of a ciphertext are GCM's tag.
	TagSize   = 16
	nonceSize = 12 // random, in front of what GCM encrypted
	epochSize = 4
)

// Purpose says what a key is for.
type Purpose int

// The purposes.
const (
	Head Purpose = iota // of the store, and of secrets
	Info                // versions
	Data                // data keys
	Log                 // records
	Item                // items
	purposes
)

var names = [purposes]string{"head", "info", "data", "log", "item"}

// key is a master key and what is derived of it.
type key struct {
	epoch  int
	store  string // id
	master []byte
	index  []byte // of HMACs under which rows are looked up
	sum    []byte // of HMACs that are added up
	// The AEADs draw their nonces themselves (96 random bits), which is safe for 2^32
	// messages each.
	aead [purposes]cipher.AEAD
}

func newKey(store string, epoch int, master []byte) (*key, error) {
	k := &key{epoch: epoch, store: store, master: master}
	if len(master) != KeySize || epoch < 0 || epoch > 1<<31 {
		return nil, errors.New("not a master key")
	}
	var err error
	derive := func(purpose string) []byte {
		b, e := hkdf.Key(sha256.New, master, []byte(store), "keyturn store "+purpose, KeySize)
		err = errors.Join(err, e)
		return b
	}
	k.index, k.sum = derive("index"), derive("sum")
	for p, name := range names {
		var e error
		k.aead[p], e = NewAEAD(derive(name))
		err = errors.Join(err, e)
	}
	return k, err
}

// NewAEAD returns the cipher of a data key; it draws its nonces itself.
func NewAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (k *key) hmac(with []byte, parts []string) []byte {
	h := hmac.New(sha256.New, with)
	h.Write(place(k.store, parts))
	return h.Sum(nil)
}

// place is the associated data of one ciphertext: format, store, and parts that
// begin with a purpose. Each part has its length in front, so that no two lists
// give the same bytes.
func place(store string, parts []string) []byte {
	e := make(codec.Encoder, 0, 128)
	e.Text("keyturn " + strconv.Itoa(Format))
	e.Text(store)
	for _, p := range parts {
		e.Text(p)
	}
	return e
}

// Random returns n random bytes.
func Random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// Ring is the keys of a store, of one epoch or of two. It does not change.
type Ring struct {
	keys []*key // the newest first
}

// NewRing returns the keys of a new store, drawn by chance.
func NewRing(store string) (*Ring, error) {
	k, err := newKey(store, 1, Random(KeySize))
	return &Ring{[]*key{k}}, err
}

// Next returns the ring with a new key, which is the newest from now on, beside
// the newest so far.
func (r *Ring) Next() (*Ring, error) {
	now := r.keys[0]
	k, err := newKey(now.store, now.epoch+1, Random(KeySize))
	return &Ring{[]*key{k, now}}, err
}

// Last returns the ring with its newest key alone.
func (r *Ring) Last() *Ring { return &Ring{r.keys[:1:1]} }

// Epochs returns the numbers of the oldest key and of the newest.
func (r *Ring) Epochs() (oldest, newest int) {
	return r.keys[len(r.keys)-1].epoch, r.keys[0].epoch
}

// Prefix returns what all begins with that is encrypted under the newest key.
func (r *Ring) Prefix() []byte {
	return binary.BigEndian.AppendUint32(nil, uint32(r.keys[0].epoch))
}

// Overhead is how many bytes stand in front of what was encrypted: with the tag at
// the end they stand for the whole.
func (r *Ring) Overhead() int {
	return epochSize + nonceSize
}

// of returns the key of a ciphertext, and the rest of it; nil where it is of no
// epoch of the ring.
func (r *Ring) of(sealed []byte) (*key, []byte) {
	if len(sealed) < epochSize {
		return nil, nil
	}
	epoch := int(binary.BigEndian.Uint32(sealed))
	for _, k := range r.keys {
		if k.epoch == epoch {
			return k, sealed[epochSize:]
		}
	}
	return nil, nil
}

// Seal encrypts under the newest key; parts are the place, and begin with what it
// is.
func (r *Ring) Seal(p Purpose, plain []byte, parts ...string) []byte {
	k := r.keys[0]
	out := make([]byte, epochSize, epochSize+nonceSize+len(plain)+TagSize)
	binary.BigEndian.PutUint32(out, uint32(k.epoch))
	return k.aead[p].Seal(out, nil, plain, place(k.store, parts))
}

// Open decrypts what Seal made, under any key of the ring. An error says only that
// it is not that.
func (r *Ring) Open(p Purpose, sealed []byte, parts ...string) ([]byte, error) {
	k, rest := r.of(sealed)
	if k == nil {
		return nil, errors.New("of another epoch")
	}
	return k.aead[p].Open(nil, nil, rest, place(k.store, parts))
}

// OpenNewest is Open of what every change of keys makes anew: what an older epoch
// of the ring has made is refused.
func (r *Ring) OpenNewest(p Purpose, sealed []byte, parts ...string) ([]byte, error) {
	if k, _ := r.of(sealed); k != r.keys[0] {
		return nil, errors.New("of another epoch")
	}
	return r.Open(p, sealed, parts...)
}

// Place is the associated data of what is encrypted with a data key.
func (r *Ring) Place(parts ...string) []byte {
	return place(r.keys[0].store, parts)
}

// MAC returns the HMAC under which new rows stand.
func (r *Ring) MAC(parts ...string) []byte { return r.keys[0].hmac(r.keys[0].index, parts) }

// MACs returns the HMACs under which a row may stand: under the newest key, and
// under the oldest, which may be the same.
func (r *Ring) MACs(parts ...string) [2][]byte {
	mac := r.MAC(parts...)
	old := r.keys[len(r.keys)-1]
	if old == r.keys[0] {
		return [2][]byte{mac, mac}
	}
	return [2][]byte{mac, old.hmac(old.index, parts)}
}

// Tag returns what one row adds to a sum: parts are the row, and sealed the
// beginning of its ciphertext. One of no epoch gets a tag too, which no row has.
func (r *Ring) Tag(sealed []byte, parts ...string) [KeySize]byte {
	k, _ := r.of(sealed)
	if k == nil {
		return [KeySize]byte(r.keys[0].hmac(r.keys[0].sum, append([]string{"of no epoch"}, parts...)))
	}
	return [KeySize]byte(k.hmac(k.sum, parts))
}

// Root is the root key of one store.
type Root struct {
	store string
	wrap  cipher.AEAD
	// Check tells a wrong root key from a damaged store.
	Check []byte
}

// NewRoot takes the 32 bytes of a root key.
func NewRoot(store string, root []byte) (*Root, error) {
	if len(root) != KeySize {
		return nil, errors.New("a root key has 32 bytes")
	}
	w, err1 := hkdf.Key(sha256.New, root, []byte(store), "keyturn root wrap", KeySize)
	check, err2 := hkdf.Key(sha256.New, root, []byte(store), "keyturn root check", KeySize)
	wrap, err3 := NewAEAD(w)
	return &Root{store, wrap, check}, errors.Join(err1, err2, err3)
}

// Wrap encrypts the master keys of a ring; kind and where tell of the root key.
func (o *Root) Wrap(r *Ring, kind, where string) []byte {
	e := make(codec.Encoder, 0, 2*KeySize+8)
	e.Num(len(r.keys))
	for _, k := range r.keys {
		e.Num(k.epoch)
		e.Bytes(k.master)
	}
	return o.wrap.Seal(nil, nil, e, place(o.store, []string{"master", kind, where}))
}

// Unwrap returns the ring that Wrap was given.
func (o *Root) Unwrap(wrapped []byte, kind, where string) (*Ring, error) {
	plain, err := o.wrap.Open(nil, nil, wrapped, place(o.store, []string{"master", kind, where}))
	if err != nil {
		return nil, err
	}
	d := codec.Decoder{Rest: plain}
	r := &Ring{}
	for range d.Count() {
		epoch, master := d.Num(), d.Bytes()
		k, err := newKey(o.store, epoch, master)
		if err != nil || d.Bad {
			return nil, errors.New("not a ring of keys")
		}
		r.keys = append(r.keys, k)
	}
	if !d.Done() || len(r.keys) < 1 || len(r.keys) > 2 || len(r.keys) == 2 && r.keys[0].epoch <= r.keys[1].epoch {
		return nil, errors.New("not a ring of keys")
	}
	return r, nil
}

// Derive makes a key for a purpose of another.
func Derive(key []byte, store, purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, key, []byte(store), purpose, KeySize)
}
