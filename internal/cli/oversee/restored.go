package oversee

import (
	"fmt"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
)

// restoredDocs tell of backups that were restored, from what the log says.
func restoredDocs(list []keyturn.Restoration) []answer.Restored {
	var docs []answer.Restored
	for _, r := range list {
		d := answer.Restored{Record: r.Record, Made: answer.Stamp(r.Made), Backup: r.Backup, Replaced: r.Replaced, Unread: r.Unread, Earlier: restoredDocs(r.Earlier)}
		if r.Replaced != nil {
			d.Lost = max(0, r.Replaced.Size-r.Backup.Size)
		}
		docs = append(docs, d)
	}
	return docs
}

// restoredLine says it to people: what of an earlier log is not in this one.
func restoredLine(d answer.Restored) string {
	line := fmt.Sprintf("record %d: restored from a backup of %s", d.Record, d.Made) + instead(d)
	for _, e := range d.Earlier {
		line += fmt.Sprintf("\n  the log that it replaced told of another: record %d, restored from a backup of %s", e.Record, e.Made) + instead(e)
	}
	return line
}

// instead says in whose place a backup was put.
func instead(d answer.Restored) string {
	line := ""
	switch {
	case d.Unread:
		line += ", over a store that could not be read: what its log held is not known"
	case d.Replaced == nil:
	case d.Lost > 0:
		line += fmt.Sprintf(", over a newer log: its records %d to %d are not in this one (head %s)", d.Backup.Size+1, d.Replaced.Size, keyturn.Clean(d.Replaced.Root))
	default:
		line += ", over a log of " + count(d.Replaced.Size, "record")
	}
	return line
}
