package health

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/cli/command"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/migrate"
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

// configuration tells which files decide.
func (d *doctor) configuration(f session.Facts) {
	if f.Operator == nil {
		d.ok("configuration", "no file: people may do everything here, agents and services nothing")
		return
	}
	file := f.Operator.File
	if f.Operator.Unchecked != "" {
		d.warn("configuration", "see that nobody else can change the file", "%s: %s", file, f.Operator.Unchecked)
		return
	}
	if lint := f.Rules.Lint(f.Mounts); len(lint) > 0 {
		d.warn("configuration", "keyturn config check", "%s: %s", lint[0].Where, lint[0].Message)
		return
	}
	d.ok("configuration", "%s, yours alone to change", file)
}

// caller tells whom keyturn takes the caller for, and by which marks.
func (d *doctor) caller(f session.Facts) {
	a := f.Actor
	found := "by " + a.Proof
	if a.Detail != "" {
		found += ": " + a.Detail
	}
	switch {
	case a.Kind == keyturn.Person && a.Detail != "":
		d.warn("caller", "", "you are %s (%s): an agent among them would not be seen", a.Principal(), found)
	case a.Kind == keyturn.Person:
		d.ok("caller", "you are %s; no marks of an agent", a.Principal())
	default:
		if len(a.Also) > 0 {
			found += "; marks of " + strings.Join(a.Also, ", ") + " too"
		}
		d.ok("caller", "you are %s (%s): rules say what you may", a.Principal(), found)
	}
}

func (d *doctor) store(in session.Inspection) {
	if in.Err != nil {
		d.bad("store", in.Err)
		return
	}
	d.ok("store", "%s, format %d, %s", in.Store.Path, in.Format, size(in.Size))
	if in.WAL > largeWAL {
		d.warn("store log", "end the programs that hold the store open, then: keyturn status",
			"%s of changes wait beside the store to be taken into it", size(in.WAL))
	}
}

func keyPlace(s session.StoreFacts) string {
	if s.KeyAt == "" {
		return s.RootKey
	}
	return s.RootKey + ", " + s.KeyAt
}

// files tells whether others can get at the store. A folder that is closed to them
// closes what is in it.
func (d *doctor) files(in session.Inspection) {
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
		d.warn("files", "if you trust what is in them: sudo chown \"$USER\" "+strings.Join(foreign, " "), "%d of the store's files belong to another user", len(foreign))
	case len(exposed) > 0:
		d.warn("files", strings.Join(exposed, "\n"), "others on this machine can get at the store's folder")
	case len(in.Files) > 0:
		d.ok("files", "yours alone: %s", in.Home)
	case runtime.GOOS == "windows":
		d.ok("files", "%s; who else may use it is for Windows to say, and not looked at", in.Home)
	}
}

func (d *doctor) disk(in session.Inspection) {
	switch {
	case in.Free < 0: // not known, or no folder yet
	case in.Free < noRoom:
		d.bad("disk", keyturn.E(keyturn.Unavailable, "the disk is full: "+size(in.Free)+" left beside the store", "make room on the disk that holds "+in.Home+": nothing can be changed, and nothing recorded"))
	case in.Free < littleRoom:
		d.warn("disk", "make room on the disk that holds "+keyturn.Quote(in.Home), "%s left beside the store", size(in.Free))
	default:
		d.ok("disk", "%s left beside the store", size(in.Free))
	}
}

func (d *doctor) memory(in session.Inspection) {
	if in.Dumps != nil {
		d.warn("core dumps", "ulimit -c 0, where the system has it", "a crash could leave values in a file: %s", keyturn.AsError(in.Dumps).Message)
		return
	}
	d.ok("core dumps", "off for keyturn; programs under 'keyturn run' keep their own setting")
}

// mounts asks each mount how it is, and returns the names of those that answer.
func (d *doctor) mounts(ctx context.Context, s *session.Session) ([]string, error) {
	res, err := session.Ask[*keyturn.Mounts](ctx, s, keyturn.ListMounts{Probe: true})
	if err != nil {
		return nil, err
	}
	d.receipt = res.Receipt
	var well []string
	for _, m := range res.Mounts {
		check, h := "mount "+m.Mount, m.Health
		switch {
		case h != nil && h.Err != nil:
			d.bad(check, h.Err)
			continue
		case h != nil && h.Sealed:
			d.bad(check, keyturn.E(keyturn.Sealed, m.Mount+" is sealed", "unseal it with its own tools"))
			continue
		case h != nil && !h.Reachable:
			d.bad(check, keyturn.E(keyturn.Unavailable, m.Mount+" does not answer: "+m.Target, "check the network, and the address in the configuration"))
			continue
		}
		text := m.Platform + " at " + m.Target
		if as := command.As(h); as != "" {
			text += ", as " + as
		}
		if h != nil && h.Detail != "" {
			text += ", " + h.Detail
		}
		if h != nil && h.TLS != nil && h.TLS.Version != "none" {
			text += ", " + h.TLS.Version
		}
		if !d.server(check, text, h) {
			d.ok(check, "%s", text)
		}
		well = append(well, m.Mount)
	}
	if len(res.Mounts) == 0 {
		d.ok("mounts", "none in which %s may do anything", s.Actor.Principal())
	}
	return well, nil
}

// server warns of what will keep a server that answers from being used: clocks that
// are apart, and a certificate that ends. It reports whether it did.
func (d *doctor) server(check, text string, h *keyturn.Health) bool {
	if h == nil {
		return false
	}
	before := len(d.checks)
	if far := command.Apart(h); far != "" && h.Ahead.Abs() >= clocksApart {
		d.warn(check, "set the clock that is wrong: logins by signed tokens are refused, and times of tokens and leases are told wrong", "%s; %s", text, far)
	}
	if h.TLS != nil && !h.TLS.Ends.IsZero() && time.Until(h.TLS.Ends) < certificateNear {
		d.warn(check, "have the server's operator renew it: nobody connects after that", "%s; its certificate ends %s", text, command.When(h.TLS.Ends))
	}
	return len(d.checks) > before
}

// clock tells of records that are from the future: this clock, or the one they
// were made by, is wrong.
func (d *doctor) clock(ctx context.Context, s *session.Session) {
	if s.Actor.Kind != keyturn.Person { // the log is not theirs to read
		return
	}
	ctx, cancel := context.WithTimeout(ctx, logLimit)
	defer cancel()
	now := time.Now()
	var ahead time.Duration
	res, err := keyturn.Do[*keyturn.Records](ctx, s.Service, keyturn.ListRecords{Since: now.Add(clockSlack).UTC()})
	if err == nil {
		var r keyturn.Record
		for r, err = range res.Records {
			if err != nil {
				break
			}
			ahead = max(ahead, r.Time.Sub(now))
		}
	}
	switch {
	case ahead > 0:
		d.warn("clock", "set this machine's clock; if it is right, it was ahead once, and the log keeps its times in order",
			"the audit log has records from the future: %s ahead of this clock", ahead.Round(time.Second))
	case ctx.Err() != nil:
		d.ok("clock", "%s; the log is too long to be compared with it here", command.When(now))
	case err != nil && code(err) == keyturn.Denied:
	case err != nil:
		d.bad("audit log", err)
	default:
		d.ok("clock", "%s, not before the last record of the log", command.When(now))
	}
}

// project tells whether what this folder asks for is trusted.
func (d *doctor) project(ctx context.Context, s *session.Session) {
	p := s.Project
	if p == nil {
		return
	}
	path := p.File
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	asks := p.Bindings()
	if len(asks) == 0 || s.Actor.Kind != keyturn.Person {
		d.ok("project", "%s asks for %s", path, secrets(len(asks)))
		return
	}
	now, err := session.Ask[*keyturn.Trusted](ctx, s, keyturn.ShowTrust{Path: path})
	switch {
	case err != nil:
		d.bad("project", err)
	case !now.Known:
		d.warn("project", "look at it, then: keyturn trust", "%s asks for %s and is not trusted yet", path, secrets(len(asks)))
	case len(config.Diff(now.Before, asks)) > 0:
		d.warn("project", "look at it, then: keyturn trust", "%s asks for other secrets than those you trusted", path)
	default:
		d.ok("project", "%s asks for %s and is trusted", path, secrets(len(asks)))
	}
}

// unfinished tells of work that was cut short: migrations, leases, and what else the
// session knows of.
func (d *doctor) unfinished(ctx context.Context, s *session.Session) {
	lists := append([]session.UnfinishedWork{func(ctx context.Context) ([]session.Unfinished, error) { return migrate.Unfinished(ctx, s) },
		func(ctx context.Context) ([]session.Unfinished, error) { return leases(ctx, s) }}, s.Unfinished...)
	for _, list := range lists {
		found, err := list(ctx)
		if err != nil {
			if code(err) != keyturn.Denied { // what is not theirs to know
				d.bad("unfinished", err)
			}
			continue
		}
		for _, u := range found {
			d.warn("unfinished", u.Next, "%s", u.What)
		}
	}
}

func (d *doctor) expiring(ctx context.Context, s *session.Session, mounts []string) {
	if line := command.Expiring(ctx, s, mounts, listLimit); line != "" {
		d.warn("expiry", "put a new version: keyturn put REF --expires DATE", "%s", line)
	}
}

// protection says what the present topology does and does not guard against
// (safety.md, I11): it is told, never implied.
func (d *doctor) protection(in session.Inspection) {
	lines := append([]string{"one user for you and your agents: keyturn guards against mistakes, not against an agent that means harm"},
		d.protects(in.Store.RootKey)...)
	d.ok("protection", "%s", strings.Join(lines, "\n"))
}

// completion tells whether the shell of a person completes keyturn.
func (d *doctor) completion() {
	shell := strings.TrimSuffix(filepath.Base(d.c.Env("SHELL")), ".exe")
	places, known := completions(d.c)[shell]
	if !known || d.actor.Kind != keyturn.Person {
		return
	}
	for _, path := range places.files {
		if _, err := os.Stat(path); err == nil {
			d.ok("completion", "%s: %s", shell, path)
			return
		}
	}
	for _, path := range places.starts {
		if text, err := session.ReadFile(path); err == nil && strings.Contains(string(text), "keyturn completion") {
			d.ok("completion", "%s: %s", shell, path)
			return
		}
	}
	d.warn("completion", "keyturn completion --help", "%s does not complete keyturn's commands and names yet", shell)
}

// places are where a shell's completion is set up.
type places struct{ files, starts []string }

func completions(c *command.Command) map[string]places {
	home := c.Env("HOME")
	if home == "" {
		return nil
	}
	or := func(name string, def ...string) string {
		if v := c.Env(name); filepath.IsAbs(v) {
			return v
		}
		return filepath.Join(append([]string{home}, def...)...)
	}
	return map[string]places{
		"bash": {[]string{filepath.Join(or("XDG_DATA_HOME", ".local", "share"), "bash-completion", "completions", "keyturn"),
			"/usr/share/bash-completion/completions/keyturn", "/usr/local/share/bash-completion/completions/keyturn",
			"/etc/bash_completion.d/keyturn", "/usr/local/etc/bash_completion.d/keyturn", "/opt/homebrew/etc/bash_completion.d/keyturn"},
			[]string{filepath.Join(home, ".bashrc"), filepath.Join(home, ".bash_profile"), filepath.Join(home, ".bash_completion")}},
		"zsh": {[]string{"/usr/share/zsh/site-functions/_keyturn", "/usr/share/zsh/vendor-completions/_keyturn",
			"/usr/local/share/zsh/site-functions/_keyturn", "/opt/homebrew/share/zsh/site-functions/_keyturn"},
			[]string{filepath.Join(or("ZDOTDIR"), ".zshrc"), filepath.Join(home, ".zshrc")}},
		"fish": {[]string{filepath.Join(or("XDG_CONFIG_HOME", ".config"), "fish", "completions", "keyturn.fish"),
			"/usr/share/fish/vendor_completions.d/keyturn.fish"},
			[]string{filepath.Join(or("XDG_CONFIG_HOME", ".config"), "fish", "config.fish")}},
	}
}

// size is a number of bytes as a person reads it.
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

func secrets(n int) string {
	if n == 1 {
		return "1 secret"
	}
	return fmt.Sprintf("%d secrets", n)
}
