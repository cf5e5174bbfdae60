package health

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/session"
)

const (
	littleRoom = 256 << 20       // bytes on the disk that are worth a warning
	noRoom     = 4 << 20         // bytes with which a put may fail
	largeWAL   = 64 << 20        // bytes of changes that nobody has taken into the store
	clockSlack = 2 * time.Minute // a clock may be set back by so much
	logLimit   = 3 * time.Second // for reading the log
	// Between a server's clock and this one: signed tokens are taken with a minute or
	// so of slack (https://developer.hashicorp.com/vault/api-docs/auth/jwt#clock_skew_leeway).
	clocksApart     = 30 * time.Second
	certificateNear = 7 * 24 * time.Hour
	listLimit       = 10 * time.Second // for looking at what expires
)

// Door is what Check needs of the door that asks.
type Door struct {
	Program *session.Program
	How     session.How
	// Do opens a session for f, within the door's limit on time, and closes it.
	Do func(f func(ctx context.Context, s *session.Session) error) error
	// Explain puts errors of the standard library into the door's words; nil for
	// keyturn.AsError.
	Explain func(error) *keyturn.Error
}

// Check looks at everything, first at what is needed for the rest. The error of Check is
// an interrupt: whatever does not work is a finding. Check returns the report also then.
func Check(ctx context.Context, d Door) (*Report, error) {
	r := &Report{explain: d.Explain}
	in, err := d.Program.Inspect(ctx, d.How)
	if err != nil {
		return r, err
	}
	facts, err := d.Program.Facts(d.How)
	r.Actor = facts.Actor
	if err == nil {
		r.configuration(facts)
		r.caller(facts)
	} else {
		r.bad("configuration", err)
	}
	r.store(in)
	r.files(in)
	r.disk(in)
	r.memory(in)
	r.program(in)
	if err == nil && in.Err == nil {
		opened := false
		err := d.Do(func(ctx context.Context, s *session.Session) error {
			opened = true
			r.OK("root key", "%s, and it opens the store", keyPlace(s.Store))
			return r.inside(ctx, s)
		})
		switch {
		case ctx.Err() != nil:
			return r, err
		case err != nil && (!opened || keyturn.AsError(err).Code == keyturn.Denied): // the whole session is barred
			r.bad(opening(err), err)
		case err != nil:
			r.bad("store", err)
		}
	}
	if in.Err == nil {
		r.protection(in)
	}
	return r, ctx.Err()
}

// opening names the check that fails where the store does not open.
func opening(err error) string {
	if keyturn.ReasonOf(err) == keyturn.StoreMoved {
		return "store"
	}
	switch keyturn.AsError(err).Code {
	case keyturn.Denied: // an agent may not choose its configuration, and not use one that has changed
		return "configuration"
	case keyturn.Conflict: // a mount is not what the project expects
		return "project"
	}
	return "root key"
}

// inside looks at what only an open store shows.
func (r *Report) inside(ctx context.Context, s *session.Session) error {
	mounts, err := r.mounts(ctx, s)
	if err != nil {
		return err
	}
	r.clock(ctx, s)
	r.project(ctx, s)
	r.unfinished(ctx, s)
	r.expiring(ctx, s, mounts)
	return ctx.Err()
}

// configuration says which file decides, and whether its rules can do what was meant.
func (r *Report) configuration(f session.Facts) {
	if f.Operator == nil {
		r.OK("configuration", "no file: people may do everything here, agents and services nothing")
		return
	}
	file := f.Operator.File
	if f.Operator.Unchecked != "" {
		r.Warn("configuration", "see that nobody else can change the file", "%s: %s", file, f.Operator.Unchecked)
		return
	}
	if lint := f.Rules.Lint(f.Mounts); len(lint) > 0 {
		r.Warn("configuration", "keyturn config check", "%s: %s", lint[0].Where, lint[0].Message)
		return
	}
	r.OK("configuration", "%s, yours alone to change", file)
}

// caller says whom keyturn takes the caller for, and by which marks.
func (r *Report) caller(f session.Facts) {
	a := f.Actor
	found := "by " + a.Proof
	if a.Detail != "" {
		found += ": " + a.Detail
	}
	switch {
	case a.Kind == keyturn.Person && a.Detail != "":
		r.Warn("caller", "", "you are %s (%s): an agent among them would not be seen", a.Principal(), found)
	case a.Kind == keyturn.Person:
		r.OK("caller", "you are %s; no marks of an agent", a.Principal())
	default:
		if len(a.Also) > 0 {
			found += "; marks of " + strings.Join(a.Also, ", ") + " too"
		}
		r.OK("caller", "you are %s (%s): rules say what you may", a.Principal(), found)
	}
}

// store says where the store is and how large, or why it cannot be read.
func (r *Report) store(in session.Inspection) {
	if in.Err != nil {
		r.bad("store", in.Err)
		return
	}
	r.OK("store", "%s, format %d, %s", in.Store.Path, in.Format, size(in.Size))
	if in.WAL > largeWAL {
		r.Warn("store log", "end the programs that hold the store open, then: keyturn status",
			"%s of changes wait beside the store to be taken into it", size(in.WAL))
	}
}

// keyPlace says of which kind the root key is, and where it is kept.
func keyPlace(s session.StoreFacts) string {
	if s.KeyAt == "" {
		return s.RootKey
	}
	return s.RootKey + ", " + s.KeyAt
}

// files says whether other users can reach the store. A folder that is closed to them
// closes everything in it, whatever the modes of the files are.
func (r *Report) files(in session.Inspection) {
	var exposed, foreign []string
	open := false
	for _, f := range in.Files {
		switch {
		case f.Foreign:
			foreign = append(foreign, keyturn.Quote(f.Path))
		case f.Exposed && f.Folder:
			open = true
			exposed = append(exposed, "chmod 700 "+keyturn.Quote(f.Path))
		case f.Exposed && open:
			exposed = append(exposed, "chmod 600 "+keyturn.Quote(f.Path))
		}
	}
	switch {
	case len(foreign) > 0:
		r.Warn("files", "if you trust what is in them: sudo chown \"$USER\" "+strings.Join(foreign, " "), "%d of the store's files belong to another user", len(foreign))
	case len(exposed) > 0:
		r.Warn("files", strings.Join(exposed, "\n"), "others on this machine can get at the store's folder")
	case len(in.Files) > 0:
		r.OK("files", "yours alone: %s", in.Home)
	case runtime.GOOS == "windows":
		r.OK("files", "%s; who else may use it is for Windows to say, and not looked at", in.Home)
	}
}

// disk says how much room is left beside the store.
func (r *Report) disk(in session.Inspection) {
	switch {
	case in.Free < 0: // not known, or no folder yet
	case in.Free < noRoom:
		r.bad("disk", keyturn.E(keyturn.Unavailable, "the disk is full: "+size(in.Free)+" left beside the store", "make room on the disk that holds "+in.Home+": nothing can be changed, and nothing recorded"))
	case in.Free < littleRoom:
		r.Warn("disk", "make room on the disk that holds "+keyturn.Quote(in.Home), "%s left beside the store", size(in.Free))
	default:
		r.OK("disk", "%s left beside the store", size(in.Free))
	}
}

// memory says whether a crash could write values to a file.
func (r *Report) memory(in session.Inspection) {
	if in.Dumps != nil {
		r.Warn("core dumps", "ulimit -c 0, where the system has it", "a crash could leave values in a file: %s", keyturn.AsError(in.Dumps).Message)
		return
	}
	r.OK("core dumps", "off for keyturn; programs under 'keyturn run' keep their own setting")
}

// program says whether whoever starts keyturn can put code into it.
func (r *Report) program(in session.Inspection) {
	if in.Dynamic {
		r.Warn("program", statically, "%s", Preloadable)
	}
}

// Preloadable says that LD_PRELOAD puts code into this program, and statically what to do
// about it.
const (
	Preloadable = "this keyturn is linked to the system's libraries: LD_PRELOAD, which an agent that starts it can set, puts code into it"
	statically  = "CGO_ENABLED=0 go install github.com/keyturn/keyturn/cmd/keyturn@latest, or take a release"
)

// mounts asks each mount how it is, and returns the names of the mounts that answer.
func (r *Report) mounts(ctx context.Context, s *session.Session) ([]string, error) {
	res, err := session.Ask[*keyturn.Mounts](ctx, s, keyturn.ListMounts{Probe: true})
	if err != nil {
		return nil, err
	}
	r.Receipt = res.Receipt
	var well []string
	for _, m := range res.Mounts {
		check, h := "mount "+m.Mount, m.Health
		switch {
		case h != nil && h.Err != nil:
			r.bad(check, h.Err)
			continue
		case h != nil && h.Sealed:
			r.bad(check, keyturn.E(keyturn.Sealed, m.Mount+" is sealed", "unseal it with its own tools"))
			continue
		case h != nil && !h.Reachable:
			r.bad(check, keyturn.E(keyturn.Unavailable, m.Mount+" does not answer: "+m.Target, "check the network, and the address in the configuration"))
			continue
		}
		text := m.Platform + " at " + m.Target
		if who := as(h); who != "" {
			text += ", as " + who
		}
		if h != nil && h.Detail != "" {
			text += ", " + h.Detail
		}
		if h != nil && h.TLS != nil && h.TLS.Version != "none" {
			text += ", " + h.TLS.Version
		}
		if !r.server(check, text, h) {
			r.OK(check, "%s", text)
		}
		well = append(well, m.Mount)
	}
	if len(res.Mounts) == 0 {
		r.OK("mounts", "none in which %s may do anything", s.Actor.Principal())
	}
	return well, nil
}

// server warns of two things that will keep a server from being used although it answers:
// clocks that differ, and a certificate that ends soon. It reports whether it warned.
func (r *Report) server(check, text string, h *keyturn.Health) bool {
	if h == nil {
		return false
	}
	before := len(r.Findings)
	if far := apart(h); far != "" && h.Ahead.Abs() >= clocksApart {
		r.Warn(check, "set the clock that is wrong: logins by signed tokens are refused, and times of tokens and leases are told wrong", "%s; %s", text, far)
	}
	if h.TLS != nil && !h.TLS.Ends.IsZero() && time.Until(h.TLS.Ends) < certificateNear {
		r.Warn(check, "have the server's operator renew it: nobody connects after that", "%s; its certificate ends %s", text, describe.When(h.TLS.Ends))
	}
	return len(r.Findings) > before
}

// clock warns of records of the audit log that are from the future: this machine's clock
// is wrong, or was when they were made.
func (r *Report) clock(ctx context.Context, s *session.Session) {
	if s.Actor.Kind != keyturn.Person { // others may not read the log
		return
	}
	ctx, cancel := context.WithTimeout(ctx, logLimit)
	defer cancel()
	now := time.Now()
	var ahead time.Duration
	res, err := keyturn.Do[*keyturn.Records](ctx, s.Service, keyturn.ListRecords{Since: now.Add(clockSlack).UTC()})
	if err == nil {
		var last keyturn.Record
		for last, err = range res.Records {
			if err != nil {
				break
			}
			ahead = max(ahead, last.Time.Sub(now))
		}
	}
	switch {
	case ahead > 0:
		r.Warn("clock", "set this machine's clock; if it is right, it was ahead once, and the log keeps its times in order",
			"the audit log has records from the future: %s ahead of this clock", ahead.Round(time.Second))
	case ctx.Err() != nil:
		r.OK("clock", "%s; the log is too long to be compared with it here", describe.When(now))
	case err != nil && keyturn.AsError(err).Code == keyturn.Denied:
	case err != nil:
		r.bad("audit log", err)
	default:
		r.OK("clock", "%s, not before the last record of the log", describe.When(now))
	}
}

// project says whether the secrets that this folder's project asks for are trusted.
func (r *Report) project(ctx context.Context, s *session.Session) {
	p := s.Project
	if p == nil {
		return
	}
	trust := session.TrustOf(p)
	path, asks := trust.Path, trust.Pinned
	if len(asks) == 0 || s.Actor.Kind != keyturn.Person {
		r.OK("project", "%s asks for %s", path, secrets(len(asks)))
		return
	}
	now, err := session.Ask[*keyturn.Trusted](ctx, s, keyturn.ShowTrust{Path: path})
	switch {
	case err != nil:
		r.bad("project", err)
	case !now.Known:
		r.Warn("project", "look at it, then: keyturn trust", "%s asks for %s and is not trusted yet", path, secrets(len(asks)))
	case len(config.Diff(now.Before, asks)) > 0:
		r.Warn("project", "look at it, then: keyturn trust", "%s asks for other secrets than those you trusted", path)
	default:
		r.OK("project", "%s asks for %s and is trusted", path, secrets(len(asks)))
	}
}

// expiring warns of secrets that have expired, or soon will.
func (r *Report) expiring(ctx context.Context, s *session.Session, mounts []string) {
	if line := Expiring(ctx, s, mounts, listLimit); line != "" {
		r.Warn("expiry", "put a new version: keyturn put REF --expires DATE", "%s", line)
	}
}

// protection says what keyturn guards against and what it does not, where agents run as
// the same user as the person (docs/security.md).
func (r *Report) protection(in session.Inspection) {
	lines := append([]string{"one user for you and your agents: keyturn guards against mistakes, not against an agent that means harm"},
		describe.Protects(in.Store.RootKey)...)
	r.OK("protection", "%s", strings.Join(lines, "\n"))
}

// size is a number of bytes, as a person reads it.
func size(n int64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 10<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	case n < 10<<30:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d GiB", n>>30)
}

// secrets is "1 secret", "2 secrets".
func secrets(n int) string {
	if n == 1 {
		return "1 secret"
	}
	return fmt.Sprintf("%d secrets", n)
}
