// Package imports reads what other secret managers leave behind: files encrypted
// by sops, JSON exports of Doppler and Infisical, and references of 1Password and
// vals. It only reads. It returns fields to store, or keyturn references in place
// of the foreign ones.
//
// All functions work on bytes: the package opens no file. No error quotes a value.
package imports

import (
	"bytes"
	"encoding/json"

	"github.com/keyturn/keyturn"
)

// Field is a value that was read, and the name of the field to store it under.
type Field struct {
	Name  string // the keys of nested files are joined with dots: "database.password"
	Value keyturn.Value
}

// Format is a file format that Fields reads.
type Format string

// The formats.
const (
	SOPS      Format = "sops"
	Doppler   Format = "doppler"
	Infisical Format = "infisical"
)

// Limits of what is read.
const (
	MaxSize   = 4 << 20
	MaxFields = 20_000
	maxDepth  = 100
)

// Detect returns the format of a file, judged by its content; "" if it is none of
// them. A flat JSON object of strings counts as Doppler's only if it has the key
// DOPPLER_PROJECT: without it the file could be any JSON, which package migrate reads.
func Detect(name string, data []byte) Format {
	if bytes.Contains(data, []byte("ENC[AES256_GCM,")) && sopsStyle(name, data) != "" {
		return SOPS
	}
	if len(data) > MaxSize || !StartsLikeJSON(data) {
		return ""
	}
	var list []map[string]json.RawMessage
	if json.Unmarshal(data, &list) == nil && len(list) > 0 {
		for _, e := range list {
			if e["key"] == nil || e["value"] == nil {
				return ""
			}
		}
		return Infisical
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(data, &object) != nil {
		return ""
	}
	if object["DOPPLER_PROJECT"] != nil {
		return Doppler
	}
	if object["secrets"] != nil {
		var inner []map[string]json.RawMessage
		if json.Unmarshal(object["secrets"], &inner) == nil && len(inner) > 0 && inner[0]["secretKey"] != nil {
			return Infisical
		}
	}
	return ""
}

// StartsLikeJSON reports whether a file begins like a JSON object or array.
func StartsLikeJSON(data []byte) bool {
	d := bytes.TrimLeft(data, "\uFEFF \t\r\n")
	return len(d) > 0 && (d[0] == '{' || d[0] == '[')
}

// Fields reads a file of the given format. name is used in messages, and tells
// YAML, JSON and dotenv apart where sops wrote the file. identities is a text of
// age identities ("AGE-SECRET-KEY-1…", one per line, comments with #), as in
// SOPS_AGE_KEY or the file of SOPS_AGE_KEY_FILE; only sops needs it.
//
// Fields are returned in the order of the file, each name once. Variables that a
// tool adds about itself (DOPPLER_PROJECT, DOPPLER_CONFIG, DOPPLER_ENVIRONMENT)
// are left out.
//
// Errors: Corrupt if sops' authentication of a value or of the file does not hold;
// Denied if no identity opens the file; Unsupported if the file was encrypted to no
// age key at all (KMS, PGP, Vault: 'sops -d' reads those); Invalid for everything
// else that cannot be read.
func Fields(format Format, name string, data, identities []byte) ([]Field, error) {
	if len(data) > MaxSize {
		return nil, bad(keyturn.Invalid, name, "the file is too large", "a file may have 4 MiB")
	}
	switch format {
	case SOPS:
		return readSOPS(name, data, identities)
	case Doppler:
		return readDoppler(name, data)
	case Infisical:
		return readInfisical(name, data)
	}
	return nil, bad(keyturn.Invalid, name, "this is no format that can be imported", "known are sops, doppler and infisical")
}

// once keeps the last field of each name, at the place of the first.
func once(in []Field) []Field {
	at := map[string]int{}
	var out []Field
	for _, f := range in {
		if i, ok := at[f.Name]; ok {
			out[i] = f
			continue
		}
		at[f.Name] = len(out)
		out = append(out, f)
	}
	return out
}

// bad makes an error about a file.
func bad(code keyturn.Code, name, message, hint string) error {
	at := keyturn.Clean(name)
	if at == "" {
		at = "input"
	}
	return keyturn.E(code, at+": "+message, hint)
}
