package keyturn

import (
	"bytes"
	"encoding/json"
	"testing"
)

// TestCanonical: the same bytes as encoding/json writes for a map, which it sorts.
func TestCanonical(t *testing.T) {
	type inner struct {
		Z string            `json:"z"`
		A map[string]string `json:"a"`
		N *int              `json:"n"`
		L [][]inner         `json:"l"`
	}
	odd := map[string]string{"": "}", "\"": "{", "\\": "[,", "!": "]", "#": `","`, "a\"b": `\`, "é": "é", "\n": "\u2028", "<&>": "<&>", "ab": "", "a": "\x00\x7f"}
	seven := 7
	for _, v := range []any{
		struct{}{}, inner{}, inner{A: odd, N: &seven}, map[string]any{"y": []any{}, "b": map[string]any{}, "x": 1.5e300},
		inner{L: [][]inner{{}, {{A: odd}, {Z: `"`, A: map[string]string{"k": "v"}}}}}, odd,
		map[string]any{"b": true, "p": nil, "o": []any{"a", -1, false, nil, map[string]any{"z": 1, "a": []int{1, 2}}}},
	} {
		encode := func(v any) []byte {
			var b bytes.Buffer
			enc := json.NewEncoder(&b)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(v); err != nil {
				t.Fatal(err)
			}
			return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
		}
		raw := encode(v)
		members := map[string]any{}
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		if err := dec.Decode(&members); err != nil {
			t.Fatal(err)
		}
		members["op"] = "a \"kind\""
		want := encode(members)
		got, rest := canonical(raw, member{[]byte(`"op"`), []byte(`"a \"kind\""`)})
		if !bytes.Equal(got, want) || len(rest) > 0 {
			t.Errorf("%s\n got %s\nwant %s\nrest %q", raw, got, want, rest)
		}
	}
}
