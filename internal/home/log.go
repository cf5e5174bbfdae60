package home

import (
	"context"
	"path/filepath"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/forward"
)

// Log returns the store's log as the operator's configuration wants it. done waits for
// what is still being forwarded: call it after the last record, and before the store is
// closed.
func (s *Store) Log() (log *audit.Log, done func()) {
	o := audit.Options{Now: s.Now}
	if s.Facts.Operator == nil {
		return audit.Open(s.db, o), func() {}
	}
	o.HideNames = s.Facts.Operator.Audit.HideNames
	var targets []forward.Target
	for _, f := range s.Facts.Operator.Audit.Forward {
		targets = append(targets, forward.Target{File: f.File, Syslog: f.Syslog, Required: f.Required})
	}
	if len(targets) == 0 {
		return audit.Open(s.db, o), func() {}
	}
	set := forward.New(filepath.Join(s.Facts.Home, "forward"), targets, func(t forward.Target, err error) {
		_, _ = s.Err.WriteString("keyturn: the audit log cannot be forwarded to " + keyturn.Clean(t.String()) + ": " + forward.Reason(err) +
			"\n  nothing is lost: it is caught up with later\n")
	})
	o.Forward = set
	return audit.Open(s.db, o), set.Close
}

// recordOwn records an operation that the program carried out itself, because there was
// no Service yet.
func recordOwn(ctx context.Context, log *audit.Log, id string, op keyturn.Op, actor keyturn.Actor, rule string) error {
	form, err := keyturn.EncodeOp(op)
	if err != nil {
		return err
	}
	hash, err := keyturn.HashOp(op)
	if err != nil {
		return err
	}
	intent := keyturn.Record{ID: id, Phase: keyturn.Intent, Actor: &actor, Door: "cli", Op: form, OpHash: hash.String(), Rule: rule}
	outcome := keyturn.Record{ID: id, Phase: keyturn.Outcome, Status: "success"}
	return log.Append(ctx, intent, outcome)
}
