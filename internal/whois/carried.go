package whois

import (
	"runtime"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
)

// IsMark reports whether a variable of that name can say who is calling.
func IsMark(name string) bool {
	same := func(v string) bool { return v == name || runtime.GOOS == "windows" && strings.EqualFold(v, name) }
	return same(ServiceVariable) || slices.ContainsFunc(marks, func(m Mark) bool { return same(m.Variable) })
}

// Carried returns the variables of an environment by which a, an agent or a service, was
// recognised or could be, "NAME=value", so that what a starts is recognised too: where an
// ancestor gave an agent away it is named by AI_AGENT.
func Carried(env []string, a keyturn.Actor) []string {
	var out []string
	named := false
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		counts := slices.ContainsFunc(marks, func(m Mark) bool { return m.Variable == name && m.counts(value) })
		if counts || name == ServiceVariable {
			out = append(out, kv)
			named = named || name == "AI_AGENT"
		}
	}
	if a.Kind == keyturn.Agent && a.Proof == ByAncestor && !named {
		out = append(out, "AI_AGENT="+a.Name)
	}
	return out
}
