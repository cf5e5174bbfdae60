package imports

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/keyturn/keyturn"
)

const hintDecrypt = "decrypt it with 'sops -d' and read what that writes"

// metadata is what sops writes beside the values. The names are those of its format, in
// YAML, JSON and (flattened) dotenv.
type metadata struct {
	Age []struct {
		Recipient string `yaml:"recipient" json:"recipient"`
		Enc       string `yaml:"enc" json:"enc"`
	} `yaml:"age" json:"age"`
	KMS                     []any  `yaml:"kms" json:"kms"`
	GCPKMS                  []any  `yaml:"gcp_kms" json:"gcp_kms"`
	AzureKV                 []any  `yaml:"azure_kv" json:"azure_kv"`
	HCVault                 []any  `yaml:"hc_vault" json:"hc_vault"`
	PGP                     []any  `yaml:"pgp" json:"pgp"`
	KeyGroups               []any  `yaml:"key_groups" json:"key_groups"`
	LastModified            string `yaml:"lastmodified" json:"lastmodified"`
	MAC                     string `yaml:"mac" json:"mac"`
	UnencryptedSuffix       string `yaml:"unencrypted_suffix" json:"unencrypted_suffix"`
	EncryptedSuffix         string `yaml:"encrypted_suffix" json:"encrypted_suffix"`
	UnencryptedRegex        string `yaml:"unencrypted_regex" json:"unencrypted_regex"`
	EncryptedRegex          string `yaml:"encrypted_regex" json:"encrypted_regex"`
	UnencryptedCommentRegex string `yaml:"unencrypted_comment_regex" json:"unencrypted_comment_regex"`
	EncryptedCommentRegex   string `yaml:"encrypted_comment_regex" json:"encrypted_comment_regex"`
	MACOnlyEncrypted        bool   `yaml:"mac_only_encrypted" json:"mac_only_encrypted"`
}

// value is a scalar of the file. Its authentication covers keys, the mapping keys above
// it; name has the indexes of lists too.
type value struct {
	keys []string
	name string
	is   any // string, int, float64 or bool
}

// readSOPS decrypts a file in the format of sops 3. Each value is encrypted with
// AES-256-GCM, with the joined keys above it as additional data. The MAC of the file is
// a SHA-512 over all values in their order, encrypted with the time of the last change
// as additional data.
func readSOPS(name string, data, identities []byte) ([]Field, error) {
	style := sopsStyle(name, data)
	var values []value
	var meta metadata
	var err error
	switch style {
	case "yaml":
		values, meta, err = sopsYAML(name, data)
	case "json":
		values, meta, err = sopsJSON(name, data)
	case "dotenv":
		values, meta, err = sopsDotenv(name, data)
	case "ini":
		return nil, bad(keyturn.Unsupported, name, "INI files of sops are not read", hintDecrypt)
	default:
		return nil, bad(keyturn.Invalid, name, "the file has no metadata of sops", "was it encrypted by sops?")
	}
	if err != nil {
		return nil, err
	}
	key, err := dataKey(name, meta, identities)
	if err != nil {
		return nil, err
	}
	out, sum, err := open(name, key, meta, values)
	if err != nil {
		return nil, err
	}
	when := meta.LastModified
	if t, err := time.Parse(time.RFC3339, when); err == nil {
		when = t.Format(time.RFC3339)
	}
	mac, ok := decrypt(key, meta.MAC, when)
	said, _ := mac.(string)
	if want := fmt.Sprintf("%X", sum); !ok || subtle.ConstantTimeCompare([]byte(said), []byte(want)) != 1 {
		return nil, bad(keyturn.Corrupt, name, "the file's MAC does not hold: a value was changed, added or taken away without sops",
			"nothing was imported; ask whoever wrote the file, or look at its history")
	}
	if style == "dotenv" {
		for i := range out {
			out[i].is = unquote(out[i].is)
		}
	}
	var result []Field
	for _, v := range out {
		result = append(result, Field{v.name, keyturn.NewValue([]byte(plain(v.is)))})
	}
	return limit(name, result)
}

// sopsStyle returns the file format in which sops wrote: "json", "yaml", "dotenv"
// or "ini"; "" if the file has no metadata of sops.
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

// dataKey decrypts the key of the file with one of the identities.
func dataKey(name string, meta metadata, identities []byte) ([]byte, error) {
	if len(meta.KeyGroups) > 0 {
		return nil, bad(keyturn.Unsupported, name, "the file's key is shared among groups of keys", hintDecrypt)
	}
	if meta.UnencryptedCommentRegex != "" || meta.EncryptedCommentRegex != "" {
		return nil, bad(keyturn.Unsupported, name, "comments say which values of the file are encrypted", hintDecrypt)
	}
	if len(meta.Age) == 0 {
		kinds := ""
		for _, k := range []struct {
			what string
			keys []any
		}{{"AWS KMS", meta.KMS}, {"Google Cloud KMS", meta.GCPKMS}, {"Azure Key Vault", meta.AzureKV}, {"HashiCorp Vault", meta.HCVault}, {"PGP", meta.PGP}} {
			if len(k.keys) > 0 {
				kinds += ", " + k.what
			}
		}
		return nil, bad(keyturn.Unsupported, name, "the file is encrypted to no age key ("+strings.TrimPrefix(kinds, ", ")+")", hintDecrypt)
	}
	ids, err := age.ParseIdentities(bytes.NewReader(identities))
	if err != nil {
		// Its words can quote the key.
		return nil, bad(keyturn.Invalid, name, "there is no age key that can be read", "give the file that age-keygen made, with AGE-SECRET-KEY-1…, as SOPS_AGE_KEY_FILE names it")
	}
	for _, a := range meta.Age {
		r, err := age.Decrypt(armor.NewReader(strings.NewReader(a.Enc)), ids...)
		if err != nil {
			continue
		}
		key, err := io.ReadAll(io.LimitReader(r, 64))
		if err == nil && len(key) == 32 {
			return key, nil
		}
	}
	return nil, bad(keyturn.Denied, name, "none of the age keys opens the file", "give the identity of one of its "+strconv.Itoa(len(meta.Age))+" recipients")
}

// onlyEncrypted starts the hash of files whose MAC covers encrypted values only. It is a
// constant of the format.
var onlyEncrypted = []byte{0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b,
	0x0b, 0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69}

// open decrypts the values and returns them with the hash over all.
func open(name string, key []byte, meta metadata, values []value) ([]value, []byte, error) {
	rule, err := encrypted(name, meta)
	if err != nil {
		return nil, nil, err
	}
	var sum hash.Hash = sha512.New()
	if meta.MACOnlyEncrypted {
		sum.Write(onlyEncrypted)
	}
	out := make([]value, 0, len(values))
	for _, v := range values {
		secret := rule(v.keys)
		if text, ok := v.is.(string); secret {
			if ok {
				v.is, ok = decrypt(key, text, strings.Join(v.keys, ":")+":")
			}
			if !ok {
				return nil, nil, bad(keyturn.Corrupt, name, keyturn.Quote(keyturn.Clean(v.name))+" cannot be decrypted: it was changed, or moved, without sops",
					"nothing was imported; look at the file's history")
			}
		}
		if secret || !meta.MACOnlyEncrypted {
			sum.Write([]byte(counted(v.is)))
		}
		out = append(out, v)
	}
	return out, sum.Sum(nil), nil
}

// encrypted returns the file's rule for which values are encrypted, by the keys above
// them.
func encrypted(name string, meta metadata) (func(keys []string) bool, error) {
	compile := func(s string) (*regexp.Regexp, error) {
		if s == "" {
			return nil, nil
		}
		return regexp.Compile(s)
	}
	not, err := compile(meta.UnencryptedRegex)
	only, err2 := compile(meta.EncryptedRegex)
	if err != nil || err2 != nil {
		return nil, bad(keyturn.Invalid, name, "the rule which values are encrypted cannot be read", hintDecrypt)
	}
	some := func(keys []string, is func(string) bool) bool {
		for _, k := range keys {
			if is(k) {
				return true
			}
		}
		return false
	}
	return func(keys []string) bool {
		yes := true
		if s := meta.UnencryptedSuffix; s != "" && some(keys, func(k string) bool { return strings.HasSuffix(k, s) }) {
			yes = false
		}
		if s := meta.EncryptedSuffix; s != "" {
			yes = some(keys, func(k string) bool { return strings.HasSuffix(k, s) })
		}
		if not != nil && some(keys, not.MatchString) {
			yes = false
		}
		if only != nil {
			yes = some(keys, only.MatchString)
		}
		return yes
	}, nil
}

var encoded = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^ENC\[AES256_GCM,data:([^,]+),iv:([^,]+),tag:([^,]+),type:([a-z]+)\]$`)
})

// decrypt decrypts one value. An empty text is not encrypted.
func decrypt(key []byte, text, path string) (any, bool) {
	if text == "" {
		return "", true
	}
	m := encoded().FindStringSubmatch(text)
	if m == nil {
		return nil, false
	}
	var parts [3][]byte
	for i := range parts {
		b, err := base64.StdEncoding.DecodeString(m[i+1])
		if err != nil {
			return nil, false
		}
		parts[i] = b
	}
	block, err := aes.NewCipher(key)
	if err != nil || len(parts[1]) == 0 || len(parts[2]) != aes.BlockSize {
		return nil, false
	}
	gcm, err := cipher.NewGCMWithNonceSize(block, len(parts[1]))
	if err != nil {
		return nil, false
	}
	b, err := gcm.Open(nil, parts[1], append(parts[0], parts[2]...), []byte(path))
	if err != nil {
		return nil, false
	}
	s := string(b)
	var v any = s
	switch m[4] {
	case "str", "bytes":
	case "int":
		v, err = strconv.Atoi(s)
	case "float":
		v, err = strconv.ParseFloat(s, 64)
	case "bool":
		v, err = strconv.ParseBool(s)
	default:
		return nil, false
	}
	return v, err == nil
}

// counted is a value as the MAC covers it.
func counted(v any) string {
	if b, ok := v.(bool); ok {
		if b {
			return "True"
		}
		return "False"
	}
	return plain(v)
}

// plain is a value as it is stored: text as it is, anything else as in JSON, except that
// numbers have no exponent, as in sops.
func plain(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int:
		return strconv.Itoa(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// unquote removes the quotes around a value of a dotenv file. To sops they are part of
// the value; to a program that reads the decrypted file they are not.
func unquote(v any) any {
	s, ok := v.(string)
	if !ok || len(s) < 2 || s[0] != s[len(s)-1] || s[0] != '"' && s[0] != '\'' || strings.IndexByte(s[1:len(s)-1], s[0]) >= 0 {
		return v
	}
	return s[1 : len(s)-1]
}

// remarshal turns the flat metadata of dotenv into metadata.
func remarshal(flat map[string]any) (metadata, error) {
	var m metadata
	b, err := json.Marshal(flat)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	return m, err
}
