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
		list := []answer.Secret{}
		for _, ref := range refs {
			list = append(list, answer.Secret{Ref: ref.String()})
		}
		doc.Secrets = &list
	}
	if p.delivery != nil {
		doc.AuditID, doc.Command.Missing = p.delivery.AuditID, p.delivery.Missing
		if len(p.delivery.Leases) > 0 {
			doc.Leases = answer.LeasesOf(p.delivery.Leases)
		}
		doc.Notices = p.expiring(time.Now())
	}
	if failure != nil {
		doc.Status, doc.AuditID, doc.Approval = "error", failure.AuditID, answer.ApprovalOf(failure.Approval)
		if failure.Code == keyturn.Pending {
			doc.Status = "pending"
		}
		d := answer.ErrorOf(failure, verbose)
		doc.Error = &d
		for _, each := range failure.Each {
			doc.Errors = append(doc.Errors, answer.ErrorOf(each, verbose))
		}
	} else if !p.Status.Started {
		doc.Status = "error"
		doc.Error = &answer.Error{Code: keyturn.Unavailable, Message: "interrupted before the command started"}
	}
	return doc
}
