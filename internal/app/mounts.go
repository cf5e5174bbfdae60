package app

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/session"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/tokens"
)

// mountNames lists the names of the mounts, sorted: those of the operator's configuration
// and the ambient ones.
func mountNames(table driverTable, o *config.Operator, env platform.Env) []string {
	var names []string
	if o != nil {
		for _, c := range o.Mounts {
			names = append(names, c.Name)
		}
	}
	for _, d := range table {
		if d.Ambient == nil {
			continue
		}
		if there, _ := d.Ambient(env); there {
			names = append(names, d.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// checkMounts refuses, with file and line, settings that no mount of their platform has,
// and those that cannot be meant. It opens and asks nothing.
func checkMounts(table driverTable, o *config.Operator) error {
	if o == nil {
		return nil
	}
	for _, m := range o.Mounts {
		if d, ok := table.named(m.Platform); ok && d.Check != nil {
			if err := d.Check(settingsOf(o, m)); err != nil {
				return err
			}
		}
	}
	return nil
}

// settingsOf returns the settings of a configured mount, as a driver takes them.
func settingsOf(o *config.Operator, m config.Mount) platform.Settings {
	s := platform.Settings{Mount: m.Name, File: o.File, Line: m.Line}
	same := 0
	for _, other := range o.Mounts {
		if other.Platform == m.Platform {
			same++
		}
	}
	s.Only = same == 1
	for _, one := range m.Settings {
		s.List = append(s.List, platform.Setting(one))
	}
	return s
}

// mounts opens the mounts when they are first used.
type mounts struct {
	db       *state.DB
	drivers  driverTable
	operator *config.Operator
	known    []string     // the names, sorted
	env      platform.Env // without a Keeper

	mu   sync.Mutex
	open map[string]*platform.Mount
}

// Names implements broker.Mounts.
func (ms *mounts) Names() []string { return slices.Clone(ms.known) }

// Mount implements broker.Mounts.
func (ms *mounts) Mount(name string) (*platform.Mount, error) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if m, ok := ms.open[name]; ok {
		return m, nil
	}
	m, err := ms.make(name)
	if err == nil {
		if ms.open == nil {
			ms.open = map[string]*platform.Mount{}
		}
		ms.open[name] = m
	}
	return m, err
}

func (ms *mounts) make(name string) (*platform.Mount, error) {
	configured, known := ms.operator.Mount(name)
	kind := name // an ambient mount has the name of its platform
	if known {
		kind = configured.Platform
	}
	d, ok := ms.drivers.named(kind)
	switch {
	case known && !ok:
		return nil, keyturn.E(keyturn.Unsupported, "this keyturn does not speak to "+keyturn.Clean(kind)+" yet", "the mount 'local' works")
	case known || ok && slices.Contains(ms.known, name):
		env := ms.env
		env.Keeper = func(s platform.Server) platform.Keeper { return ms.shelf(name, d.Name, s) }
		return d.Open(env, ms.settings(name))
	}
	if err := ms.withheld(name); err != nil {
		return nil, err
	}
	return nil, keyturn.E(keyturn.NotFound, "no mount '"+keyturn.Clean(name)+"'", ms.instead(name))
}

// settings returns those of a configured mount, or else of an ambient one.
func (ms *mounts) settings(name string) platform.Settings {
	if m, ok := ms.operator.Mount(name); ok {
		return settingsOf(ms.operator, m)
	}
	return platform.Settings{Mount: name, Ambient: true, Only: true}
}

// shelf returns where the login of a mount to a server is kept.
func (ms *mounts) shelf(mount, kind string, s platform.Server) *tokens.Shelf {
	return tokens.At(ms.db, mount, kind, s.Address, s.Namespace)
}

// instead suggests another mount, or how there would be one of that name.
func (ms *mounts) instead(name string) string {
	if d, ok := ms.drivers.named(name); ok && d.Variable != "" {
		return "set " + d.Variable + " to the server's address, or name it in the operator's configuration"
	}
	if near := keyturn.Nearest(name, slices.Values(ms.known)); near != "" {
		return "did you mean '" + near + "'?"
	}
	for _, d := range ms.drivers {
		if d.Variable != "" && ms.env.Lookup(d.Variable) == "" && keyturn.Nearest(name, slices.Values([]string{d.Name})) != "" {
			return "did you mean '" + d.Name + "'? It is there where " + d.Variable + " is set"
		}
	}
	return "the mounts are " + strings.Join(ms.known, ", ") + "; more come from the operator's configuration"
}

// withheld refuses a mount that the environment names and this caller does not have.
func (ms *mounts) withheld(name string) error {
	d, ok := ms.drivers.named(name)
	if !ok || d.Ambient == nil || slices.Contains(ms.known, name) {
		return nil
	}
	_, err := d.Ambient(ms.env)
	return err
}

// attend keeps the login of a mount alive until ctx ends, where the mount is in use; see
// platform.Attender.
func (ms *mounts) attend(ctx context.Context, mount string, need time.Duration, tell func(end time.Time, why string)) {
	ms.mu.Lock()
	m, ok := ms.open[mount]
	ms.mu.Unlock()
	if ok {
		m.Attend(ctx, need, tell)
	}
}

// renewalWait is how long a command that is done waits for the renewal of its token.
const renewalWait = time.Second

// close waits for work that goes on beside the operations.
func (ms *mounts) close() {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	for _, m := range ms.open {
		m.Close(renewalWait)
	}
	ms.open = nil
}

// leftover lists, for people, the kept logins that no mount uses any more, because the
// mount's address, namespace or name has changed. They are still valid at their servers.
func (ms *mounts) leftover(ctx context.Context) ([]session.Unfinished, error) {
	if ms.env.Caller != keyturn.Person {
		return nil, nil
	}
	now := time.Now
	if ms.env.Now != nil {
		now = ms.env.Now
	}
	logins, err := tokens.List(ctx, ms.db)
	var out []session.Unfinished
	for _, l := range logins {
		d, ok := ms.drivers.named(l.Platform)
		if !ok || d.Server == nil || !l.Expires.IsZero() && !now().Before(l.Expires) || ms.uses(d, l) {
			continue
		}
		where := keyturn.Clean(l.Address)
		if l.Namespace != "" {
			where += ", namespace " + keyturn.Clean(l.Namespace)
		}
		next := "name it so in the configuration once more, and then: keyturn logout " + keyturn.Clean(l.Mount)
		if _, configured := ms.operator.Mount(d.Name); !configured && l.Mount == d.Name && d.Assign != nil {
			next = d.Assign(platform.Server{Address: l.Address, Namespace: l.Namespace}) + " keyturn logout " + d.Name
		}
		out = append(out, session.Unfinished{What: "a login of the mount " + keyturn.Clean(l.Mount) + " to " + where + " as " + keyturn.Clean(l.Identity) + " is kept, and no mount is that now",
			Next: next})
	}
	return out, err
}

// uses reports whether l is the login of a mount as it is now.
func (ms *mounts) uses(d platform.Driver, l tokens.Login) bool {
	m, configured := ms.operator.Mount(l.Mount)
	if configured && m.Platform != d.Name || !configured && l.Mount != d.Name {
		return false
	}
	s, err := d.Server(ms.env, ms.settings(l.Mount))
	return err == nil && ms.shelf(l.Mount, d.Name, s).Holds(l)
}
