// Package runner hands secrets on to programs and files, without showing them. It is
// the part of 'keyturn run' and 'keyturn render' that every door shares: a door fills
// in [Options], has the [Plan] fetch its values and run, and prints the report.
//
//  1. [Runner.Plan] settles which variables and files the command gets, and from which
//     references, and finds the program. Nothing is asked for yet.
//  2. [Plan.Fetch] asks the Service for the values, with one RunCommand.
//  3. [Plan.Run] starts the command, redacts its output or withholds it, renews its
//     leases while it runs, and revokes them when it has ended; so does [Plan.Capture],
//     for a door that answers with the output.
//  4. [Plan.Report] tells what happened.
//
// A [Template] goes the same way: parsed, fetched, written.
//
// The package knows no command line, platform or store. It reaches secrets through a
// session's Service alone. Messages name the flags of 'keyturn run', whatever door they
// are shown at.
package runner

import (
	"cmp"
	"context"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/health"
	"github.com/keyturn/keyturn/internal/launch"
	"github.com/keyturn/keyturn/internal/session"
	"github.com/keyturn/keyturn/internal/variable"
)

// Runner plans the commands of one caller.
type Runner struct {
	Facts session.Facts // who is calling, and which project this is
	// Desk is told what the caller should know, beside what the command writes. It is
	// asked nothing: Fetch asks at the session's Desk.
	Desk    session.Desk
	Environ []string // the caller's environment, "NAME=value"; of one name the last counts
	// Dir is the folder that names of files are seen from, and the command starts in.
	Dir string
	// Read reads a file of variables that the caller named.
	Read func(name string) ([]byte, error)
}

// Options say what to run, and with which secrets. References are as the caller wrote
// them: Plan reads them, and repeats in an error only what cannot be a value.
type Options struct {
	Command  []string  // the program's name and its arguments
	Env      []Binding // variables
	EnvFrom  []Source  // secrets that all fields of become variables
	EnvFiles []string  // files of variables; references in them are resolved
	Files    []Binding // files that are there while the command runs
	Optional []string  // names of variables and files that may be missing
	Plain    bool      // leave the output as it is; the Service lets only people do that
	Trust    bool      // trust what the project's file asks for first: the caller has agreed
}

// Binding is a variable or a file, and the reference of its value.
type Binding struct {
	Name string // of the variable, or the path of the file
	Ref  string
}

// Source is a secret, and what the names of its variables begin with.
type Source struct {
	Ref    string
	Prefix string
}

// Plan is one run of a command, as far as it has got. It is for one run and one
// goroutine.
type Plan struct {
	Op     keyturn.RunCommand // what the Service is asked for
	Status launch.Status      // how the command fared
	// Output is what became of the command's output: "redacted", "plain" or
	// "withheld"; "" where there was nothing to redact.
	Output string

	runner  *Runner
	trust   bool
	inherit []string        // the command's plain environment
	plain   []launch.EnvVar // values of files of variables, which win over all but Options.Env
	files   []namedFile     // the files of variables
	// fromFiles are the plain variables of files, and left names what an agent's or a
	// service's command does not get.
	fromFiles []plainVariable
	left      []string
	weak      map[string]string // variables that are bound only because the caller's environment holds a reference
	delivery  *keyturn.Delivery // nil until values were fetched
	watch     *watch            // for values in what the caller gives to the command; nil: none is sought
	capture   io.Writer         // takes the command's output; nil where the streams do
	telling   sync.Mutex        // held while the Desk is told something
}

// Fetch asks for the values, and for a person's trust in the project's file where that
// is missing. An error says of each reference that failed which variable or file it
// was for. Unless Asks, Fetch does nothing, and s may be nil; afterwards the session may
// be closed unless NeedsSession.
func (p *Plan) Fetch(ctx context.Context, s *session.Session) error {
	if !p.Asks() {
		return nil
	}
	if p.machine() {
		if err := p.settle(ctx, s); err != nil {
			return err
		}
	}
	trusts := p.trusts()
	if p.trust {
		for _, t := range trusts {
			if _, err := s.TrustFile(ctx, t); err != nil {
				return p.placed(err)
			}
		}
	}
	d, err := session.AskTrusting[*keyturn.Delivery](ctx, s, p.Op, trusts)
	if err != nil {
		return p.placed(err)
	}
	p.delivery = d
	p.tellLeft(s)
	return nil
}

// Asks reports whether there is something to ask the Service for: a secret, or the trust
// in a file that changes how programs run. What only leads a secret elsewhere needs no trust
// where there is none.
func (p *Plan) Asks() bool {
	return len(p.Op.Refs()) > 0 || slices.ContainsFunc(p.Op.EnvFiles, func(f keyturn.AskedFile) bool {
		return slices.ContainsFunc(f.Steers, func(s keyturn.Setting) bool { return variable.Steers(s.Name) })
	})
}

// machine reports whether the caller is an agent or a service.
func (p *Plan) machine() bool { return p.runner.Facts.Actor.Kind != keyturn.Person }

// trusts are the files that ask for something, as they would be trusted.
func (p *Plan) trusts() []session.Trust {
	var out []session.Trust
	if p.Op.Project != "" {
		out = append(out, session.Trust{TrustProject: keyturn.TrustProject{Path: p.Op.Project, Pinned: p.Op.Pinned}})
	}
	for _, f := range p.files {
		if f.pinnable && len(f.Asks)+len(f.Steers) > 0 {
			out = append(out, session.Trust{TrustProject: keyturn.TrustProject{Path: f.Path, Pinned: f.Asks, Steers: f.Steers, Kept: slices.Sorted(maps.Keys(f.lines))}, Lines: f.lines})
		}
	}
	return out
}

// NeedsSession reports whether Run needs an open session: to keep leases alive, or to tell
// how the command ended for its secrets.
func (p *Plan) NeedsSession() bool {
	return p.HasLeases() || p.delivery != nil && (p.delivery.Reserved || !p.person())
}

// HasLeases reports whether values were leased.
func (p *Plan) HasLeases() bool { return p.delivery != nil && len(p.delivery.Leases) > 0 }

// Streams are the command's. Its output comes out of Stdout and Stderr redacted. None
// of them is closed.
type Streams struct{ Stdin, Stdout, Stderr *os.File }

// Run starts the command and waits for its end; Status says how it fared. Where the plan
// NeedsSession, s must be open: Run renews the leases, revokes them before it returns
// and leaves s open. Else s may be nil.
//
// A ctx that has ended prevents the start. Once the command runs, signals are passed
// on to it, and only the deadline ends it, if that is not zero.
func (p *Plan) Run(ctx context.Context, s *session.Session, streams Streams, deadline time.Time) error {
	if p.NeedsSession() && s == nil {
		return keyturn.E(keyturn.Internal, "the session was closed before the command ran", "this is a bug: please report it")
	}
	for _, n := range p.expiring(time.Now()) {
		p.say("note: %s", n)
	}
	if p.HasLeases() {
		l := leases{plan: p, session: s, ctx: context.WithoutCancel(ctx), all: p.delivery.Leases}
		l.begin()
		defer l.end()
	}
	return p.start(ctx, s, streams, deadline)
}

// Capture is Run for a door without streams: the output, redacted or withheld as ever, is
// written to w, standard output and standard error as they come. The command has no
// terminal, and nothing on standard input. Where w fails, the command gets SIGPIPE.
func (p *Plan) Capture(ctx context.Context, s *session.Session, w io.Writer, deadline time.Time) error {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return keyturn.E(keyturn.Unavailable, "the null device cannot be opened", "").Because(err)
	}
	defer null.Close()
	p.capture = w
	return p.Run(ctx, s, Streams{Stdout: null, Stderr: null}, deadline) // one file for both: one filter
}

// captured returns the filter that writes to p.capture what filter, which may be nil, makes
// of the output.
func (p *Plan) captured(filter launch.Filter) launch.Filter {
	return func(io.Writer) io.WriteCloser {
		if filter == nil {
			return unfiltered{p.capture}
		}
		return filter(p.capture)
	}
}

// start runs the command, whose leases are kept alive meanwhile.
func (p *Plan) start(ctx context.Context, s *session.Session, streams Streams, deadline time.Time) (err error) {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	l := launch.Command{Args: p.Op.Command, Dir: p.runner.folder(), Inherit: p.inherit, Env: p.variables(),
		Stdin: streams.Stdin, Stdout: streams.Stdout, Stderr: streams.Stderr,
		Tell: func(m string) { p.say("note: %s", keyturn.Clean(m)) }}
	var f *filtering
	if p.delivery != nil {
		defer func() { err = cmp.Or(err, p.account(ctx, s, f != nil && f.met())) }()
		l.Env = p.validNames(l.Env)
		for _, file := range p.delivery.Files {
			l.Files = append(l.Files, launch.File{Path: file.Name, Value: file.Value})
		}
		input, err := p.given()
		if err != nil {
			return err
		}
		if f, err = p.redact(); err != nil {
			return err
		}
		if f != nil {
			l.Filter, l.Input = f.filter, input
		}
	}
	if p.capture != nil {
		l.Filter = p.captured(l.Filter)
	}
	until, cancel := context.WithoutCancel(ctx), context.CancelFunc(func() {})
	if !deadline.IsZero() {
		until, cancel = context.WithDeadline(until, deadline)
	}
	defer cancel()
	l.Program = p.Op.Program // no other one, whatever has changed since it was asked about
	if ctx.Err() != nil {    // a signal while everything was made ready
		return ctx.Err()
	}
	begun := time.Now()
	p.Status, err = launch.Run(until, l)
	if f != nil {
		err = p.finish(f, begun, err)
	}
	return err
}

// finish shows what is shown of the output now that the command has ended. failed is what
// launch.Run returned.
func (p *Plan) finish(f *filtering, begun time.Time, failed error) error {
	if !p.person() && f.late() { // lest the time tell how hard the redactor had to look
		ran := time.Since(begun)
		time.Sleep((ran+grain-1)/grain*grain - ran)
	}
	switch {
	case len(p.watch.held()) > 0:
		p.Output, p.Status.Code, p.Status.Signal = "withheld", exitFailed, 0 // keyturn has ended it
		f.drop()
		if failed == nil { // the command ended before its input was refused
			failed = p.inputRefused()
		}
		return failed
	case f.met():
		f.withheld, p.Output = true, "withheld"
		p.say("keyturn: the rest of the output is withheld: two of the command's values met in it, and where they do could tell whether one is a guess at the other")
	}
	if f.withheld {
		p.Status = coarse(p.Status)
	}
	cut, err := f.release()
	if cut {
		p.say("note: the output was longer than 8 MiB: the rest is withheld")
	}
	if failed == nil && err == nil { // after an error a writer may still be in use
		f.wipe()
		p.watch.wipe()
	}
	return cmp.Or(failed, err)
}

// validNames leaves out what no variable can be called, and says so.
func (p *Plan) validNames(env []launch.EnvVar) []launch.EnvVar {
	out := env[:0]
	for _, v := range env {
		if !launch.ValidName(v.Name) {
			p.say("note: '%s' cannot be the name of a variable and is left out; give it one with --env NAME=REF", keyturn.Clean(v.Name))
			continue
		}
		out = append(out, v)
	}
	return out
}

// expiring names the secrets of this run that have passed their day, or soon will.
func (p *Plan) expiring(now time.Time) (notices []string) {
	if p.delivery == nil {
		return nil
	}
	for _, d := range slices.Concat(p.delivery.Env, p.delivery.Files) {
		n := health.ExpiryNotice(d.Ref, d.Expires, now)
		if n != "" && d.Label != "" && !slices.Contains(notices, n) {
			notices = append(notices, n)
		}
	}
	return notices
}

// say tells the Desk something. Leases are kept by goroutines of their own, so that
// several may call say at once.
func (p *Plan) say(format string, args ...any) {
	p.telling.Lock()
	defer p.telling.Unlock()
	p.runner.Desk.Say(format, args...)
}
