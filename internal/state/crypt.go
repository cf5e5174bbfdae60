package state

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"strconv"

	"github.com/keyturn/keyturn/internal/state/codec"
)

const keySize = 32

// keys are those of one store. The AEADs draw their nonces themselves (96 random
// bits, in front of the ciphertext), which is safe for 2^32 messages each.
type keys struct {
	store string // id, in hexadecimal
	index []byte // of HMACs under which rows are looked up
	sum   []byte // of HMACs that are added up
	head  cipher.AEAD
	info  cipher.AEAD
	data  cipher.AEAD // wraps data keys
	log   cipher.AEAD
	item  cipher.AEAD
}

func newKeys(store string, master []byte) (*keys, error) {
	k := &keys{store: store}
	var err error
	derive := func(purpose string) []byte {
		b, e := hkdf.Key(sha256.New, master, []byte(store), "keyturn store "+purpose, keySize)
		err = errors.Join(err, e)
		return b
	}
	k.index, k.sum = derive("index"), derive("sum")
	for _, p := range []struct {
		to      *cipher.AEAD
		purpose string
	}{{&k.head, "head"}, {&k.info, "info"}, {&k.data, "data"}, {&k.log, "log"}, {&k.item, "item"}} {
		var e error
		*p.to, e = newAEAD(derive(p.purpose))
		err = errors.Join(err, e)
	}
	return k, err
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// rootKeys returns what the root key is used for: wrapping the master key, and a
// check that tells a wrong root key from a damaged store.
func rootKeys(root []byte, store string) (wrap cipher.AEAD, check []byte, err error) {
	if len(root) != keySize {
		return nil, nil, errors.New("a root key has 32 bytes")
	}
	w, err1 := hkdf.Key(sha256.New, root, []byte(store), "keyturn root wrap", keySize)
	check, err2 := hkdf.Key(sha256.New, root, []byte(store), "keyturn root check", keySize)
	wrap, err3 := newAEAD(w)
	return wrap, check, errors.Join(err1, err2, err3)
}

func seal(a cipher.AEAD, plain, ad []byte) []byte { return a.Seal(nil, nil, plain, ad) }

func unseal(a cipher.AEAD, sealed, ad []byte) ([]byte, error) { return a.Open(nil, nil, sealed, ad) }

// mac returns the HMAC under which rows are looked up.
func (k *keys) mac(parts ...string) []byte {
	h := hmac.New(sha256.New, k.index)
	h.Write(k.place(parts...))
	return h.Sum(nil)
}

// place is the associated data of one ciphertext: format, store, and parts that
// begin with a purpose. Each part has its length in front, so that no two lists
// give the same bytes.
func (k *keys) place(parts ...string) []byte {
	return place(k.store, parts...)
}

func place(store string, parts ...string) []byte {
	e := make(codec.Encoder, 0, 128)
	e.Text("keyturn " + strconv.Itoa(Format))
	e.Text(store)
	for _, p := range parts {
		e.Text(p)
	}
	return e
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
