package answer

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"testing"
)

type rawJSON string

// MarshalJSON returns the JSON as it is.
func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// compact returns a document on one line, with the order of its members.
func compact(t *testing.T, doc any) string {
	t.Helper()
	b, err := Encode(doc)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// sorted returns the keys of a map in order.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
