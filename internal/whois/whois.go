// Package whois finds out who is calling: a person, a coding agent or a
// service. It looks at the environment and at the processes that started this
// one, and never at what the caller says about itself beyond that.
//
// The marks are a help, not a wall: a program that runs under the same user can
// remove them. Only another user or host separates an agent from its user for good
// (docs/security.md). So a doubt is decided for the caller with fewer rights, and
// nothing that is seen here ever makes an agent into a person.
package whois

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"runtime"
	"strings"
	"sync"

	"github.com/keyturn/keyturn"
)

// ServiceVariable names the service that a process says it is. Declaring it can
// only take rights away from a person: services may nothing but by rule.
const ServiceVariable = "KEYTURN_SERVICE"

// Unknown is the name of an agent or service that was seen, but not named.
const Unknown = "unknown"

// The ways an actor was found out, as they stand in keyturn.Actor.Proof.
const (
	ByUser        = "os-user"
	ByEnvironment = "environment"
	ByAncestor    = "ancestor"
	ByDeclaration = "declared"
)

// Blind is the Detail of a person or service whose ancestors could not be read,
// so that only the environment was looked at.
const Blind = "environment only: the processes that started this one cannot be read"

// Source is where the marks are looked for. Its zero value is the real machine;
// every field can be replaced. A Source is a value and safe for concurrent use
// where its functions are.
type Source struct {
	// Environ holds "NAME=value" lines; nil means os.Environ. An empty slice that
	// is not nil is an empty environment.
	Environ []string
	// Ancestors lists the processes that started this one, nearest first; nil
	// means those of the operating system. With an error, what was read before
	// it still counts.
	Ancestors func() ([]Process, error)
	// UserName names the user of the operating system; nil asks the system, and
	// never the environment.
	UserName func() string
	// Exists reports whether a file exists; nil asks the system.
	Exists func(path string) bool
	// Session identifies this process; "" means a random id that is made once.
	Session string
}

// Process is what is known of one ancestor. Every field but PID may be empty.
type Process struct {
	PID  int
	Name string   // as the system lists it, often cut at 15 bytes
	Exe  string   // path of the program file
	Args []string // command line, argv[0] included; may be cut
}

// Actor decides who is calling. It never fails: what cannot be read is left
// out, and Detail says so. The order is agent by environment, agent by
// ancestor, service by declaration, person.
//
// Where environment and ancestors name different agents, the nearest ancestor
// is believed: a variable is easily set, and is inherited by an agent that
// another one started. The others that were seen are in Also: rules forbid an
// agent what they forbid any of them.
func (s Source) Actor() keyturn.Actor {
	a := keyturn.Actor{Name: s.userName(), Session: s.session()}
	env := s.environ()
	seen := s.marks(env)
	var mark found
	byEnv := len(seen) > 0
	if byEnv {
		mark = seen[0]
	}
	list, err := s.ancestors()
	program, byAncestor := agentAmong(list)
	if byAncestor {
		seen = append(seen, program)
	}
	switch {
	case byAncestor && (!byEnv || mark.agent != program.agent):
		a.Kind, a.For, a.Name = keyturn.Agent, a.Name, program.agent
		a.Proof, a.Detail = ByAncestor, program.mark
		if byEnv {
			a.Detail += ", and " + mark.mark
		}
		a.Also = others(seen, a.Name)
		return a
	case byEnv:
		a.Kind, a.For, a.Name = keyturn.Agent, a.Name, mark.agent
		a.Proof, a.Detail = ByEnvironment, mark.mark
		a.Also = others(seen, a.Name)
		return a
	}
	if err != nil {
		a.Detail = Blind
	}
	if names := valuesOf(env, ServiceVariable); len(names) > 0 {
		a.Kind, a.For, a.Name, a.Proof = keyturn.ServiceKind, a.Name, serviceName(names), ByDeclaration
		if a.Detail == "" {
			a.Detail = ServiceVariable
		}
		return a
	}
	a.Kind, a.Proof = keyturn.Person, ByUser
	return a
}

// found is an agent and the mark by which it was found: the name of a variable,
// a file or a program, never what a variable holds.
type found struct{ agent, mark string }

func (s Source) environ() []string {
	if s.Environ != nil {
		return s.Environ
	}
	return os.Environ()
}

func (s Source) ancestors() ([]Process, error) {
	if s.Ancestors != nil {
		return s.Ancestors()
	}
	return ancestors()
}

func (s Source) exists(path string) bool {
	if s.Exists != nil {
		return s.Exists(path)
	}
	_, err := os.Lstat(path)
	return err == nil
}

func (s Source) userName() string {
	name := ""
	if s.UserName != nil {
		name = s.UserName()
	} else {
		name = userName()
	}
	if name = keyturn.Clean(name); name == "" {
		return Unknown
	}
	return name
}

var processSession = sync.OnceValue(func() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	return "process-" + hex.EncodeToString(b)
})

func (s Source) session() string {
	if s.Session != "" {
		return s.Session
	}
	return processSession()
}

// valuesOf returns every value that the environment gives a name: an
// environment can hold a name twice, and programs differ in which they take.
func valuesOf(env []string, name string) []string {
	var out []string
	for _, line := range env {
		k, v, ok := strings.Cut(line, "=")
		if ok && (k == name || runtime.GOOS == "windows" && strings.EqualFold(k, name)) {
			out = append(out, v)
		}
	}
	return out
}

// serviceName returns the name that a service declares. Two different names, or
// one that is not a name, make it Unknown: still a service, never a person.
func serviceName(names []string) string {
	first := names[0]
	for _, n := range names {
		if n != first || !isServiceName(n) {
			return Unknown
		}
	}
	return first
}

func isServiceName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
		case i > 0 && (c == '.' || c == '_' || c == '-'):
		default:
			return false
		}
	}
	return true
}
