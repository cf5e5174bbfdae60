package answer

import (
	"encoding/hex"
	"fmt"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// records is the document of records of the log, which it ranges over.
func records(op keyturn.Op, res *keyturn.Records) (Document, error) {
	doc := Success(op.Kind(), res.Receipt)
	list := []keyturn.Record{}
	for r, err := range res.Records {
		if err != nil {
			return Document{}, err
		}
		list = append(list, r)
	}
	doc.Records = &list
	if n := PrunedNotice(res); n != "" {
		doc.Notices = []string{n}
	}
	return doc, nil
}

// PrunedNotice returns the notice of records whose content is gone, once all records were
// ranged over; "" for none.
func PrunedNotice(res *keyturn.Records) string {
	if res.Pruned == nil || *res.Pruned == 0 {
		return ""
	}
	return fmt.Sprintf("%d older records are pruned: only their hashes are kept", *res.Pruned)
}

// logOf returns the verification of the store's own log.
func logOf(res *keyturn.Verified) *Log {
	l := &Log{Size: res.Size, Head: res.Head, Pruned: res.Pruned, Consistent: true, Restored: restorationsOf(res.Restored)}
	if res.Held != nil {
		l.holdAgainst(*res.Held)
	}
	return l
}

// VerifiedFile returns the document of an exported log that was found consistent by itself.
func VerifiedFile(r verify.Report) Document {
	l := &Log{Size: r.Size, Head: hex.EncodeToString(r.Root[:]), Pruned: r.Pruned, Consistent: true,
		Key: r.Key, Signed: checkpointOf(madeBy(*r.Made)), Restored: restorationsOf(r.Restored)}
	if l.First = r.First; r.First == 0 && r.Size > 0 {
		l.First = r.Size + 1
	}
	if l.First == 1 {
		l.First = 0 // the file begins where the log does
	}
	if r.Against != nil {
		l.holdAgainst(madeBy(*r.Against))
	}
	return Document{Operation: keyturn.VerifyLog{}.Kind(), Status: "success", Log: l}
}

// holdAgainst sets how far the checkpoint that the caller holds shows the log to be unchanged
// and complete.
func (l *Log) holdAgainst(k keyturn.Checkpoint) {
	l.Checkpoint, l.UnchangedTo = checkpointOf(k), k.Size
	if l.First == 0 && l.Pruned == 0 {
		l.CompleteTo = k.Size
		l.Complete = l.CompleteTo == l.Size
	}
}

func madeBy(v verify.Checkpoint) keyturn.Checkpoint {
	return keyturn.Checkpoint{Origin: v.Origin, Size: v.Size, Head: hex.EncodeToString(v.Root[:]), Generation: v.Generation, Time: v.Time, Pruned: v.Pruned}
}

func checkpointOf(k keyturn.Checkpoint) *Checkpoint {
	return &Checkpoint{Origin: k.Origin, Size: k.Size, Head: k.Head, Generation: k.Generation, Time: Stamp(k.Time), Pruned: k.Pruned}
}

// restorationsOf returns the log's records about backups that were restored.
func restorationsOf(list []keyturn.Restoration) []Restored {
	var docs []Restored
	for _, r := range list {
		d := Restored{Record: r.Record, Made: Stamp(r.Made), Backup: r.Backup, Replaced: r.Replaced, Unread: r.Unread, Earlier: restorationsOf(r.Earlier)}
		if r.Replaced != nil {
			d.Lost = max(0, r.Replaced.Size-r.Backup.Size)
		}
		docs = append(docs, d)
	}
	return docs
}
