package verify

import (
	"fmt"
	"time"

	"github.com/keyturn/keyturn"
)

// Report is what a verification found out.
type Report struct {
	First  int64 // number of the first record looked at; 0 for none
	Size   int64 // number of the last record
	Root   Hash  // of the tree of all records
	Pruned int64 // records whose content retention has dropped
	// Against is the checkpoint that the verifier brought; nil where none was. The
	// log is unchanged up to record Against.Size, and complete where it is Whole, and
	// consistent, but not shown to be complete, behind it.
	Against *Checkpoint
	// Made is the signed checkpoint at the end of an exported file; nil for a store.
	Made *Checkpoint
	Key  string // verifier key of the log that the file says it is of
	// Restored are the backups that were restored, by the log's own word.
	Restored []keyturn.Restoration
}

// Whole reports whether every record was looked at with its content: only then may
// a log be called complete.
func (r Report) Whole() bool { return r.Pruned == 0 && (r.First == 1 || r.Size == 0) }

// Consistent is how many records no checkpoint of the verifier speaks of.
func (r Report) Consistent() int64 {
	if r.Against == nil && r.First == 0 {
		return 0
	}
	if r.Against == nil {
		return max(0, r.Size-r.First+1)
	}
	return r.Size - r.Against.Size
}

// Check takes rows through a Chain and holds them against a checkpoint that the
// verifier brought.
type Check struct {
	chain   Chain
	against *Checkpoint
	fits    bool // the tree was the checkpoint's at its size

	restored Restorations
}

// NewCheck returns a Check of the rows that chain expects; against may be nil.
func NewCheck(chain Chain, against *Checkpoint) *Check {
	c := &Check{chain: chain, against: against}
	c.compare()
	return c
}

func (c *Check) compare() {
	if c.against != nil && c.chain.Size() == c.against.Size {
		c.fits = c.chain.Head() == c.against.Root
	}
}

// Next checks the next row, as Chain.Next does, and returns its record. Corrupt
// where the tree is not that of the verifier's checkpoint at its size.
func (c *Check) Next(e keyturn.LogEntry) (keyturn.Record, error) { return c.next(e, read(e)) }

func (c *Check) next(e keyturn.LogEntry, is content) (keyturn.Record, error) {
	r, err := c.chain.next(e, is)
	if err != nil {
		return r, err
	}
	if c.compare(); c.against != nil && e.Seq == c.against.Size && !c.fits {
		return r, c.forked()
	}
	c.restored.Note(e.Seq, r)
	return r, nil
}

func (c *Check) forked() error {
	return keyturn.E(keyturn.Corrupt,
		fmt.Sprintf("the audit log was written anew: records 1 to %d are not those of your checkpoint of %s", c.against.Size, moment(c.against.Time)),
		c.explained("at least one of them was changed, removed or added, by somebody who holds the store's keys; compare with a backup or an export from before that time"))
}

// explained is the hint for a log that is not that of the verifier's checkpoint. Where
// the log itself tells of a restored backup that would make it so, that comes first:
// whether it is true the verifier may know.
func (c *Check) explained(hint string) string {
	for _, r := range c.restored.List() {
		for _, r := range append([]keyturn.Restoration{r}, r.Earlier...) {
			if r.Backup.Size >= c.against.Size || r.Replaced != nil && r.Replaced.Size < c.against.Size {
				continue // what the checkpoint speaks of was not lost by it
			}
			return fmt.Sprintf("record %d tells that a backup of %s was restored, which had %d records: what the log before it had behind them is not in this one\n"+
				"where you know of that restore, take a new checkpoint from now on; where you do not: %s", r.Record, moment(r.Made), r.Backup.Size, hint)
		}
	}
	return hint
}

// End holds the rows against the end that store or file say they have, against how
// many records they say retention has dropped, and against the verifier's
// checkpoint. Corrupt where one of them is not met.
func (c *Check) End(end Checkpoint) error {
	have, size := c.chain.Size(), end.Size
	switch {
	case have != size:
		return keyturn.E(keyturn.Corrupt, fmt.Sprintf("the audit log does not end where it should: at record %d, not at record %d", have, size),
			"its last records were removed; compare with a backup or another export")
	case c.chain.Head() != end.Root:
		return keyturn.E(keyturn.Corrupt, "the audit log does not end as it should: its records were replaced by others",
			"which ones cannot be known from here; compare with a backup or another export")
	case c.chain.gone > end.Pruned:
		return c.emptied(end.Pruned)
	case c.against == nil || c.fits:
		return nil
	case have < c.against.Size:
		return keyturn.E(keyturn.Corrupt,
			fmt.Sprintf("the audit log is older than your checkpoint: it ends at record %d, and had %d records on %s", have, c.against.Size, moment(c.against.Time)),
			c.explained("an old copy was put in its place, or its last records were removed; look for a newer copy, or take it for what it is"))
	case c.chain.skipped > c.against.Size:
		return keyturn.E(keyturn.Invalid,
			fmt.Sprintf("your checkpoint speaks of records 1 to %d, and this file begins at record %d", c.against.Size, c.chain.skipped+1),
			fmt.Sprintf("take a newer checkpoint, or export with --from %d or less", c.against.Size+1))
	}
	return c.forked()
}

// emptied is the error of rows that are without content though only the first ones,
// up to pruned, may be.
func (c *Check) emptied(pruned int64) error {
	upTo := "retention has dropped none"
	if pruned > 0 {
		upTo = fmt.Sprintf("retention has dropped those of records 1 to %d only", pruned)
	}
	return keyturn.E(keyturn.Corrupt, fmt.Sprintf("contents of the audit log were removed from outside: record %d has none, and %s", c.chain.gone, upTo),
		"its hashes are whole; compare with a backup or another export")
}

// State holds what a store or a file says of the state beside the log against the
// verifier's checkpoint: Corrupt for an older generation, and for another digest
// at the same one.
func (c *Check) State(now Checkpoint) error {
	a := c.against
	switch {
	case a == nil:
	case now.Generation < a.Generation:
		return keyturn.E(keyturn.Corrupt,
			fmt.Sprintf("the store's state is an old copy: it is at generation %d, and was at %d on %s", now.Generation, a.Generation, moment(a.Time)),
			"changes of secrets or approvals made in between are gone; the log tells which they were: restore a newer backup, or make them again")
	case now.Generation == a.Generation && now.Digest != a.Digest:
		return keyturn.E(keyturn.Corrupt,
			fmt.Sprintf("the store's state was changed from outside: generation %d is not what it was on %s", a.Generation, moment(a.Time)),
			"restore the store from a backup from that time or later")
	}
	return nil
}

// Size is the number of the last row checked.
func (c *Check) Size() int64 { return c.chain.Size() }

// Edge is the right edge of the tree of all rows so far.
func (c *Check) Edge() Edge { return c.chain.Edge() }

// Report is what was found out so far.
func (c *Check) Report() Report {
	r := Report{Size: c.chain.Size(), Root: c.chain.Head(), Pruned: c.chain.Pruned(), Against: c.against, Restored: c.restored.List()}
	if r.Size > c.chain.skipped {
		r.First = c.chain.skipped + 1
	}
	return r
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
