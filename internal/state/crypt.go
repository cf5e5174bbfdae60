package state

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
	"time"
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
	e := make(encoder, 0, 128)
	e.text("keyturn " + strconv.Itoa(Format))
	e.text(store)
	for _, p := range parts {
		e.text(p)
	}
	return e
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// encoder writes the plain form of what is encrypted: numbers as varints, texts
// with their length in front.
type encoder []byte

func (e *encoder) num(n int)      { *e = binary.AppendUvarint(*e, uint64(n)) }
func (e *encoder) text(s string)  { e.num(len(s)); *e = append(*e, s...) }
func (e *encoder) bytes(b []byte) { e.num(len(b)); *e = append(*e, b...) }
func (e *encoder) texts(s []string) {
	e.num(len(s))
	for _, t := range s {
		e.text(t)
	}
}

func (e *encoder) time(t time.Time) {
	if t.IsZero() {
		e.num(0)
		return
	}
	e.num(1)
	*e = binary.AppendVarint(*e, t.Unix())
	e.num(t.Nanosecond())
}

// decoder reads what encoder wrote; bad is set once anything does not fit.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) num() int {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 || n > 1<<62 {
		d.bad, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[size:]
	return int(n)
}

func (d *decoder) bytes() []byte {
	n := d.num()
	if n > len(d.rest) {
		d.bad, d.rest = true, nil
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) text() string { return string(d.bytes()) }

// count reads how many things follow, each of which takes a byte or more.
func (d *decoder) count() int {
	n := d.num()
	if n > len(d.rest) {
		d.bad, d.rest = true, nil
		return 0
	}
	return n
}

func (d *decoder) texts() []string {
	n := d.count()
	if n == 0 {
		return nil
	}
	out := make([]string, n)
	for i := range out {
		out[i] = d.text()
	}
	return out
}

func (d *decoder) time() time.Time {
	if d.num() == 0 {
		return time.Time{}
	}
	sec, size := binary.Varint(d.rest)
	if size <= 0 {
		d.bad, d.rest = true, nil
		return time.Time{}
	}
	d.rest = d.rest[size:]
	return time.Unix(sec, int64(d.num())).UTC()
}

// done reports whether everything was read and fitted.
func (d *decoder) done() bool { return !d.bad && len(d.rest) == 0 }
