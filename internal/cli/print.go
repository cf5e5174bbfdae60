package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"github.com/keyturn/keyturn"
)

// onTerminal reports whether a person reads standard output.
func (c *command) onTerminal() bool { return term.IsTerminal(int(c.Out.Fd())) }

// say tells a person something beside the answer, on standard error.
func (c *command) say(format string, args ...any) {
	fmt.Fprintf(c.Err, format+"\n", args...)
}

// line writes a line of the answer, on standard output.
func (c *command) line(format string, args ...any) error {
	_, err := fmt.Fprintf(c.Out, format+"\n", args...)
	return err
}

// style wraps s for a terminal that shows colours.
func (c *command) style(code, s string) string {
	if c.noColor || c.env("TERM") == "dumb" || !c.onTerminal() {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (c *command) bold(s string) string { return c.style("1", s) }
func (c *command) dim(s string) string  { return c.style("2", s) }

// table writes rows in columns.
func (c *command) table(head []string, rows [][]string) error {
	w := tabwriter.NewWriter(c.Out, 0, 4, 3, ' ', 0)
	if len(head) > 0 {
		fmt.Fprintln(w, strings.Join(head, "\t"))
	}
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	return w.Flush()
}

// columns writes rows for a person in columns under a heading, and for a pipe
// with tabs between them, to be cut and searched.
func (c *command) columns(head []string, rows [][]string) error {
	if c.onTerminal() {
		return c.table(head, rows)
	}
	for _, r := range rows {
		if err := c.line("%s", strings.Join(r, "\t")); err != nil {
			return err
		}
	}
	return nil
}

// tellError shows an error in kind: one JSON document on standard output, or a
// message and its hint on standard error.
func (c *command) tellError(e *keyturn.Error) {
	// A command has one name for what it does, whichever of its operations failed.
	op := operations[c.name]
	if op == "" {
		op = e.Op
	}
	if c.json() {
		doc := answer{Operation: op, Status: "error", AuditID: e.AuditID, Approval: approvalOf(e.Approval)}
		if !e.Ref.IsZero() {
			doc.Mount, doc.Platform = e.Ref.Mount(), platformOf(e.Ref.Mount())
		}
		if e.Code == keyturn.Pending {
			doc.Status = "pending"
		}
		d := c.errorDoc(e)
		doc.Error = &d
		for _, each := range e.Each {
			doc.Errors = append(doc.Errors, c.errorDoc(each))
		}
		_ = c.print(doc)
		return
	}
	each, code := e.Each, func(x *keyturn.Error) string {
		if c.name == "run" { // whose exit status does not tell it
			return string(x.Code) + ": "
		}
		return ""
	}
	if len(each) == 0 {
		each = []*keyturn.Error{e}
	} else {
		c.say("keyturn: %s%s", code(e), keyturn.CleanLines(e.Message))
	}
	for _, x := range each {
		message := x.Message
		if path := x.Ref.Path(); len(each) > 1 && !strings.Contains(message, path) {
			message += " (" + x.Ref.Short() + ")" // which of them
		}
		c.say("keyturn: %s%s", code(x), keyturn.CleanLines(message))
		for l := range strings.SplitSeq(x.Hint, "\n") {
			if l != "" {
				c.say("  %s", keyturn.Clean(l))
			}
		}
		if x.Unknown {
			c.say("  whether it happened is not known")
		}
		if c.verbose && x.Err != nil {
			c.say("  cause: %s", keyturn.CleanLines(x.Err.Error()))
		}
	}
}

// platformOf is the platform of a mount that exists without configuration; ""
// where only the configuration knows.
func platformOf(mount string) string {
	if mount == "local" {
		return "local"
	}
	return ""
}

// operations names each command's operation in the JSON of an error.
var operations = map[string]string{}

// when is a time as a person reads it.
func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
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

// went tells where a change went, as every write does.
func went(r keyturn.Receipt, target string) string {
	s := "→ " + r.Platform
	if target != "" {
		s += " " + keyturn.Clean(target)
	}
	return s
}
