package verify

import (
	"bytes"

	"github.com/keyturn/keyturn"
)

// noteRestored remembers a record that tells of a restored backup: a log that is
// whole may have taken the place of a longer one.
func (c *Check) noteRestored(seq int64, r keyturn.Record) {
	if r.Phase != keyturn.Intent || !bytes.Contains(r.Op, []byte(`"op":"restore-store"`)) {
		return
	}
	op, err := keyturn.DecodeOp(r.Op)
	if err != nil {
		return
	}
	if op, ok := op.(keyturn.RestoreStore); ok {
		c.restored = append(c.restored, keyturn.Restoration{Record: seq, RestoreStore: op})
	}
}
