package imports

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "sops", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// shown makes fields comparable.
func shown(fields []Field) [][2]string {
	var out [][2]string
	for _, f := range fields {
		out = append(out, [2]string{f.Name, string(f.Value.Reveal())})
	}
	return out
}

var wholeYAML = [][2]string{
	{"database.user", "app"}, {"database.password", "fake-password-1"}, {"database.port", "5432"}, {"database.ratio", "1.5"},
	{"database.tls", "true"}, {"database.empty", ""},
	{"hosts.0.name", "a"}, {"hosts.0.token", "fake-token-a"}, {"hosts.1.name", "b"}, {"hosts.1.token", "fake-token-b"},
	{"multi", "line one\nline two\n"}, {"plain_unencrypted", "visible"},
}

// TestSOPS reads files that the real sops wrote.
func TestSOPS(t *testing.T) {
	key := read(t, "fake-age-key.txt")
	for _, c := range []struct {
		file string
		want [][2]string
	}{
		{"app.yaml", wholeYAML}, {"only.yaml", wholeYAML}, {"regex.yaml", wholeYAML}, {"unregex.yaml", wholeYAML}, {"shared.yaml", wholeYAML},
		{"two.yaml", [][2]string{{"first", "fake-one"}, {"second", "fake-two"}}},
		{"suffix.yaml", [][2]string{{"a_secret", "fake-s"}, {"b", "visible"}}},
		{"app.env", [][2]string{{"DB_PASSWORD", "fake-password-3"}, {"QUOTED", "with quotes"}, {"MULTI", "a\nb"}, {"EMPTY", ""}, {"URL", "postgres://u:p@h/db?x=1"}}},
		{"app.json", [][2]string{{"database.password", "fake-password-2"}, {"database.port", "5432"}, {"database.big", "12345678901234567000"},
			{"database.f", "1.25"}, {"database.ok", "false"}, {"list.0", "x"}, {"list.1.y", "z"}, {"uni", "hä😀<>&"}}},
		{"exact.json", [][2]string{{"a", "fake-é😀<>&"}, {"n", "0.1"}, {"nested.deep.0", "x"}, {"nested.deep.1.y_unencrypted", "seen"}}},
		{"blob.bin.json", [][2]string{{"data", "binary \x00\x01 blob"}}},
	} {
		data := read(t, c.file)
		if got := Detect(c.file, data); got != SOPS {
			t.Errorf("%s: Detect = %q", c.file, got)
		}
		got, err := Fields(SOPS, c.file, data, key)
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		if diff := cmp.Diff(c.want, shown(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.file, diff)
		}
	}
	if _, err := Fields(SOPS, "shared.yaml", read(t, "shared.yaml"), read(t, "fake-other-key.txt")); err != nil {
		t.Errorf("the second recipient cannot read: %v", err)
	}
}

// TestSOPSChanged: whatever is changed in a file without sops is noticed.
func TestSOPSChanged(t *testing.T) {
	key := read(t, "fake-age-key.txt")
	yaml, env, only := string(read(t, "regex.yaml")), string(read(t, "app.env")), string(read(t, "only.yaml"))
	line := func(s, begin string) string {
		i := strings.Index(s, begin)
		return s[i : i+strings.IndexByte(s[i:], '\n')+1]
	}
	swap := func(s, a, b string) string {
		x, y := line(s, a), line(s, b)
		vx, vy := x[strings.Index(x, "ENC["):], y[strings.Index(y, "ENC["):]
		return strings.NewReplacer(vx, vy, vy, vx).Replace(s)
	}
	for _, c := range []struct {
		what, file, data string
		code             keyturn.Code
	}{
		{"an unencrypted value", "a.yaml", strings.Replace(yaml, "user: app", "user: root", 1), keyturn.Corrupt},
		{"a value taken away", "a.yaml", strings.Replace(yaml, "    user: app\n", "", 1), keyturn.Corrupt},
		{"a value added", "a.yaml", strings.Replace(yaml, "    user: app\n", "    user: app\n    more: 1\n", 1), keyturn.Corrupt},
		{"an encrypted value in the clear", "a.yaml", strings.Replace(yaml, line(yaml, "    password: "), "    password: mine\n", 1), keyturn.Corrupt},
		{"the same where only those count", "a.yaml", strings.Replace(only, line(only, "    password: "), "    password: mine\n", 1), keyturn.Corrupt},
		{"values swapped", "a.env", swap(env, "DB_PASSWORD=", "URL="), keyturn.Corrupt},
		{"lines swapped", "a.env", strings.NewReplacer(line(env, "DB_PASSWORD="), line(env, "URL="), line(env, "URL="), line(env, "DB_PASSWORD=")).Replace(env), keyturn.Corrupt},
		{"an encrypted value taken away", "a.env", strings.Replace(env, line(env, "URL="), "", 1), keyturn.Corrupt},
		{"a value emptied", "a.env", strings.Replace(env, line(env, "URL="), "URL=\n", 1), keyturn.Corrupt},
		{"the time", "a.yaml", strings.Replace(yaml, line(yaml, "    lastmodified: "), "    lastmodified: \"2020-01-01T00:00:00Z\"\n", 1), keyturn.Corrupt},
		{"no MAC", "a.yaml", strings.Replace(yaml, line(yaml, "    mac: "), "    mac: \"\"\n", 1), keyturn.Corrupt},
		{"the rule", "a.yaml", strings.Replace(yaml, "encrypted_regex: ^(password|token)$", "encrypted_regex: ^nothing$", 1), keyturn.Corrupt},
		{"cut short", "a.yaml", yaml[:len(yaml)/3], keyturn.Invalid},
	} {
		if c.data == yaml || c.data == env || c.data == only {
			t.Fatalf("%s: nothing was changed", c.what)
		}
		got, err := Fields(SOPS, c.file, []byte(c.data), key)
		if !errors.Is(err, c.code) || got != nil {
			t.Errorf("%s: %v, want %v and no fields", c.what, err, c.code)
		}
	}
}

func TestSOPSKeys(t *testing.T) {
	file := read(t, "app.yaml")
	for _, c := range []struct {
		what     string
		data     []byte
		identity string
		code     keyturn.Code
		hint     string
	}{
		{"another key", file, string(read(t, "fake-other-key.txt")), keyturn.Denied, "recipients"},
		{"no key", file, "", keyturn.Invalid, "SOPS_AGE_KEY_FILE"},
		{"a broken key", file, "AGE-SECRET-KEY-1BROKEN", keyturn.Invalid, "age-keygen"},
		{"PGP", []byte("a: ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]\nsops:\n  pgp:\n  - fp: ABC\n    enc: x\n  mac: x\n"), "", keyturn.Unsupported, "sops -d"},
		{"KMS", []byte(`{"a":"ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]","sops":{"kms":[{"arn":"x"}],"mac":"x"}}`), "", keyturn.Unsupported, "sops -d"},
		{"KMS of dotenv", []byte("A=ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]\nsops_kms__list_0__map_arn=x\nsops_mac=x\n"), "", keyturn.Unsupported, "sops -d"},
		{"key groups", []byte("a: ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]\nsops:\n  key_groups: [{}]\n  mac: x\n"), "", keyturn.Unsupported, "sops -d"},
		{"comments decide", []byte("a: ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]\nsops:\n  encrypted_comment_regex: x\n  mac: x\n"), "", keyturn.Unsupported, "sops -d"},
	} {
		_, err := Fields(SOPS, "f", c.data, []byte(c.identity))
		if e := keyturn.AsError(err); !errors.Is(err, c.code) || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%s: %+v, want %v with %q", c.what, e, c.code, c.hint)
		} else if strings.Contains(e.Message, "BROKEN") {
			t.Errorf("%s: the message quotes the key", c.what)
		}
	}
}

func TestExports(t *testing.T) {
	for _, c := range []struct {
		what   string
		format Format
		data   string
		want   [][2]string
	}{
		{"doppler, flat", Doppler, `{"DB_PASSWORD":"fake-1","DOPPLER_CONFIG":"dev","DOPPLER_ENVIRONMENT":"dev","DOPPLER_PROJECT":"app","MULTI":"a\nb"}`,
			[][2]string{{"DB_PASSWORD", "fake-1"}, {"MULTI", "a\nb"}}},
		{"doppler, computed", Doppler, `{"DOPPLER_PROJECT":{"computed":"app","raw":"app"},"URL":{"computed":"pg://fake-1@h","computedVisibility":"masked","note":"","raw":"pg://${DB_PASSWORD}@h"}}`,
			[][2]string{{"URL", "pg://fake-1@h"}}},
		{"infisical, list", Infisical, `[{"key":"B","workspace":"w","value":"fake-2","type":"shared","_id":"1","tags":[],"comment":""},{"key":"A","value":""},{"key":"B","value":"fake-3"}]`,
			[][2]string{{"B", "fake-3"}, {"A", ""}}},
		{"infisical, api", Infisical, `{"secrets":[{"id":"1","secretKey":"A","secretValue":"fake-4"}],"imports":[]}`, [][2]string{{"A", "fake-4"}}},
	} {
		if got := Detect("export.json", []byte(c.data)); got != c.format {
			t.Errorf("%s: Detect = %q", c.what, got)
		}
		got, err := Fields(c.format, "export.json", []byte(c.data), nil)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		if diff := cmp.Diff(c.want, shown(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
	if got, err := Fields(Infisical, "e", []byte(`{"A":"fake-5"}`), nil); err != nil || len(got) != 1 {
		t.Errorf("a flat map of Infisical: %v, %v", got, err)
	}
	for what, data := range map[string]string{
		"no JSON": `{"A": canary-x`, "a number": `{"A":5}`, "a restricted value": `{"A":{"computed":null,"raw":null}}`, "an empty object": `{}`,
		"no name": `{"":"canary-x"}`, "a list of other things": `[{"a":"canary-x"}]`, "a list of text": `["canary-x"]`,
	} {
		for _, format := range []Format{Doppler, Infisical} {
			got, err := Fields(format, "e", []byte(data), nil)
			if !errors.Is(err, keyturn.Invalid) || got != nil {
				t.Errorf("%s as %s: %v, %v", what, format, got, err)
			} else if strings.Contains(err.Error()+keyturn.AsError(err).Hint, "canary-x") {
				t.Errorf("%s as %s: the error quotes a value", what, format)
			}
		}
	}
	for _, data := range []string{`{"a":"b"}`, `[]`, `[1]`, `{`, ``, "A=b", `{"sops":1}`} {
		if got := Detect("x.json", []byte(data)); got != "" {
			t.Errorf("Detect(%s) = %q", data, got)
		}
	}
}

func TestReference(t *testing.T) {
	mounts := map[string]string{"op:Private": "local", "vault": "vault", "vault:https://v2": "second", "awssecrets": "aws", "awssecrets:eu-west-1": "aws-eu",
		"gcpsecrets:proj": "gcp", "azurekeyvault:kv": "azure", "k8s": "k8s"}
	for text, want := range map[string]string{
		"op://Private/db/password":                                     "kt://local/db#password",
		"op://Private/My DB/password":                                  "kt://local/My%20DB#password",
		"op://Private/db/admin/password":                               "kt://local/db#admin.password",
		"ref+vault://secret/app/db#/password":                          "kt://vault/secret/app/db#password",
		"secretref+vault://secret/app/db#password":                     "kt://vault/secret/app/db#password",
		"ref+vault://secret/app/db#/password+":                         "kt://vault/secret/app/db#password",
		"ref+vault://secret/app/db?address=https://v2&version=3#/pass": "kt://second/secret/app/db?version=3#pass",
		"ref+awssecrets://app/db#/password":                            "kt://aws/app/db#password",
		"ref+awssecrets://app/db?region=eu-west-1":                     "kt://aws-eu/app/db",
		"ref+awssecrets://app/db?version_stage=AWSPREVIOUS#/password":  "kt://aws/app/db?version=AWSPREVIOUS#password",
		"ref+gcpsecrets://proj/db?version=3":                           "kt://gcp/db?version=3",
		"ref+gcpsecrets://proj/db?version=latest#/password":            "kt://gcp/db#password",
		"ref+azurekeyvault://kv/db-password/0123abcd":                  "kt://azure/db-password?version=0123abcd",
		"ref+k8s://v1/Secret/production/app/password":                  "kt://k8s/production/app#password",
	} {
		got, known, err := Reference(text, mounts)
		if !known || err != nil || got.String() != want {
			t.Errorf("%s: %v, %v, %v, want %s", text, got, known, err, want)
		}
	}
	for _, text := range []string{
		"op://Other/db/password", "op://Private/db", "op://Private/db/otp?attribute=otp", "op://Private//password", "op://$VAULT/db/password",
		"ref+vault://secret/data/app#/password", "ref+vault://secret/app", "ref+vault://secret/app#/a/b", "ref+vault://secret/app?role_id=x#/a",
		"ref+awssecrets://app?profile=x", "ref+gcpsecrets://other/db", "ref+gcpsecrets://db", "ref+azurekeyvault://kv/a/b/c", "ref+k8s://v1/ConfigMap/a/b/c",
		"ref+awsssm://app/db", "ref+sops://f.yaml#/a", "ref+vault://secret/app?address=https://v3#/a", "ref+vault://secret//app#/a", "ref+file://x",
	} {
		got, known, err := Reference(text, mounts)
		if !known || !errors.Is(err, keyturn.Unsupported) || !got.IsZero() || keyturn.AsError(err).Hint == "" {
			t.Errorf("%s: %v, %v, %v, want Unsupported", text, got, known, err)
		}
	}
	for _, text := range []string{"", "plain", "kt://local/a", "reference", "ref+", "ref+ vault://x", "option://x", "vault://a"} {
		if _, known, err := Reference(text, mounts); known || err != nil {
			t.Errorf("%q is taken for a reference: %v", text, err)
		}
	}
}

// FuzzFields: whatever is read, nothing panics, and fields have names.
func FuzzFields(f *testing.F) {
	key := read(f, "fake-age-key.txt")
	for _, name := range []string{"app.yaml", "app.json", "app.env", "only.yaml", "blob.bin.json"} {
		f.Add(name, read(f, name))
	}
	f.Add("d.json", []byte(`{"A":{"computed":"x"}}`))
	f.Add("i.json", []byte(`[{"key":"A","value":"x"}]`))
	f.Add("b.yaml", []byte("a: &a [1]\nb: *a\nc: ENC[AES256_GCM,\nsops:\n  mac: *a\n"))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		for _, format := range []Format{SOPS, Doppler, Infisical} {
			fields, err := Fields(format, name, data, key)
			if (err == nil) == (len(fields) == 0) {
				t.Errorf("%s: %d fields and %v", format, len(fields), err)
			}
			seen := map[string]bool{}
			for _, f := range fields {
				if f.Name == "" || seen[f.Name] {
					t.Errorf("%s: a name is empty or twice", format)
				}
				seen[f.Name] = true
			}
		}
		if Detect(name, data) == SOPS && !bytes.Contains(data, []byte("ENC[")) {
			t.Error("taken for a file of sops")
		}
	})
}

// FuzzReference: a reference that is made is canonical, and of a mount given.
func FuzzReference(f *testing.F) {
	for _, s := range []string{"op://a/b/c", "ref+vault://a/b#/c", "ref+k8s://v1/Secret/a/b/c", "ref+gcpsecrets://a/b?version=1", "ref+azurekeyvault://a/b/1"} {
		f.Add(s)
	}
	mounts := map[string]string{"op:a": "m", "vault": "m", "k8s": "m", "gcpsecrets:a": "m", "azurekeyvault:a": "m", "awssecrets": "m"}
	f.Fuzz(func(t *testing.T, text string) {
		ref, known, err := Reference(text, mounts)
		if !known || err != nil {
			return
		}
		if again, err := keyturn.ParseRef(ref.String()); err != nil || again != ref || ref.Mount() != "m" {
			t.Errorf("%v is no canonical reference: %v", ref, err)
		}
	})
}
