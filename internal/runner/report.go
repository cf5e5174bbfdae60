package runner

import (
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
)

// Report is the answer to a run. Its status says how keyturn fared; how the command
// did is in command.exit. failure is what Plan, Fetch or Run returned; nil where the
// command ended by itself, or the run was interrupted before the command started.
func (p *Plan) Report(failure *keyturn.Error, verbose bool) answer.Document {
	doc := answer.Document{Operation: p.Op.Kind(), Status: "success"}
	doc.Command = &answer.Command{Started: p.Status.Started, Signal: int(p.Status.Signal), Output: p.Output}
	if actor := p.runner.Facts.Actor; actor.Kind != "" {
		doc.Caller = &actor
	}
	if p.Status.Started {
		doc.Command.Exit = &p.Status.Code
	}
	if refs := p.Op.Refs(); len(refs) > 0 {
		doc.Secrets = answer.Named(refs)
	}
	if p.delivery != nil {
		doc.AuditID, doc.Command.Missing = p.delivery.AuditID, p.delivery.Missing
		if len(p.delivery.Leases) > 0 {
			doc.Leases = answer.LeasesOf(p.delivery.Leases)
		}
		doc.Notices = p.expiring(time.Now())
	}
	if failure != nil {
		doc.Fail(failure, verbose)
	} else if !p.Status.Started {
		doc.Status = "error"
		doc.Error = &answer.Error{Code: keyturn.Unavailable, Message: "interrupted before the command started"}
	}
	return doc
}

// Report is the answer to a template that was filled into a file.
func (t *Template) Report() answer.Document {
	doc := answer.Success(t.Op.Kind(), t.Receipt)
	doc.Secrets, doc.Artifacts = answer.Named(t.Op.Secrets), []string{t.Out()}
	return doc
}
