package rows

import (
	"encoding/binary"
	"strconv"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state/codec"
	"github.com/keyturn/keyturn/internal/state/seal"
)

func (k Keys) sealItem(kind string, kindMAC, mac []byte, it keyturn.Item) []byte {
	e := make(codec.Encoder, 0, len(it.Body)+96)
	e.Text(kind)
	e.Text(it.ID)
	e.Time(it.Expires)
	e.Bytes(it.Body)
	return k.Seal(seal.Item, e, "item", string(kindMAC), string(mac))
}

// OpenItem reads a row, and the kind that it is of.
func (k Keys) OpenItem(kindMAC, mac, sealed []byte) (kind string, it keyturn.Item, err error) {
	plain, err := k.Open(seal.Item, sealed, "item", string(kindMAC), string(mac))
	d := codec.Decoder{Rest: plain}
	kind = d.Text()
	it = keyturn.Item{ID: d.Text(), Expires: d.Time(), Body: d.Bytes()}
	if err != nil || !d.Done() {
		return "", keyturn.Item{}, Damage("a request, an approval or another item cannot be read")
	}
	return kind, it, nil
}

// tagged is a tag as a number.
func tagged(tag [seal.KeySize]byte) (out [4]uint64) {
	for i := range out {
		out[i] = binary.LittleEndian.Uint64(tag[8*i:])
	}
	return out
}

// SecretTag is what the row of a secret adds to a sum.
func (k Keys) SecretTag(mac, head []byte) [4]uint64 {
	return tagged(k.Tag(head, "secret", string(mac), string(head)))
}

// ItemTag is what the row of an item adds to a sum. It takes length, beginning and end of an encrypted body for the body: who has
// no key makes no other body that its nonce and tag fit.
func (k Keys) ItemTag(kind, id []byte, expires int64, length int, front, end []byte) [4]uint64 {
	return tagged(k.Tag(front, "item", string(kind), string(id), strconv.FormatInt(expires, 10), strconv.Itoa(length), string(front), string(end)))
}

// ItemTagOf is ItemTag of a whole body.
func (k Keys) ItemTagOf(r Item) [4]uint64 {
	front, end := r.Body[:min(len(r.Body), k.Overhead())], r.Body[max(0, len(r.Body)-seal.TagSize):]
	return k.ItemTag(r.Kind, r.ID, r.Expires, len(r.Body), front, end)
}

// collect is the second from which a row can be removed: never before it expires.
func collect(expires time.Time) int64 {
	if expires.IsZero() {
		return 0
	}
	return max(1, expires.Add(time.Second-1).Unix())
}

// Item is the row of an item.
type Item struct {
	Kind, ID []byte // HMACs
	Expires  int64  // for collection
	Body     []byte
}

// SealItem makes the row of an item.
func (k Keys) SealItem(kind string, it keyturn.Item) Item {
	r := Item{Kind: k.MAC("kind", kind), ID: k.MAC("item", kind, it.ID), Expires: collect(it.Expires)}
	r.Body = k.sealItem(kind, r.Kind, r.ID, it)
	return r
}
