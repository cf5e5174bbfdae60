package api

import (
	"maps"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/wire"
)

// Settings are the settings of a mount, each with the variable of Vault's own command
// line, "" for none. The value of addresses is a list, separated by ", "
// (https://developer.hashicorp.com/vault/docs/commands#environment-variables).
var Settings = []struct{ Key, Variable string }{
	{"address", "VAULT_ADDR"}, {"addresses", ""}, {"namespace", "VAULT_NAMESPACE"}, {"ca_cert", "VAULT_CACERT"}, {"ca_path", "VAULT_CAPATH"}, {"client_cert", "VAULT_CLIENT_CERT"},
	{"client_key", "VAULT_CLIENT_KEY"}, {"server_name", "VAULT_TLS_SERVER_NAME"}, {"proxy", "VAULT_PROXY_ADDR"}, {"insecure", ""},
}

// Files lists the settings that name a file or a folder.
var Files = []string{"ca_cert", "ca_path", "client_cert", "client_key"}

// BadSetting is the cause of an error about one setting, named by its key.
type BadSetting string

// Error implements error.
func (b BadSetting) Error() string { return "setting " + string(b) }

// Configure makes a Config of a mount's settings by their keys; "" counts as not set. It
// returns Invalid, caused by a BadSetting, for an unknown setting and for a wrong value.
// It reads no file and sends nothing.
func Configure(mount string, set map[string]string) (Config, error) {
	var known []string
	for _, k := range Settings {
		known = append(known, k.Key)
	}
	bad := func(key, what, hint string) (Config, error) {
		return Config{}, keyturn.E(keyturn.Invalid, what, hint).Because(BadSetting(key))
	}
	for _, key := range slices.Sorted(maps.Keys(set)) {
		if slices.Contains(known, key) {
			continue
		}
		hint := "there are " + strings.Join(known, ", ")
		if near := keyturn.Nearest(key, slices.Values(known)); near != "" {
			hint = "did you mean " + near + "?"
		}
		return bad(key, "the mount '"+mount+"' has no setting '"+keyturn.Clean(key)+"'", hint)
	}
	if v := set["insecure"]; v != "" && v != "true" && v != "false" {
		return bad("insecure", "the mount '"+mount+"' says neither insecure: true nor false", "leave insecure out")
	}
	if ns := set["namespace"]; keyturn.Clean(ns) != ns || strings.TrimSpace(ns) != ns {
		return bad("namespace", "the namespace of the mount '"+mount+"' has control characters, or spaces around it", "was a line break copied along with it?")
	}
	for key, other := range map[string]string{"client_cert": "client_key", "client_key": "client_cert"} {
		if set[key] != "" && set[other] == "" {
			return bad(key, "the mount '"+mount+"' has "+key+" and no "+other, "set both, or none")
		}
	}
	if v := set["proxy"]; v != "" {
		if err := wire.CheckProxy(v); err != nil {
			return Config{}, keyturn.AsError(err).Because(BadSetting("proxy"))
		}
		if strings.HasPrefix(strings.ToLower(set["address"]), "http:") && set["insecure"] != "true" {
			return bad("proxy", "the mount '"+mount+"' is reached without encryption, and by way of a proxy", "write https://, or leave the proxy out")
		}
	}
	c := Config{Address: set["address"], Namespace: set["namespace"], Insecure: set["insecure"] == "true", Mount: mount, Proxy: set["proxy"],
		TLS: wire.TLS{CACert: set["ca_cert"], CAPath: set["ca_path"], ServerName: set["server_name"], ClientCert: set["client_cert"], ClientKey: set["client_key"]}}
	if set["addresses"] != "" {
		c.Others = strings.Split(set["addresses"], ", ")
	}
	if _, err := c.nodes(); err != nil {
		key := "address"
		if first := (Config{Address: c.Address, Insecure: c.Insecure}); len(c.Others) > 0 {
			if _, bad := first.nodes(); bad == nil {
				key = "addresses"
			}
		}
		return Config{}, keyturn.AsError(err).Because(BadSetting(key))
	}
	return c, nil
}
