package home

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/forward"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/session"
)

// Log returns the store's log as the operator's configuration wants it, and as the file
// wants it that is pinned, whoever calls and by which file they are judged: names are hidden
// where one of the two says so, and places that the pinned file requires are required. Only
// a session that is Trusting goes on without those. done waits for what is still being
// forwarded: call it after the last record, and before the store is closed.
func (s *Store) Log(ctx context.Context) (log *audit.Log, done func(), err error) {
	o := audit.Options{Now: s.Now}
	var held *config.Operator
	if s.How.Home == "" {
		m, err := s.machines().Get(ctx)
		if err != nil {
			return nil, nil, err
		}
		held = Held(m)
	}
	var targets []forward.Target
	for _, f := range []*config.Operator{s.Facts.Operator, held} {
		if f == nil {
			continue
		}
		o.HideNames = o.HideNames || f.Audit.HideNames
		for _, to := range f.Audit.Forward {
			t := forward.Target{File: to.File, Syslog: to.Syslog, Required: to.Required && (f != held || !s.How.Trusting)}
			if i := slices.IndexFunc(targets, func(have forward.Target) bool { return have.File == t.File && have.Syslog == t.Syslog }); i >= 0 {
				targets[i].Required = targets[i].Required || t.Required
			} else if f != held || to.Required {
				targets = append(targets, t)
			}
		}
	}
	if len(targets) == 0 {
		return audit.Open(s.db, o), func() {}, nil
	}
	set := forward.New(filepath.Join(s.Facts.Home, "forward"), targets, func(t forward.Target, err error) {
		_, _ = s.Err.WriteString("keyturn: the audit log cannot be forwarded to " + keyturn.Clean(t.String()) + ": " + forward.Reason(err) +
			"\n  nothing is lost: it is caught up with later\n")
	})
	o.Forward = set
	return audit.Open(s.db, o), set.Close, nil
}

// recordOwn records an operation that the program carried out itself, because there was
// no Service yet.
func recordOwn(ctx context.Context, log *audit.Log, id string, op keyturn.Op, f session.Facts, rule string) error {
	form, err := keyturn.EncodeOp(op)
	if err != nil {
		return err
	}
	hash, err := keyturn.HashOp(op)
	if err != nil {
		return err
	}
	intent := keyturn.Record{ID: id, Phase: keyturn.Intent, Actor: &f.Actor, Door: "cli", Op: form, OpHash: hash.String(), Rule: rule, Config: f.Operator.Digest()}
	outcome := keyturn.Record{ID: id, Phase: keyturn.Outcome, Status: "success"}
	return log.Append(ctx, intent, outcome)
}
