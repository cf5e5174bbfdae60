package secret

import (
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/cli/command"
	"github.com/keyturn/keyturn/internal/cli/term"
)

// wrote prints the answer of every change of one secret: what was done, where it
// went, and what may come next.
func wrote(c *command.Command, res *keyturn.Changed, kind, said string, next ...string) error {
	if c.JSON() {
		return term.Done(said, c.Print(changeDoc(res, kind)))
	}
	if err := c.Line("%s  %s", said, c.Dim(went(res.Receipt, res.Target))); err != nil {
		return term.Done(said, err)
	}
	if res.Unseen {
		c.Say("note: %s", unseen)
	}
	if res.Notice != "" {
		c.Say("note: %s", keyturn.Clean(res.Notice))
	}
	for _, l := range next {
		if err := c.Line("%s", l); err != nil {
			return term.Done(said, err)
		}
	}
	return nil
}

func changeDoc(res *keyturn.Changed, kind string) answer.Document {
	doc := answer.Success(kind, res.Receipt)
	d := answer.SecretOf(res.Secret)
	doc.Secret, doc.Target, doc.Before, doc.Until = &d, targetOf(res), answer.VersionOf(res.Before), answer.Stamp(res.Until)
	if res.Unseen {
		doc.Notices = []string{unseen}
	}
	if res.Notice != "" {
		doc.Notices = append(doc.Notices, keyturn.Clean(res.Notice))
	}
	return doc
}

// unseen is said of a change of what the caller may not look at.
const unseen = "you may not see what was there before, if anything was"

// named is a secret and its version in a sentence.
func named(c *command.Command, info keyturn.Info) string {
	name := c.Bold(keyturn.Clean(info.Ref.Short()))
	if info.Version != "" {
		name += " version " + keyturn.Clean(info.Version)
	}
	return name
}

func targetOf(res *keyturn.Changed) string {
	return strings.TrimPrefix(went(res.Receipt, res.Target), "→ ")
}

// keyValues is "a=1 b=2", sorted.
func keyValues(m map[string]string) string {
	var out []string
	for _, k := range command.SortedKeys(m) {
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

// went tells where a change went, as every write does.
func went(r keyturn.Receipt, target string) string {
	s := "→ " + r.Platform
	if target != "" {
		s += " " + keyturn.Clean(target)
	}
	return s
}
