package app

import (
	"path/filepath"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/forward"
	"github.com/keyturn/keyturn/internal/cli/command"
	"github.com/keyturn/keyturn/internal/state"
)

// auditLog is the log of db as the operator's configuration wants it. done waits
// for what is still being forwarded; call it after the last record and before the
// store is closed.
func (m machine) auditLog(facts command.Facts, db *state.DB) (log *audit.Log, done func()) {
	o := audit.Options{Now: m.Now}
	if facts.Operator == nil {
		return audit.Open(db, o), func() {}
	}
	o.HideNames = facts.Operator.Audit.HideNames
	var targets []forward.Target
	for _, f := range facts.Operator.Audit.Forward {
		targets = append(targets, forward.Target{File: f.File, Syslog: f.Syslog, Required: f.Required})
	}
	if len(targets) == 0 {
		return audit.Open(db, o), func() {}
	}
	set := forward.New(filepath.Join(facts.Home, "forward"), targets, func(t forward.Target, err error) {
		_, _ = m.Err.WriteString("keyturn: the audit log cannot be forwarded to " + keyturn.Clean(t.String()) + ": " + forward.Reason(err) +
			"\n  nothing is lost: it is caught up with later\n")
	})
	o.Forward = set
	return audit.Open(db, o), set.Close
}
