// Package verify checks an audit log: rows one by one, checkpoints, and whole
// exported files. It is pure: it needs neither a store nor a configuration nor a
// secret key, so that a log can be checked far from where it was written.
//
// The log is a Merkle tree as in RFC 6962, by the Go project's tlog; checkpoints
// are signed notes in the form of C2SP's tlog-checkpoint.
package verify

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/keyturn/keyturn"
)

// Chain checks rows in their order and grows their tree. The zero Chain expects
// the first row; After makes one that begins later.
type Chain struct {
	edge    Edge
	skipped int64 // rows before the first that was seen
	pruned  int64 // rows without content
	gone    int64 // number of the last of those
	orphans int64 // outcomes whose intent was skipped or pruned
	last    time.Time
	// open are the operations with an intent and no outcome yet, by the hash of their
	// identifiers: what a row costs does not depend on what it says.
	open map[operation]bool
}

// operation is the identifier of one, as Chain remembers it.
type operation [16]byte

func operationOf(id string) operation {
	sum := sha256.Sum256([]byte(id))
	return operation(sum[:16])
}

// maxOpen is how many operations may be without an outcome at once: a log of keyturn
// has those that are under way and those that were cut short.
var maxOpen = 1 << 20

// After returns a Chain that expects the row behind those of edge.
func After(edge Edge) Chain { return Chain{edge: edge, skipped: edge.size} }

// Next checks the next row: numbered without a gap, its leaf that of its bytes,
// readable in its canonical form, not older than the row before, and an outcome
// only after its intent. It returns the record, or a Corrupt error that names the
// row; a row that was refused changes nothing. A row whose content retention has
// dropped has a leaf only, and gives a zero Record: which rows may be so is not
// known here, see Check.End.
func (c *Chain) Next(e keyturn.LogEntry) (keyturn.Record, error) { return c.next(e, read(e)) }

// content is what can be said of a row by itself, without those before it.
type content struct {
	fits   bool // the leaf is that of the bytes
	record keyturn.Record
	err    error
}

func read(e keyturn.LogEntry) (c content) {
	if e.Data == nil {
		return c
	}
	if c.fits = Leaf(e.Data) == e.Leaf; c.fits {
		c.record, c.err = keyturn.DecodeRecord(e.Data)
	}
	return c
}

func (c *Chain) next(e keyturn.LogEntry, is content) (keyturn.Record, error) {
	r, err := c.check(e, is)
	if err != nil {
		return keyturn.Record{}, err
	}
	if e.Data == nil {
		c.pruned, c.gone = c.pruned+1, e.Seq
	} else {
		c.last = r.Time
	}
	switch r.Phase {
	case keyturn.Intent:
		if c.open == nil {
			c.open = map[operation]bool{}
		}
		c.open[operationOf(r.ID)] = true
	case keyturn.Outcome:
		id := operationOf(r.ID)
		if !c.open[id] {
			c.orphans++
		}
		delete(c.open, id)
	}
	c.edge.Add(e.Leaf)
	return r, nil
}

func (c *Chain) check(e keyturn.LogEntry, is content) (keyturn.Record, error) {
	bad := func(why string, cause error) (keyturn.Record, error) {
		return keyturn.Record{}, changed(e.Seq, c.skipped, c.edge.size, why, cause)
	}
	if e.Seq != c.edge.size+1 {
		return bad(fmt.Sprintf("stands where record %d should", c.edge.size+1), nil)
	}
	if e.Data == nil {
		return keyturn.Record{}, nil
	}
	if !is.fits {
		return bad("does not fit its hash", nil)
	}
	if is.err != nil {
		return bad("cannot be read", is.err)
	}
	r := is.record
	if r.Time.Before(c.last) {
		return bad("is older than the record before it", nil)
	}
	switch r.Phase {
	case keyturn.Intent:
		if c.open[operationOf(r.ID)] {
			return bad("begins an operation that had begun", nil)
		}
		if len(c.open) >= maxOpen {
			return bad(fmt.Sprintf("begins an operation while %d have not ended", maxOpen), nil)
		}
	case keyturn.Outcome:
		if !c.open[operationOf(r.ID)] && c.orphans >= c.skipped+c.pruned {
			return bad("ends an operation that had not begun", nil)
		}
	case keyturn.Refusal:
	default:
		return bad("has an unknown phase", nil)
	}
	return r, nil
}

// changed is the error of a row that is not right, behind good ones.
func changed(seq, skipped, good int64, why string, cause error) error {
	whole := fmt.Sprintf("records %d to %d are whole", skipped+1, good)
	if good == skipped {
		whole = "no record before it was looked at"
		if skipped == 0 {
			whole = "nothing is whole"
		}
	}
	return keyturn.E(keyturn.Corrupt, fmt.Sprintf("the audit log was changed from outside: record %d %s", seq, why),
		whole+"; compare with a backup or an exported copy").Because(cause)
}

// Size is the number of the last row checked; 0 for none.
func (c *Chain) Size() int64 { return c.edge.size }

// Head is the root of the tree of all rows so far.
func (c *Chain) Head() Hash { return c.edge.Root() }

// Edge is the right edge of that tree.
func (c *Chain) Edge() Edge { return c.edge }

// Pruned is the number of rows whose content retention has dropped.
func (c *Chain) Pruned() int64 { return c.pruned }

// Open is the number of operations whose outcome was never recorded: those cut
// short, and those still under way.
func (c *Chain) Open() int { return len(c.open) }
