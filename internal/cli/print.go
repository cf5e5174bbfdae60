package cli

import (
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
)

// Answer prints the JSON document of an operation that was done. Where it was done in part,
// the command ends with the exit status of what was not.
func (c *command) Answer(op keyturn.Op, res keyturn.Result) error {
	doc, err := answer.Of(op, res, answer.About{Verbose: c.verbose})
	if err != nil {
		return err
	}
	return c.PrintAnswer(doc)
}

// PrintAnswer prints a document as Answer does.
func (c *command) PrintAnswer(doc answer.Document) error {
	if err := c.Print(doc); err != nil {
		return err
	}
	if code := doc.Code(); code != "" {
		return exitStatus(code.Exit())
	}
	return nil
}

// Print writes doc as the one JSON document on standard output.
func (c *command) Print(doc any) error {
	b, err := answer.Encode(doc)
	if err != nil {
		return err
	}
	return c.Write(b)
}

// revealed is a secret with its values, which no document of package answer holds.
type revealed struct {
	answer.Secret
	Values map[string]any `json:"values,omitempty"`
}

// AnswerRevealed is Answer with the values of the secret: each a string, or
// {"base64": "…"} where the value is not text.
func (c *command) AnswerRevealed(op keyturn.Op, res keyturn.Result, values map[string]keyturn.Value) error {
	doc, err := answer.Of(op, res, answer.About{Verbose: c.verbose})
	if err != nil {
		return err
	}
	r := revealed{Secret: *doc.Secret, Values: map[string]any{}}
	for field, v := range values {
		b := v.Reveal()
		if utf8.Valid(b) {
			r.Values[field] = string(b)
		} else {
			r.Values[field] = map[string][]byte{"base64": b} // encoding/json writes bytes in base64
		}
	}
	return c.Print(answer.Show(doc, &r, doc.Wrapped))
}

// Verbose reports whether causes of errors are shown.
func (c *command) Verbose() bool { return c.verbose }

// sortedKeys are the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
