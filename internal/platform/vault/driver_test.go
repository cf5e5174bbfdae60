package vault

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

func envOf(caller keyturn.ActorKind, vars map[string]string) platform.Env {
	return platform.Env{Caller: caller, Lookup: func(n string) string { return vars[n] },
		Keeper: func(platform.Server) platform.Keeper { return shelf{err: keyturn.E(keyturn.NotFound, "none", "")} }}
}

// settings are those of a file, one in each line from line 4.
func settings(lines ...string) platform.Settings {
	s := platform.Settings{Mount: "prod", Only: true, File: "/etc/keyturn/keyturn.yaml", Line: 3}
	for i := 0; i < len(lines); i += 2 {
		s.List = append(s.List, platform.Setting{Key: lines[i], Value: lines[i+1], Line: 4 + i/2})
	}
	return s
}

// TestDriverCheck: a wrong setting is refused with file and line.
func TestDriverCheck(t *testing.T) {
	const at = "https://vault.example.com:8200"
	for name, c := range map[string]struct {
		s    platform.Settings
		want string // "" for no error
	}{
		"an address":         {settings("address", at, "namespace", "team"), ""},
		"a slip":             {settings("address", at, "adress", at), "/etc/keyturn/keyturn.yaml:5: the mount 'prod' has no setting 'adress'"},
		"no address":         {settings("namespace", "team"), "/etc/keyturn/keyturn.yaml:3: the address of this mount is not one of a server"},
		"an address of http": {settings("namespace", "team", "address", "http://vault.example.com"), "/etc/keyturn/keyturn.yaml:5: the address vault.example.com is reached"},
		"half a pair":        {settings("address", at, "client_key", "k"), "/etc/keyturn/keyturn.yaml:5: the mount 'prod' has client_key"},
		"files not there":    {settings("address", at, "ca_cert", "nowhere.pem"), ""},
	} {
		e := keyturn.AsError(Driver.Check(c.s))
		if c.want == "" && e != nil || c.want != "" && (e == nil || e.Code != keyturn.Invalid || !strings.HasPrefix(e.Message, c.want)) {
			t.Errorf("%s: %v", name, e)
		}
	}
}

// TestDriverAmbient: VAULT_ADDR makes a mount for people, and for nobody else.
func TestDriverAmbient(t *testing.T) {
	set := map[string]string{"VAULT_ADDR": "https://kt-canary.example.com"}
	for _, caller := range []keyturn.ActorKind{keyturn.Person, keyturn.Agent, keyturn.ServiceKind, ""} {
		if there, err := Driver.Ambient(envOf(caller, nil)); there || err != nil {
			t.Errorf("%q without it: %v, %v", caller, there, err)
		}
		there, err := Driver.Ambient(envOf(caller, set))
		e := keyturn.AsError(err)
		if caller == keyturn.Person {
			if !there || e != nil {
				t.Errorf("a person: %v, %v", there, e)
			}
		} else if there || e == nil || e.Code != keyturn.Denied || e.By != "rule" || strings.Contains(e.Error()+e.Hint, "canary") {
			t.Errorf("%q: %v, %v", caller, there, e)
		}
	}
	if Driver.Variable != "VAULT_ADDR" {
		t.Error("hints name another variable")
	}
}

// TestDriverOpen: what the environment may decide depends on who is calling.
func TestDriverOpen(t *testing.T) {
	const at = "https://vault.example.com:8200"
	ambient := platform.Settings{Mount: "vault", Ambient: true, Only: true}
	for name, c := range map[string]struct {
		caller keyturn.ActorKind
		vars   map[string]string
		s      platform.Settings
		target string
		code   keyturn.Code
	}{
		"configured":              {keyturn.Agent, nil, settings("address", at+"/", "namespace", "/team/"), at + ", namespace team", ""},
		"ambient":                 {keyturn.Person, map[string]string{"VAULT_ADDR": at, "VAULT_NAMESPACE": "a/b"}, ambient, at + ", namespace a/b", ""},
		"ambient, not checked":    {keyturn.Person, map[string]string{"VAULT_ADDR": at, "VAULT_SKIP_VERIFY": "1"}, ambient, "", keyturn.Invalid},
		"ambient, said to check":  {keyturn.Person, map[string]string{"VAULT_ADDR": at, "VAULT_SKIP_VERIFY": "false"}, ambient, at, ""},
		"trusted by a person":     {keyturn.Person, map[string]string{"SSL_CERT_FILE": "x"}, settings("address", at), at, ""},
		"trusted by an agent":     {keyturn.Agent, map[string]string{"SSL_CERT_FILE": "x"}, settings("address", at), "", keyturn.Denied},
		"a folder, by an agent":   {keyturn.Agent, map[string]string{"SSL_CERT_DIR": "x"}, settings("address", at), "", keyturn.Denied},
		"nothing to be sure of":   {keyturn.Agent, map[string]string{"SSL_CERT_FILE": "x"}, settings("address", "http://127.0.0.1:1"), "http://127.0.0.1:1", ""},
		"a file beside the file":  {keyturn.Agent, nil, settings("address", at, "ca_cert", "nowhere.pem"), "", keyturn.Invalid},
		"an address of nothing":   {keyturn.Person, map[string]string{"VAULT_ADDR": "x"}, ambient, "", keyturn.Invalid},
		"settings that are wrong": {keyturn.Person, nil, settings("adress", at), "", keyturn.Invalid},
	} {
		m, err := Driver.Open(envOf(c.caller, c.vars), c.s)
		switch {
		case c.code != "" && !errors.Is(err, c.code) || c.code == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.code == "" && (m.Target() != c.target || m.Name() != c.s.Mount):
			t.Errorf("%s: %s to %s", name, m.Name(), m.Target())
		case name == "a file beside the file" && !strings.Contains(err.Error(), filepath.Join("/etc/keyturn", "nowhere.pem")):
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDriverServer: a login belongs to the server that the settings, or the variables, name.
func TestDriverServer(t *testing.T) {
	env := envOf(keyturn.Person, map[string]string{"VAULT_ADDR": "https://a", "VAULT_NAMESPACE": "x y"})
	if s, err := Driver.Server(env, platform.Settings{Mount: "vault", Ambient: true}); err != nil || s != (platform.Server{Address: "https://a", Namespace: "x y"}) {
		t.Errorf("%+v, %v", s, err)
	} else if got := Driver.Assign(s); got != "VAULT_ADDR=https://a VAULT_NAMESPACE='x y'" {
		t.Error(got)
	}
	if s, err := Driver.Server(env, settings("address", "https://b")); err != nil || s != (platform.Server{Address: "https://b"}) {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := Driver.Server(env, settings("adress", "https://b")); err == nil {
		t.Error("settings that cannot be read name a server")
	}
}

// TestTokenVariableOfAnother: VAULT_TOKEN may be read for a login, whatever the method, only
// where the variable belongs to the mount's server and counts for the caller.
func TestTokenVariableOfAnother(t *testing.T) {
	const at = "http://127.0.0.1:1"
	for name, c := range map[string]struct {
		caller  keyturn.ActorKind
		vars    map[string]string
		foreign string
	}{
		"this server":    {keyturn.Person, map[string]string{"VAULT_ADDR": at}, ""},
		"another server": {keyturn.Person, map[string]string{"VAULT_ADDR": "http://127.0.0.2:1"}, "VAULT_TOKEN"},
		"the only mount": {keyturn.ServiceKind, nil, ""},
		"an agent":       {keyturn.Agent, map[string]string{"VAULT_ADDR": at}, "VAULT_TOKEN"},
	} {
		m, err := Driver.Open(envOf(c.caller, c.vars), settings("address", at))
		if err != nil {
			t.Fatal(err)
		}
		for method, inputs := range map[string]map[string]string{"token": nil, "jwt": {"role": "r"}, "kubernetes": {"role": "r"}} {
			asked := "nothing"
			_, _ = m.Login(t.Context(), platform.Login{Method: method, Inputs: inputs, Ask: func(_ context.Context, in platform.Input) (keyturn.Value, error) {
				asked = in.Foreign
				return keyturn.Value{}, keyturn.E(keyturn.Invalid, "enough", "")
			}})
			if asked != c.foreign {
				t.Errorf("%s, %s: not to be read is %q", name, method, asked)
			}
		}
	}
}
