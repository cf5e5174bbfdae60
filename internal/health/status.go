package health

import (
	"context"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/launch"
	"github.com/keyturn/keyturn/internal/session"
)

const (
	expiryLimit = time.Second     // for looking at what expires, in the short form
	notable     = 3 * time.Second // a difference of clocks that the way of an answer does not explain
)

// Status is the short form of a report: each mount, the store, and the caller.
type Status struct {
	Mounts   []keyturn.MountInfo
	Store    session.StoreFacts
	Keys     session.StoreState
	Facts    session.Facts
	Dynamic  bool   // LD_PRELOAD puts code into this program
	Expiring string // a notice of secrets in local stores that expire; "" for none
	Receipt  keyturn.Receipt
}

// StatusOf asks each mount how it is. A mount that does not work is part of the status,
// and no error.
func StatusOf(ctx context.Context, s *session.Session) (*Status, error) {
	res, err := session.Ask[*keyturn.Mounts](ctx, s, keyturn.ListMounts{Probe: true})
	if err != nil {
		return nil, err
	}
	keys, err := s.StoreState(ctx)
	if err != nil {
		return nil, err
	}
	var local []string // a listing of another platform is too much for a notice
	for _, m := range res.Mounts {
		if m.Platform == "local" && m.Health != nil && m.Health.Err == nil {
			local = append(local, m.Mount)
		}
	}
	return &Status{Mounts: res.Mounts, Store: s.Store, Keys: keys, Facts: s.Facts, Dynamic: launch.Dynamic(), Expiring: Expiring(ctx, s, local, expiryLimit), Receipt: res.Receipt}, nil
}

// failed returns the errors of the mounts that do not work.
func (t *Status) failed() []*keyturn.Error {
	var out []*keyturn.Error
	for _, m := range t.Mounts {
		if m.Health != nil && m.Health.Err != nil {
			out = append(out, m.Health.Err)
		}
	}
	return out
}

// Err is one error of all mounts that do not work, with the code of the gravest; nil where
// all work.
func (t *Status) Err() *keyturn.Error { return keyturn.Join("", t.failed()...) }

// Document is the status as JSON; verbose includes the causes of errors.
func (t *Status) Document(verbose bool) answer.Document {
	doc := answer.Success("check-status", t.Receipt)
	doc.Mounts, doc.Store, doc.Caller, doc.Notices = answer.MountsOf(t.Mounts, verbose), answer.StoreOf(t.Store), &t.Facts.Actor, Standing(t.Facts.Actor)
	doc.Store.Unlocked, doc.Store.Unfinished, doc.Store.Copies = answer.Stamp(t.Keys.Unlocked), t.Keys.Unfinished, t.Keys.Copies
	if t.Dynamic {
		doc.Notices = append(doc.Notices, Preloadable)
	}
	if t.Expiring != "" {
		doc.Notices = append(doc.Notices, t.Expiring)
	}
	doc.Partly(verbose, t.failed()...)
	return doc
}

// LockedStatus is the JSON of a store that does not open because of e.
func LockedStatus(f session.StoreFacts, e *keyturn.Error, verbose bool) answer.Document {
	told := answer.ErrorOf(e, verbose)
	return answer.Document{Operation: "check-status", Status: "error", Store: answer.StoreOf(f), Error: &told}
}

// MountState says in a few words how a mount is: "ok, as anna by login", or what is wrong;
// "-" where it was not asked.
func MountState(h *keyturn.Health) string {
	switch {
	case h == nil:
		return "-"
	case h.Err != nil:
		return keyturn.Clean(h.Err.Message)
	case h.Sealed:
		return "sealed"
	case !h.Reachable:
		return "not reachable"
	}
	text := "ok"
	if who := as(h); who != "" {
		text += ", as " + who
	}
	if h.Detail != "" {
		text += ", " + keyturn.Clean(h.Detail)
	}
	if h.TLS != nil && h.TLS.Version != "none" {
		text += ", " + h.TLS.Version
	}
	if far := apart(h); far != "" {
		text += ", " + far
	}
	return text
}

// as says as whom the caller is known to a platform, and by which token: "anna by login";
// "" where that does not apply.
func as(h *keyturn.Health) string {
	if h == nil || h.Identity == "" {
		return ""
	}
	out := keyturn.Clean(h.Identity)
	if h.Source != "" {
		out += " by " + keyturn.Clean(h.Source)
	}
	return out
}

// apart says how far the clock of a platform's server is from this one; "" where they
// agree, or where the difference is not known.
func apart(h *keyturn.Health) string {
	switch {
	case h.Ahead == nil || h.Ahead.Abs() < notable:
		return ""
	case *h.Ahead > 0:
		return "its clock is " + h.Ahead.String() + " ahead of this one"
	}
	return "its clock is " + h.Ahead.Abs().String() + " behind this one"
}

// KeyNotes say how the root key is kept, and what is to be done about it. They are clean.
func (t *Status) KeyNotes() []string {
	lines := describe.Protects(t.Store.RootKey)
	if t.Store.RootKey == "passphrase" {
		lock := "locked: each command needs the passphrase; 'keyturn store unlock' asks once"
		if !t.Keys.Unlocked.IsZero() {
			lock = "unlocked until " + describe.When(t.Keys.Unlocked) + "; 'keyturn store lock' ends that"
		}
		lines = append([]string{lock}, lines...)
	}
	if t.Keys.Unfinished {
		lines = append(lines, "a change of its keys is unfinished: 'keyturn store rekey' goes on with it")
	}
	for _, path := range t.Keys.Copies {
		lines = append(lines, "an old copy of it is kept, with values that may have been destroyed since; delete it when you need it no more: "+keyturn.Clean(path))
	}
	return lines
}

// FoundBy says how keyturn found out who the caller is. It is clean.
func FoundBy(a keyturn.Actor) string {
	s := "by " + a.Proof
	if a.Detail != "" {
		s += ": " + a.Detail
	}
	if a.For != "" {
		s += ", for " + a.For
	}
	return keyturn.Clean(s)
}

// Standing says what keyturn guards against and what it does not, where agents run as the
// same user as the person (docs/security.md); to an agent or a service, what it may do.
func Standing(a keyturn.Actor) []string {
	if a.Kind == keyturn.Person {
		return []string{"agents that run as you are told apart by marks: that guards against mistakes, not against an agent that means harm"}
	}
	return []string{"what rules allow is yours; 'keyturn rules explain " + a.Principal() + " VERB REF' tells"}
}

// RuleFiles names the files that the rules come from. They are clean.
func RuleFiles(f session.Facts) []string {
	var files []string
	if f.Operator != nil {
		files = append(files, keyturn.Clean(f.Operator.File))
	}
	if f.Project != nil {
		files = append(files, keyturn.Clean(f.Project.File)+" (project)")
	}
	return files
}
