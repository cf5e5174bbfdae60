package app

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

const vaultPlatform = "vault"

// vaultSettings are what a mount of the operator's configuration may set, each with
// the variable that Vault's own command line takes it from
// (https://developer.hashicorp.com/vault/docs/commands#environment-variables).
var vaultSettings = []struct{ key, env string }{
	{"address", "VAULT_ADDR"}, {"namespace", "VAULT_NAMESPACE"}, {"ca_cert", "VAULT_CACERT"}, {"client_cert", "VAULT_CLIENT_CERT"},
	{"client_key", "VAULT_CLIENT_KEY"}, {"server_name", "VAULT_TLS_SERVER_NAME"}, {"insecure", ""},
}

// configuredVault makes the mount of an entry in the operator's configuration.
func (m machine) configuredVault(entry config.Mount, only bool) (*platform.Mount, error) {
	set := map[string]string{}
	for _, s := range entry.Settings {
		var known []string
		for _, k := range vaultSettings {
			known = append(known, k.key)
		}
		if slices.Contains(known, s.Key) {
			set[s.Key] = s.Value
			continue
		}
		hint := "there are " + strings.Join(known, ", ")
		if near := keyturn.Nearest(s.Key, slices.Values(known)); near != "" {
			hint = "did you mean " + near + "?"
		}
		return nil, keyturn.E(keyturn.Invalid, "the mount '"+entry.Name+"' has no setting '"+keyturn.Clean(s.Key)+"'", hint)
	}
	return m.vault(entry.Name, set, only)
}

// environmentVault makes the mount that is there without any configuration, where
// VAULT_ADDR is set.
func (m machine) environmentVault(name string) (*platform.Mount, error) {
	if v := strings.ToLower(m.env("VAULT_SKIP_VERIFY")); v != "" && v != "0" && v != "false" {
		return nil, keyturn.E(keyturn.Invalid, "VAULT_SKIP_VERIFY is set, and keyturn speaks to no server that it cannot be sure of",
			"name the authority of its certificate: VAULT_CACERT=FILE")
	}
	set := map[string]string{}
	for _, k := range vaultSettings {
		if k.env != "" {
			set[k.key] = m.env(k.env)
		}
	}
	return m.vault(name, set, true)
}

func (m machine) vault(name string, set map[string]string, only bool) (*platform.Mount, error) {
	if set["insecure"] != "" && set["insecure"] != "true" && set["insecure"] != "false" {
		return nil, keyturn.E(keyturn.Invalid, "the mount '"+name+"' says neither insecure: true nor false", "leave insecure out")
	}
	c := api.Config{Address: set["address"], Namespace: set["namespace"], Insecure: set["insecure"] == "true", Now: m.Now,
		TLS:   api.TLS{CACert: set["ca_cert"], ServerName: set["server_name"], ClientCert: set["client_cert"], ClientKey: set["client_key"]},
		Token: func(context.Context) (keyturn.Value, error) { return m.vaultToken(name, set["address"], only) }}
	p, err := vault.New(c, name)
	if err != nil {
		return nil, err
	}
	target := keyturn.Clean(set["address"])
	if set["namespace"] != "" {
		target += ", namespace " + keyturn.Clean(set["namespace"])
	}
	return platform.NewMount(name, p, vault.Spec, target), nil
}

// vaultToken finds the token for an address: VAULT_TOKEN, or the file that Vault's
// own command line writes. Both belong to the address that VAULT_ADDR names; where
// it names none, to the only mount there is. A token is never sent elsewhere.
func (m machine) vaultToken(mount, address string, only bool) (keyturn.Value, error) {
	none := keyturn.E(keyturn.Expired, "nobody is logged in to "+keyturn.Clean(address), "keyturn login "+mount)
	if at := m.env("VAULT_ADDR"); at != "" && !sameAddress(at, address) || at == "" && !only {
		return keyturn.Value{}, none
	}
	if t := m.env("VAULT_TOKEN"); t != "" {
		return keyturn.NewValue([]byte(t)), nil
	}
	home := m.env("HOME")
	if home == "" {
		return keyturn.Value{}, none
	}
	data, err := os.ReadFile(filepath.Join(home, ".vault-token"))
	if t := strings.TrimSpace(string(data)); err == nil && t != "" {
		return keyturn.NewValue([]byte(t)), nil
	}
	return keyturn.Value{}, none
}

func sameAddress(a, b string) bool {
	x, errX := url.Parse(strings.TrimSuffix(a, "/"))
	y, errY := url.Parse(strings.TrimSuffix(b, "/"))
	return errX == nil && errY == nil && x.Scheme == y.Scheme && strings.EqualFold(x.Host, y.Host) && x.Path == y.Path
}
