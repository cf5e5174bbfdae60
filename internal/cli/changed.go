package cli

import (
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/cli/term"
)

// wrote prints the answer of every change of one secret: what was done, where it
// went, and what may come next.
func wrote(c *command, op keyturn.Op, res *keyturn.Changed, said string, next ...string) error {
	if c.JSON() {
		return term.Done(said, c.Answer(op, res))
	}
	if err := c.Line("%s  %s", said, c.Dim("→ "+answer.Target(res.Receipt, res.Target))); err != nil {
		return term.Done(said, err)
	}
	for _, n := range answer.Notices(res) {
		c.Say("note: %s", n)
	}
	for _, l := range next {
		if err := c.Line("%s", l); err != nil {
			return term.Done(said, err)
		}
	}
	return nil
}

// namedVersion is a secret and its version in a sentence.
func namedVersion(c *command, info keyturn.Info) string {
	name := c.Bold(keyturn.Clean(info.Ref.Short()))
	if info.Version != "" {
		name += " version " + keyturn.Clean(info.Version)
	}
	return name
}

// keyValues is "a=1 b=2", sorted.
func keyValues(m map[string]string) string {
	var out []string
	for _, k := range sortedKeys(m) {
		out = append(out, keyturn.Clean(k)+"="+keyturn.Clean(m[k]))
	}
	return strings.Join(out, " ")
}

func cleanAll(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = keyturn.Clean(s)
	}
	return out
}
