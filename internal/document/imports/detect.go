package imports

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"

	"github.com/keyturn/keyturn"
)

// Limits of what is read.
const (
	MaxSize   = 4 << 20
	MaxFields = 20_000
	maxDepth  = 100
)

// bad makes the error of a file.
func bad(code keyturn.Code, name, message, hint string) error {
	at := keyturn.Clean(name)
	if at == "" {
		at = "input"
	}
	return keyturn.E(code, at+": "+message, hint)
}

// StartsLikeJSON reports whether a file begins as a JSON object or array does.
func StartsLikeJSON(data []byte) bool {
	d := bytes.TrimLeft(data, "\uFEFF \t\r\n")
	return len(d) > 0 && (d[0] == '{' || d[0] == '[')
}

func detect(name string, data []byte) Format {
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

// sopsStyle tells which of its formats sops wrote: "json", "yaml" or "dotenv"; ""
// where its metadata is not there.
func sopsStyle(name string, data []byte) string {
	switch {
	case StartsLikeJSON(data) && bytes.Contains(data, []byte(`"sops"`)):
		return "json"
	case startsLine(data, "sops_mac="):
		return "dotenv"
	case startsLine(data, "sops:"):
		return "yaml"
	}
	if strings.EqualFold(filepath.Ext(name), ".ini") && startsLine(data, "[sops]") {
		return "ini"
	}
	return ""
}

func startsLine(data []byte, s string) bool {
	return bytes.HasPrefix(data, []byte(s)) || bytes.Contains(data, []byte("\n"+s))
}

func fields(format Format, name string, data, identities []byte) ([]Field, error) {
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

// once keeps of each name the last field, at the first one's place.
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
