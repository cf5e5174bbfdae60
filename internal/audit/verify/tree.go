package verify

import (
	"encoding/base64"
	"math/bits"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/keyturn/keyturn"
)

// Hash is a node of the tree: SHA-256, as RFC 6962 has it.
type Hash = [tlog.HashSize]byte

// Leaf returns the hash of one record's bytes in the tree: SHA-256(0x00 ‖ data)
// (RFC 6962, section 2.1).
func Leaf(data []byte) Hash { return Hash(tlog.RecordHash(data)) }

// base64Of is how hashes are written everywhere: standard base64, as in C2SP.
func base64Of(h Hash) string { return base64.StdEncoding.EncodeToString(h[:]) }

func hashOf(s string) (h Hash, ok bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(h) || len(s) != base64.StdEncoding.EncodedLen(len(h)) { // line ends are ignored
		return h, false
	}
	return Hash(b), true
}

// Edge is the right edge of a Merkle tree: the roots of its complete subtrees,
// from the largest to the smallest, one for each bit of its size. With it alone
// a tree grows. The zero Edge is that of the empty tree.
type Edge struct {
	size   int64
	hashes []tlog.Hash
}

// ReadEdge reads what Bytes made of the edge of a tree of size records whose last
// leaf is last. Corrupt where it has the wrong length, or does not fit that leaf
// (which shows where the size is odd: then the leaf is the edge's end).
func ReadEdge(size int64, last Hash, b []byte) (Edge, error) {
	e := Edge{size: size}
	for ; len(b) >= tlog.HashSize; b = b[tlog.HashSize:] {
		e.hashes = append(e.hashes, tlog.Hash(b[:tlog.HashSize]))
	}
	if size < 0 || len(b) > 0 || len(e.hashes) != bits.OnesCount64(uint64(size)) ||
		size&1 == 1 && e.hashes[len(e.hashes)-1] != tlog.Hash(last) {
		return Edge{}, keyturn.E(keyturn.Corrupt, "the edge of the audit log's tree does not fit its "+strconv.FormatInt(size, 10)+" records",
			"restore the store from a backup; 'keyturn audit verify' tells how much of the log is whole")
	}
	return e, nil
}

// Size is the number of leaves.
func (e Edge) Size() int64 { return e.size }

// Add makes leaf the next one of the tree.
func (e *Edge) Add(leaf Hash) {
	h := tlog.Hash(leaf)
	kept := e.hashes[:len(e.hashes):len(e.hashes)]
	for n := e.size; n&1 == 1; n >>= 1 { // a complete subtree for each bit that carries
		h = tlog.NodeHash(kept[len(kept)-1], h)
		kept = kept[:len(kept)-1]
	}
	e.hashes = append(kept[:len(kept):len(kept)], h)
	e.size++
}

// Root is the tree's root hash; that of no records is the hash of nothing.
func (e Edge) Root() Hash {
	if e.size == 0 {
		h, _ := tlog.TreeHash(0, nil)
		return Hash(h)
	}
	h := e.hashes[len(e.hashes)-1]
	for i := len(e.hashes) - 2; i >= 0; i-- {
		h = tlog.NodeHash(e.hashes[i], h)
	}
	return Hash(h)
}

// Bytes returns the hashes one after the other, at most 63 of 32 bytes.
func (e Edge) Bytes() []byte {
	out := make([]byte, 0, len(e.hashes)*tlog.HashSize)
	for _, h := range e.hashes {
		out = append(out, h[:]...)
	}
	return out
}

// Append makes records the next rows behind a log's end, and returns them with the
// tree's new edge: what a store keeps. Corrupt where the end's own edge does not fit.
func Append(top keyturn.LogTop, records [][]byte) (add []keyturn.LogEntry, tree []byte, err error) {
	edge, err := ReadEdge(top.Last.Seq, top.Last.Leaf, top.Tree)
	if err != nil {
		return nil, nil, err
	}
	add = make([]keyturn.LogEntry, 0, len(records))
	for _, data := range records {
		leaf := Leaf(data)
		edge.Add(leaf)
		add = append(add, keyturn.LogEntry{Seq: edge.size, Data: data, Leaf: leaf})
	}
	return add, edge.Bytes(), nil
}
