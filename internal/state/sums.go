package state

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"math/bits"
	"strconv"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state/codec"
)

// top is what meta's row 'head' binds the store to: the last record of the log,
// and the rows of the tables item and secret. It is written anew with every change
// of any of them, in the same transaction.
type top struct {
	last           *keyturn.LogEntry
	items, secrets sum
}

// sum stands for a set of rows: how many there are, and their tags added up modulo
// 2^256. A row goes in or out without a look at the others. Tags are keyed and
// never stored, and sums only encrypted: who has no key sees neither, and no choice
// of old rows gives a sum but by luck. Addition rather than XOR, as there the same
// row twice is as good as none, and one exchanged for an old copy could be made up
// for by having both: nothing but the table's form, which is open to change from
// outside, would keep them out.
type sum struct {
	n int
	v [4]uint64
}

func (s *sum) add(tag [4]uint64) {
	s.n++
	var carry uint64
	for i := range s.v {
		s.v[i], carry = bits.Add64(s.v[i], tag[i], carry)
	}
}

func (s *sum) remove(tag [4]uint64) {
	s.n--
	var borrow uint64
	for i := range s.v {
		s.v[i], borrow = bits.Sub64(s.v[i], tag[i], borrow)
	}
}

func (s sum) encode(e *codec.Encoder) {
	// n is below zero where somebody put rows into an empty table from outside
	// and the owner removed them.
	b := binary.LittleEndian.AppendUint64(nil, uint64(int64(s.n)))
	for _, v := range s.v {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	e.Bytes(b)
}

func decodeSum(d *codec.Decoder) (s sum) {
	b := d.Bytes()
	if len(b) != 40 {
		d.Bad = true
		return sum{}
	}
	s.n = int(int64(binary.LittleEndian.Uint64(b)))
	for i := range s.v {
		s.v[i] = binary.LittleEndian.Uint64(b[8+8*i:])
	}
	return s
}

// tag is what one row adds to a sum; parts begin with the table's name.
func (k *keys) tag(parts ...string) (out [4]uint64) {
	h := hmac.New(sha256.New, k.sum)
	h.Write(k.place(parts...))
	b := h.Sum(nil)
	for i := range out {
		out[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return out
}

func (k *keys) secretTag(mac, head []byte) [4]uint64 {
	return k.tag("secret", string(mac), string(head))
}

// itemTag takes length, nonce and GCM tag of an encrypted body for the body: who
// has no key makes no other body that these fit.
func (k *keys) itemTag(kind, id []byte, expires int64, length int, nonce, tag []byte) [4]uint64 {
	return k.tag("item", string(kind), string(id), strconv.FormatInt(expires, 10), strconv.Itoa(length), string(nonce), string(tag))
}

const (
	nonceSize = 12
	tagSize   = 16
)

func sealTop(k *keys, h top) []byte {
	e := make(codec.Encoder, 0, 192)
	e.Num(int(h.last.Seq))
	e.Bytes(h.last.Link[:])
	h.items.encode(&e)
	h.secrets.encode(&e)
	return seal(k.head, e, k.place("head"))
}

// top reads the head, and holds the last record of the log against it.
func (db *DB) top(ctx context.Context, q querier) (top, error) {
	const query = `SELECT m.v, coalesce(l.seq, 0), l.data FROM meta m
		LEFT JOIN log l ON l.seq = (SELECT max(seq) FROM log) WHERE m.k = 'head'`
	var head, data []byte
	var seq int64
	err := each(ctx, q, query, nil, func(r *sql.Rows) error { return r.Scan(&head, &seq, &data) })
	if err != nil {
		return top{}, err
	}
	plain, err := unseal(db.keys.head, head, db.keys.place("head"))
	d := codec.Decoder{Rest: plain}
	wantSeq, wantLink := int64(d.Num()), d.Bytes()
	h := top{last: &keyturn.LogEntry{}, items: decodeSum(&d), secrets: decodeSum(&d)}
	if err != nil || !d.Done() {
		return top{}, db.damaged("the end of the audit log is not known")
	}
	if seq != 0 && seq == wantSeq {
		if *h.last, err = db.openEntry(seq, data); err != nil {
			return top{}, err
		}
	}
	if seq != wantSeq || !bytes.Equal(h.last.Link[:], wantLink) {
		return top{}, db.damaged("the audit log should end at record " + strconv.FormatInt(wantSeq, 10) + ", but ends at " + strconv.FormatInt(seq, 10))
	}
	return h, nil
}

// itemsOf checks all rows of items against their sum, and returns the sum of those
// that stay; nil for all.
func (db *DB) itemsOf(ctx context.Context, q querier, want sum, goes func(kind, id []byte, expires int64) bool) (stay sum, err error) {
	const query = "SELECT kind, id, expires, length(body), substr(body, 1, ?), substr(body, -?) FROM item"
	var is sum
	err = each(ctx, q, query, []any{nonceSize, tagSize}, func(r *sql.Rows) error {
		var kind, id, nonce, tag []byte
		var expires int64
		var length int
		if err := r.Scan(&kind, &id, &expires, &length, &nonce, &tag); err != nil {
			return err
		}
		t := db.keys.itemTag(kind, id, expires, length, nonce, tag)
		is.add(t)
		if goes == nil || !goes(kind, id, expires) {
			stay.add(t)
		}
		return nil
	})
	if err == nil && is != want {
		err = db.damaged("requests, approvals or other items were removed, or replaced by older copies" + counted(want.n, is.n))
	}
	return stay, err
}

func counted(want, is int) string {
	if want == is {
		return ""
	}
	return " (" + strconv.Itoa(want) + " should be there, " + strconv.Itoa(is) + " are)"
}

// VerifyState checks that secrets, their versions and items are all there and are
// the newest ones: Corrupt where one was removed, added or replaced by an older
// copy from outside. It is one snapshot. No value is decrypted: that those are
// sound is seen when they are read.
func (db *DB) VerifyState(ctx context.Context) error {
	return db.read(ctx, func(t tx) error {
		h, err := db.top(ctx, t)
		if err != nil {
			return err
		}
		if _, err := db.itemsOf(ctx, t, h.items, nil); err != nil {
			return err
		}
		return db.verifySecrets(ctx, t, h.secrets)
	})
}

func (db *DB) verifySecrets(ctx context.Context, t tx, want sum) error {
	// The versions of a secret come one after the other: both tables are read in
	// the order of their keys.
	const query = `SELECT s.id, s.name, s.newest, s.head, coalesce(v.number, 0), v.info, v.key IS NULL AND v.data IS NULL
		FROM secret s LEFT JOIN version v ON v.secret = s.id ORDER BY s.id, v.number`
	var is sum
	var s *secret
	seen, versions := 0, 0 // of this secret, of all
	var mac, head, info sql.RawBytes
	err := each(ctx, t, query, nil, func(r *sql.Rows) error {
		var id int64
		var newest, number int
		var gone bool
		err := r.Scan(&id, &mac, &newest, &head, &number, &info, &gone)
		if err != nil {
			return err
		}
		if s == nil || s.id != id {
			if s != nil && seen != s.newest {
				return db.notNewest()
			}
			if s, err = db.openHead(id, mac, newest, head); err != nil {
				return err
			}
			is.add(db.keys.secretTag(mac, head))
			seen = 0
		}
		seen++
		versions++
		if number != seen || number > s.newest {
			return db.damaged("a version of a secret is missing, or is one too many")
		}
		_, err = db.version(s, number, info, gone)
		return err
	})
	if err != nil {
		return err
	}
	if s != nil && seen != s.newest {
		return db.notNewest()
	}
	if is != want {
		return db.damaged("a secret was removed, or replaced by an older copy" + counted(want.n, is.n))
	}
	rows := 0
	err = each(ctx, t, "SELECT count(*) FROM version", nil, func(r *sql.Rows) error { return r.Scan(&rows) })
	if err == nil && rows != versions {
		err = db.damaged("there are versions without a secret")
	}
	return err
}
