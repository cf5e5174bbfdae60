package answer

import (
	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/session"
)

// StoreOf returns what does not change about the local store.
func StoreOf(f session.StoreFacts) *Store {
	return &Store{ID: f.ID, Path: f.Path, RootKey: f.RootKey, KeyAt: f.KeyAt, Protects: describe.Protects(f.RootKey)}
}

// OfStore begins the document of an operation on the local store that was done.
func OfStore(operation, auditID string) Document {
	return Success(operation, keyturn.Receipt{Platform: "local", Mount: "local", AuditID: auditID})
}

// CreatedStore returns the document of a new store.
func CreatedStore(made session.Created) Document {
	doc := OfStore(keyturn.CreateStore{}.Kind(), made.AuditID)
	doc.Store, doc.Target = StoreOf(made.StoreFacts), "local "+made.Path
	return doc
}

// RestoredStore returns the document of a backup that was restored or, with Check, only
// verified.
func RestoredStore(o session.RestoreOptions, res session.Restored) Document {
	doc := OfStore(keyturn.RestoreStore{}.Kind(), "")
	doc.Backup = &Backup{Path: o.File, Store: res.ID, Made: Stamp(res.Made), Writer: res.Writer, Log: res.Log,
		VerifierKey: res.VerifierKey, Forgotten: res.Forgotten, Checked: o.Check, Replaced: res.Replaced, Aside: res.Aside}
	if !o.Check {
		doc.AuditID, doc.Target, doc.Store = res.AuditID, "local "+res.Path, StoreOf(res.StoreFacts)
	}
	return doc
}

func rekeyed(op keyturn.Op, res *keyturn.Rekeyed, f session.StoreFacts) Document {
	doc := OfStore(op.Kind(), res.AuditID)
	f.RootKey, f.KeyAt = res.RootKey, res.KeyAt
	doc.Target, doc.Store = "local "+f.Path, StoreOf(f)
	return doc
}

func backedUp(op keyturn.Op, res *keyturn.BackedUp, f session.StoreFacts) Document {
	doc := OfStore(op.Kind(), res.AuditID)
	doc.Target, doc.Artifacts = res.Path, []string{res.Path}
	doc.Backup = &Backup{Path: res.Path, Store: f.ID, Size: res.Size, Log: res.Log}
	return doc
}

func unlocked(op keyturn.Op, res *keyturn.Unlocked, f session.StoreFacts) Document {
	doc := OfStore(op.Kind(), res.AuditID)
	doc.Store = StoreOf(f)
	doc.Store.Unlocked = Stamp(res.Until)
	return doc
}
