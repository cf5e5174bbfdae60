package imports

import (
	"bytes"
	"encoding/json"

	"github.com/keyturn/keyturn"
)

const hintExport = "export it anew as JSON"

// member is a key of an object and its value, in the order of the file.
type member struct {
	key string
	raw json.RawMessage
}

// members returns the members of a JSON object in their order, which a map would lose.
func members(data []byte) ([]member, bool) {
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	if !json.Valid(data) {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	var out []member
	for d.More() {
		t, err := d.Token()
		key, ok := t.(string)
		if err != nil || !ok {
			return nil, false
		}
		var raw json.RawMessage
		if d.Decode(&raw) != nil {
			return nil, false
		}
		out = append(out, member{key, raw})
	}
	return out, true
}

// str decodes a JSON string; it reports false for anything else.
func str(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	var s string
	return s, json.Unmarshal(raw, &s) == nil
}

// ofDoppler are the variables that Doppler adds about itself.
var ofDoppler = map[string]bool{"DOPPLER_PROJECT": true, "DOPPLER_ENVIRONMENT": true, "DOPPLER_CONFIG": true}

// readDoppler reads the output of 'doppler secrets download --format json', a flat map
// of strings, and of 'doppler secrets --json', where each name has an object; programs
// get its computed value.
func readDoppler(name string, data []byte) ([]Field, error) {
	all, ok := members(data)
	if !ok {
		return nil, bad(keyturn.Invalid, name, "this is not a JSON object", hintExport)
	}
	var out []Field
	for _, m := range all {
		if ofDoppler[m.key] {
			continue
		}
		s, ok := str(m.raw)
		if !ok {
			var inner struct{ Computed, Raw json.RawMessage }
			if json.Unmarshal(m.raw, &inner) == nil {
				if s, ok = str(inner.Computed); !ok && len(inner.Computed) == 0 {
					s, ok = str(inner.Raw)
				}
			}
		}
		if !ok {
			return nil, bad(keyturn.Invalid, name, keyturn.Quote(keyturn.Clean(m.key))+" has no value that can be read",
				"a restricted value is not in an export; take it from where it is set")
		}
		out = append(out, Field{m.key, keyturn.NewValue([]byte(s))})
	}
	return limit(name, out)
}

// readInfisical reads the output of 'infisical export --format=json', a list of objects
// with key and value or a flat map, and the answer of its API, with secretKey and
// secretValue.
func readInfisical(name string, data []byte) ([]Field, error) {
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	if all, ok := members(data); ok {
		for _, m := range all {
			if m.key == "secrets" && len(m.raw) > 0 && m.raw[0] == '[' {
				return infisicalList(name, m.raw)
			}
		}
		var out []Field
		for _, m := range all {
			s, ok := str(m.raw)
			if !ok {
				return nil, bad(keyturn.Invalid, name, keyturn.Quote(keyturn.Clean(m.key))+" has no value that can be read", hintExport)
			}
			out = append(out, Field{m.key, keyturn.NewValue([]byte(s))})
		}
		return limit(name, out)
	}
	return infisicalList(name, data)
}

func infisicalList(name string, data []byte) ([]Field, error) {
	var list []struct {
		Key, Value, SecretKey, SecretValue *string
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, bad(keyturn.Invalid, name, "this is neither a JSON object nor a list of secrets", hintExport)
	}
	var out []Field
	for _, e := range list {
		key, value := e.Key, e.Value
		if key == nil {
			key, value = e.SecretKey, e.SecretValue
		}
		if key == nil || *key == "" || value == nil {
			return nil, bad(keyturn.Invalid, name, "the list has an entry without a key or a value", hintExport)
		}
		out = append(out, Field{*key, keyturn.NewValue([]byte(*value))})
	}
	return limit(name, out)
}

// limit refuses too many fields, none at all and fields without a name.
func limit(name string, out []Field) ([]Field, error) {
	if len(out) > MaxFields {
		return nil, bad(keyturn.Invalid, name, "the file has too many values", "a file may have 20000")
	}
	if len(out) == 0 {
		return nil, bad(keyturn.Invalid, name, "the file has no values", hintExport)
	}
	for _, f := range out {
		if f.Name == "" {
			return nil, bad(keyturn.Invalid, name, "the file has a value without a name", hintExport)
		}
	}
	return once(out), nil
}
