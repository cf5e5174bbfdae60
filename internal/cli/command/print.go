package command

import (
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
)

// Print writes doc as the one JSON document on standard output.
func (c *Command) Print(doc any) error {
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

// PrintRevealed prints doc with the values of its secret: each a string, or
// {"base64": "…"} where the value is not text.
func (c *Command) PrintRevealed(doc answer.Document, values map[string]keyturn.Value) error {
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
func (c *Command) Verbose() bool { return c.verbose }

// SortedKeys are the keys of a map in order.
func SortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
