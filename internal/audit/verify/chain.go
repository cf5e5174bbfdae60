// Package verify checks an audit log row by row. It is pure: it needs neither a
// store nor a key, so that a log can be checked far from where it was written.
package verify

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/keyturn/keyturn"
)

// Leaf returns the hash of one record's bytes as a Merkle tree takes it (RFC
// 6962, section 2.1: a leading zero byte).
func Leaf(data []byte) [32]byte {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(data)
	return [32]byte(h.Sum(nil))
}

// Link returns the hash that joins a record to all before it. The leading byte
// keeps it apart from the leaves and nodes of a Merkle tree.
func Link(prev [32]byte, leaf [32]byte) [32]byte {
	h := sha256.New()
	h.Write([]byte{2})
	h.Write(prev[:])
	h.Write(leaf[:])
	return [32]byte(h.Sum(nil))
}

// Chain checks rows in their order. The zero Chain expects the first row.
type Chain struct {
	size int64
	link [32]byte
	last time.Time
	open map[string]bool // operations with an intent and no outcome yet
}

// Next checks the next row: numbered without a gap, linked to the row before,
// readable in its canonical form, not older than the row before, and an outcome
// only after its intent. It returns the record, or a Corrupt error that names
// the row.
func (c *Chain) Next(e keyturn.LogEntry) (keyturn.Record, error) {
	bad := func(why string, cause error) (keyturn.Record, error) {
		return keyturn.Record{}, keyturn.E(keyturn.Corrupt,
			fmt.Sprintf("the audit log was changed from outside: record %d %s", e.Seq, why),
			fmt.Sprintf("records 1 to %d are whole; compare with a backup or an exported copy", c.size)).Because(cause)
	}
	if e.Seq != c.size+1 {
		return bad(fmt.Sprintf("stands where record %d should", c.size+1), nil)
	}
	link := Link(c.link, Leaf(e.Data))
	if link != e.Link {
		return bad("does not fit the records before it", nil)
	}
	r, err := keyturn.DecodeRecord(e.Data)
	if err != nil {
		return bad("cannot be read", err)
	}
	if r.Time.Before(c.last) {
		return bad("is older than the record before it", nil)
	}
	if c.open == nil {
		c.open = map[string]bool{}
	}
	switch r.Phase {
	case keyturn.Intent:
		if c.open[r.ID] {
			return bad("begins an operation that had begun", nil)
		}
		c.open[r.ID] = true
	case keyturn.Outcome:
		if !c.open[r.ID] {
			return bad("ends an operation that had not begun", nil)
		}
		delete(c.open, r.ID)
	case keyturn.Refusal:
	default:
		return bad("has an unknown phase", nil)
	}
	c.size, c.link, c.last = e.Seq, link, r.Time
	return r, nil
}

// Size is the number of rows checked so far.
func (c *Chain) Size() int64 { return c.size }

// Head is the link of the last row checked.
func (c *Chain) Head() [32]byte { return c.link }

// Open is the number of operations whose outcome was never recorded: those cut
// short, and those still under way.
func (c *Chain) Open() int { return len(c.open) }
