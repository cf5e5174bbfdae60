package rows

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state/codec"
	"github.com/keyturn/keyturn/internal/state/seal"
)

// Top is what meta's row 'head' binds the store to: the last record of the log and
// the log's tree, the rows of the tables item and secret, and the epochs of the keys
// in use. It is written anew with every change of any of them, in the same
// transaction.
type Top struct {
	Last           keyturn.LogEntry // without its data, but where the log was asked
	Tree           []byte           // the log's own
	Pruned         int64            // records below have lost their data, others have not
	Generation     int64            // of items and secrets
	Items, Secrets Sum
	Stage          Stage
}

// Stage is how far a Rekey has come.
type Stage int

// The stages.
const (
	Idle   Stage = iota
	Moving       // rows are of two epochs
	Wiping       // they are of one; the WAL may hold those of the other
	stages
)

// Same reports whether two heads tell of the same store.
func (h *Top) Same(o *Top) bool {
	return h.Last.Seq == o.Last.Seq && h.Pruned == o.Pruned && h.Generation == o.Generation && h.Stage == o.Stage
}

// Sum stands for a set of rows: how many there are, and their tags added up modulo
// 2^256. A row goes in or out without a look at the others. Tags are keyed and
// never stored, and sums only encrypted: who has no key sees neither, and no choice
// of old rows gives a sum but by luck. Addition rather than XOR, as there the same
// row twice is as good as none, and one exchanged for an old copy could be made up
// for by having both: nothing but the table's form, which is open to change from
// outside, would keep them out.
type Sum struct {
	N int // how many rows
	v [4]uint64
}

// Add takes a row in.
func (s *Sum) Add(tag [4]uint64) {
	s.N++
	var carry uint64
	for i := range s.v {
		s.v[i], carry = bits.Add64(s.v[i], tag[i], carry)
	}
}

// Remove takes a row out.
func (s *Sum) Remove(tag [4]uint64) {
	s.N--
	var borrow uint64
	for i := range s.v {
		s.v[i], borrow = bits.Sub64(s.v[i], tag[i], borrow)
	}
}

// Encode writes a sum.
func (s Sum) Encode(e *codec.Encoder) {
	// n is below zero where somebody put rows into an empty table from outside
	// and the owner removed them.
	b := binary.LittleEndian.AppendUint64(nil, uint64(int64(s.N)))
	for _, v := range s.v {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	e.Bytes(b)
}

// decodeSum reads a sum.
func decodeSum(d *codec.Decoder) (s Sum) {
	b := d.Bytes()
	if len(b) != 40 {
		d.Bad = true
		return Sum{}
	}
	s.N = int(int64(binary.LittleEndian.Uint64(b)))
	for i := range s.v {
		s.v[i] = binary.LittleEndian.Uint64(b[8+8*i:])
	}
	return s
}

// SealTop makes the row of the head.
func (k Keys) SealTop(h *Top) []byte {
	e := make(codec.Encoder, 0, 256)
	oldest, newest := k.Epochs()
	for _, n := range []int{oldest, newest, int(h.Stage), int(h.Last.Seq), int(h.Pruned), int(h.Generation)} {
		e.Num(n)
	}
	e.Bytes(h.Last.Leaf[:])
	e.Bytes(h.Tree)
	h.Items.Encode(&e)
	h.Secrets.Encode(&e)
	return k.Seal(seal.Head, e, "head")
}

// OpenTop reads the row of the head, which must have been written with these keys.
func (k Keys) OpenTop(sealed []byte) (*Top, error) {
	plain, err := k.OpenNewest(seal.Head, sealed, "head")
	d := codec.Decoder{Rest: plain}
	oldest, newest := d.Num(), d.Num()
	h := &Top{Stage: Stage(d.Num())}
	h.Last.Seq, h.Pruned, h.Generation = int64(d.Num()), int64(d.Num()), int64(d.Num())
	leaf := d.Bytes()
	h.Tree = bytes.Clone(d.Bytes())
	h.Items, h.Secrets = decodeSum(&d), decodeSum(&d)
	if err != nil || !d.Done() || len(leaf) != len(h.Last.Leaf) || h.Stage >= stages {
		return nil, Damage("the end of the audit log is not known")
	}
	if o, n := k.Epochs(); o != oldest || n != newest {
		return nil, Damage("its master key is of another time than the rest of it")
	}
	h.Last.Leaf = [32]byte(leaf)
	return h, nil
}

// What a row of the log holds; which one is seen under the seal alone.
const (
	kept    = 1 // leaf and data
	dropped = 2 // leaf
)

// SealEntry makes the row of a record; of one without data, the row that keeps its
// hash alone.
func (k Keys) SealEntry(e keyturn.LogEntry) []byte {
	plain := make([]byte, 0, 33+len(e.Data))
	form := byte(kept)
	if e.Data == nil {
		form = dropped
	}
	plain = append(append(append(plain, form), e.Leaf[:]...), e.Data...)
	return k.Seal(seal.Log, plain, "log", Number(e.Seq))
}

// OpenEntry reads a row; pruned is the head's.
func (k Keys) OpenEntry(seq int64, sealed []byte, pruned int64) (keyturn.LogEntry, error) {
	plain, err := k.Open(seal.Log, sealed, "log", Number(seq))
	if err != nil || len(plain) < 33 {
		return keyturn.LogEntry{}, Damage("record " + Number(seq) + " of the audit log cannot be read")
	}
	e := keyturn.LogEntry{Seq: seq, Leaf: [32]byte(plain[1:])}
	if plain[0] == kept {
		e.Data = plain[33:]
	}
	if seq < pruned != (plain[0] == dropped) {
		return keyturn.LogEntry{}, Damage("record " + Number(seq) + " of the audit log was replaced by an older copy")
	}
	return e, nil
}
