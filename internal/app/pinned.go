package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/home"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/session"
)

// Which operator's file judges depends on who calls. A person's is the one that their own
// environment or --config names. An agent's or a service's is the one that the store has
// pinned, by path and content, and no other, whatever variables they set. A person's first
// use pins, but only while nobody has a passphrase, nobody has settled which file counts,
// and the file is the one in its usual place, or the one named as the store was made; else 'keyturn config trust' does, as it does
// after a change.

// standing is what an open store says of the operator's file and of its own folder.
type standing struct {
	facts   session.Facts
	machine journal.Machine
	pin     session.Pin
	notes   []string
	first   bool           // nothing is pinned, and the person's file is to be
	config  *keyturn.Error // why agents and services may do nothing
	moved   *keyturn.Error // why nobody may do anything until the folder is adopted
	adopted atomic.Bool
}

// stand finds out what an open store says.
func (m machine) stand(ctx context.Context, how session.How, f session.Facts, store *home.Store) (*standing, error) {
	st := &standing{facts: f}
	var err error
	if st.machine, st.moved, err = store.Machine(ctx); err != nil {
		return nil, err
	}
	st.facts.TrustedEnv = st.machine.Env
	if how.Home != "" { // quickstart reads no configuration
		return st, nil
	}
	if pin := st.machine.Config; pin != nil {
		st.facts.Operators = append(st.facts.Operators, pin.Path)
	}
	former, err := m.former(ctx, store, st.machine)
	if err != nil {
		return nil, err
	}
	if f.Actor.Kind == keyturn.Person {
		fresh, err := m.fresh(ctx, how, store, st.machine)
		if err != nil {
			return nil, err
		}
		st.person(fresh, how.Config != "")
		if how.Trusting {
			st.first = false
		}
		return st, nil
	}
	if err := m.judged(how, st, former); err != nil {
		return nil, err
	}
	return st, expected(st.facts)
}

// fresh reports whether the first use by a person may pin the operator's file without a
// question.
func (m machine) fresh(ctx context.Context, how session.How, store *home.Store, have journal.Machine) (bool, error) {
	if have.Config != nil || have.Settled || how.Config != "" && !m.making {
		return false, nil
	}
	known, err := journal.New(store.DB(), m.Now).Passphrases.Any(ctx)
	return !known, err
}

// former returns the paths of operator's files that an earlier keyturn knew by their paths
// alone, where nobody has said yet which file counts, nor that none does.
func (m machine) former(ctx context.Context, store *home.Store, have journal.Machine) ([]string, error) {
	if have.Config != nil || have.Settled || store.Facts.Actor.Kind == keyturn.Person {
		return nil, nil
	}
	return journal.New(store.DB(), m.Now).Trust.FormerConfigs(ctx)
}

// judged finds the operator's file that an agent or a service is judged by.
func (m machine) judged(how session.How, st *standing, former []string) error {
	pin, path := st.machine.Config, ""
	switch system := config.SystemFile(); {
	case pin != nil:
		path = pin.Path
	case len(former) == 1: // of an earlier keyturn; a person's next use pins it
		path = former[0]
	case len(former) > 1:
		st.config = changed("which of several configurations counts is not pinned yet", nil)
		st.config.Hint = "a person uses this store once: keyturn status"
		return m.finish(how, &st.facts)
	case config.Rooted(system):
		path = system
	}
	if how.Config != "" {
		named := session.Abs(m.Dir, how.Config)
		if path == "" || !config.SameFile(named, path) {
			st.config = keyturn.E(keyturn.Denied, "only a person may choose the configuration "+keyturn.Clean(named)+", not "+st.facts.Actor.Principal(),
				"leave out --config and KEYTURN_CONFIG: the configuration that a person has trusted counts")
			st.config.By = "person"
		}
	}
	if path != "" && st.config == nil {
		o, err := config.LoadOperator(config.Locations{Explicit: path})
		switch {
		case err != nil:
			st.config = changed(keyturn.Clean(path)+" cannot be read as the configuration that was trusted ("+why(path)+")", err)
		case pin != nil && !config.Rooted(path) && !same(pin, o):
			st.config = changed(keyturn.Clean(path)+" has changed since a person trusted it", nil)
		default:
			st.facts.Operator = o
		}
	}
	if named := m.operatorPath(how); path == "" && st.config == nil && named != "" {
		st.note("no rule of " + keyturn.Clean(named) + " counts for agents and services until a person has said: keyturn config trust")
	}
	return m.finish(how, &st.facts)
}

// why says in general why an operator's file cannot be read, and nothing of what it says.
func why(path string) string {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "it does not exist"
	case err != nil:
		return "it is out of reach"
	case !info.Mode().IsRegular():
		return "it is no file"
	}
	return "its permissions or its text are not right"
}

// changed refuses an agent or a service, since the operator's file is not what it was.
func changed(message string, cause error) *keyturn.Error {
	e := keyturn.E(keyturn.Denied, message+": agents and services may do nothing until a person has looked at it", "keyturn config trust").
		With(keyturn.ConfigChanged).Because(cause)
	e.By = "person"
	return e
}

// same reports whether a file means what was pinned.
func same(pin *journal.ConfigPin, o *config.Operator) bool {
	if pin.Digest == o.Digest() {
		return true
	}
	// Another keyturn may have counted otherwise.
	then, err := config.ParseOperator(pin.Path, []byte(pin.Text))
	return err == nil && then.Digest() == o.Digest()
}

// person compares the file that judges a person with the one that agents are judged by.
// fresh says that a first file is pinned, named that --config or KEYTURN_CONFIG names it.
func (st *standing) person(fresh, named bool) {
	now, pin := st.facts.Operator, st.machine.Config
	held := home.Held(st.machine)
	st.pin = session.Pin{Env: st.machine.Env}
	if now != nil {
		st.pin.Now = keyturn.UseConfig{Path: now.File, Digest: now.Digest()}
		st.pin.Says = now.Text
	}
	if pin != nil {
		st.pin.Path, st.pin.Text = pin.Path, pin.Text
	} else if held != nil {
		st.pin.Path, st.pin.Text = held.File, held.Text
	}
	switch {
	case st.pin.Path == "" && now == nil:
		return
	case st.pin.Path == "":
		st.first, st.pin.Changed = fresh, true
		if !fresh {
			trust := "keyturn config trust"
			if named {
				trust += " --config " + keyturn.Quote(now.File)
			}
			st.note("agents and services are not judged by " + keyturn.Clean(now.File) + ", and may do nothing, until you say: " + trust)
		}
		return
	case now == nil:
		if _, err := os.Stat(st.pin.Path); err != nil {
			st.note(keyturn.Clean(st.pin.Path) + " cannot be read any more: agents and services may do nothing until it is back or you say 'keyturn config trust'")
			break
		}
		st.note("no configuration of yours is found: agents and services are judged by " + keyturn.Clean(st.pin.Path))
	case pin != nil && same(pin, now) && config.SameFile(now.File, pin.Path), pin == nil && config.SameFile(now.File, held.File), pin != nil && config.Rooted(pin.Path) && now.File == pin.Path:
		return
	case now.File == st.pin.Path:
		st.note(keyturn.Clean(now.File) + " has changed since you trusted it: agents and services may do nothing until you say 'keyturn config trust'")
	default:
		st.note("you are judged by " + keyturn.Clean(now.File) + ", agents and services by " + keyturn.Clean(st.pin.Path))
	}
	st.pin.Changed = true
}

func (st *standing) note(s string) { st.notes = append(st.notes, s) }

// bar refuses operations of this session for what stand found out.
func (st *standing) bar(how session.How) func(keyturn.Op) error {
	return func(op keyturn.Op) error {
		_, adopts := op.(keyturn.AdoptStore)
		_, trusts := op.(keyturn.UseConfig)
		switch {
		case st.moved != nil && !st.adopted.Load() && !(adopts && st.facts.Actor.Kind == keyturn.Person):
			e := *st.moved
			return &e
		case st.config != nil && !trusts: // that is for people only, whatever is barred
			e := *st.config
			return &e
		case how.Trusting && !trusts, how.Adopting && !adopts:
			return keyturn.E(keyturn.Internal, "this session was opened for one operation, and not for this one", "this is a bug: please report it")
		}
		return nil
	}
}

// closed reports whether no operation at all is done in this session.
func (st *standing) closed() bool { return st.config != nil || st.moved != nil && !st.adopted.Load() }

// pinOf returns what UseConfig pins: the file that this session has read, as it read it.
func (st *standing) pinOf(op keyturn.UseConfig) (pin *journal.ConfigPin, standing bool, err error) {
	o := st.facts.Operator
	standing = !st.first
	switch {
	case op.Path == "" && op.Digest == "":
		return nil, standing, nil
	case o == nil || op.Path != o.File || op.Digest != o.Digest():
		return nil, standing, keyturn.E(keyturn.Conflict, "the configuration is not the one that was looked at", "look again: keyturn config trust")
	case o.File == config.SystemFile() && config.Rooted(o.File):
		return nil, standing, nil // it counts without a pin
	}
	return &journal.ConfigPin{Path: o.File, Digest: op.Digest, Text: o.Text}, standing, nil
}

// pinned notes that the person's file was pinned, as the first one.
func (st *standing) pinned() {
	st.first, st.pin.Changed = false, false
	st.pin.Path, st.pin.Text = st.pin.Now.Path, st.pin.Says
	st.machine.Config = &journal.ConfigPin{Path: st.pin.Path, Digest: st.pin.Now.Digest, Text: st.pin.Text}
	st.note("agents and services are judged by " + keyturn.Clean(st.pin.Path) + " from now on (" + rulesFor(st.facts.Operator) + ")")
}

// rulesFor counts the rules of a file that are for others than people.
func rulesFor(o *config.Operator) string {
	n := 0
	for _, r := range o.Rules {
		if slices.ContainsFunc(r.Who, func(who string) bool { return who != "people" && !strings.HasPrefix(who, "user:") }) {
			n++
		}
	}
	if n == 1 {
		return "1 rule for them"
	}
	return fmt.Sprintf("%d rules for them", n)
}

// remembers refuses to write a rule to a file that agents and services are not judged by:
// it would not hold from now on.
func (st *standing) remembers(path string, before *config.Operator) error {
	switch pinned := st.pin.Path; {
	case pinned == "" && before != nil:
		return keyturn.E(keyturn.Conflict, "agents and services are not judged by "+keyturn.Clean(path)+": a rule there would not hold for them",
			"approve without --remember, or first say: keyturn config trust")
	case pinned != "" && path != pinned && !config.SameFile(path, pinned):
		return keyturn.E(keyturn.Conflict, "agents and services are judged by "+keyturn.Clean(pinned)+": a rule in "+keyturn.Clean(path)+" would not hold for them",
			"approve without --remember, or with: --config "+keyturn.Quote(pinned))
	}
	return nil
}

// remembered returns what pins the operator's file again after a rule was written to it:
// where the file was the pinned one before, or is the first one.
func (st *standing) remembered(path string, before *config.Operator) (op keyturn.UseConfig, yes bool, err error) {
	pin := st.machine.Config
	was := pin != nil && before != nil && path == pin.Path && same(pin, before)
	if first := st.pin.Path == "" && before == nil; !was && !first {
		return op, false, nil
	}
	now, err := config.LoadOperator(config.Locations{Explicit: path})
	if err != nil {
		return op, false, err
	}
	st.facts.Operator = now // pinOf pins what was read
	return keyturn.UseConfig{Path: now.File, Digest: now.Digest()}, true, nil
}

// confirm asks the person for a yes where no passphrase is set.
func confirm(how session.How) func(context.Context, string) error {
	return func(ctx context.Context, question string) error {
		if how.Yes {
			return nil
		}
		if how.Quiet || !how.Desk.Possible() {
			e := keyturn.E(keyturn.Denied, "there is no terminal to ask at", "look at the configuration, and say: keyturn config trust --yes")
			e.By = "person"
			return e
		}
		yes, err := how.Desk.Confirm(ctx, question)
		if err == nil && !yes {
			err = session.SaidNo()
		}
		return err
	}
}

// operatorPath returns the path of the operator's file that the caller's environment names;
// "" for none.
func (m machine) operatorPath(how session.How) string {
	path, err := m.locations(how).Find()
	if err != nil || path == "" {
		return ""
	}
	return filepath.Clean(path)
}
