package vault

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/admin"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
	"github.com/keyturn/keyturn/internal/platform/vault/login"
	"github.com/keyturn/keyturn/internal/platform/wire"
)

// The variables of Vault's own command line that name a server
// (https://developer.hashicorp.com/vault/docs/commands#environment-variables).
const (
	addressVariable   = "VAULT_ADDR"
	namespaceVariable = "VAULT_NAMESPACE"
)

// Driver opens mounts of Vault and OpenBao: those of the configuration, and for people
// the one that VAULT_ADDR names.
var Driver = platform.Driver{
	Name: Spec.Platform, Check: check, Open: openMount, Ambient: ambient, Files: api.Files, Variable: addressVariable,
	Server: serverOf, Assign: assign, Actions: admin.List,
}

// check implements Driver.Check.
func check(s platform.Settings) error {
	_, err := configured(s)
	if err == nil {
		return nil
	}
	var bad api.BadSetting
	_ = errors.As(err, &bad)
	return s.Fault(string(bad), err)
}

// ambient implements Driver.Ambient. It does not repeat the address: the caller may have
// set it.
func ambient(env platform.Env) (bool, error) {
	switch {
	case env.Lookup(addressVariable) == "":
		return false, nil
	case env.Caller == keyturn.Person:
		return true, nil
	}
	e := keyturn.E(keyturn.Denied, "agents and services use the mounts of the operator's configuration only, and 'vault' is not among them: VAULT_ADDR is for people",
		"a person adds it there, with the server's address:\n  mounts:\n    vault: {platform: vault, address: \"https://vault.example.com:8200\"}")
	e.By = "rule"
	return false, e
}

// serverOf implements Driver.Server.
func serverOf(env platform.Env, s platform.Settings) (platform.Server, error) {
	if s.Ambient {
		return platform.Server{Address: env.Lookup(addressVariable), Namespace: env.Lookup(namespaceVariable)}, nil
	}
	c, err := configured(s)
	return platform.Server{Address: c.Address, Namespace: c.Namespace}, err
}

// assign implements Driver.Assign.
func assign(s platform.Server) string {
	out := addressVariable + "=" + keyturn.Quote(s.Address)
	if s.Namespace != "" {
		out += " " + namespaceVariable + "=" + keyturn.Quote(s.Namespace)
	}
	return out
}

// openMount implements Driver.Open.
func openMount(env platform.Env, s platform.Settings) (*platform.Mount, error) {
	c, err := configured(s)
	if s.Ambient {
		c, err = fromEnvironment(env, s)
	}
	if err != nil {
		return nil, err
	}
	if err := trusted(env, c); err != nil {
		return nil, err
	}
	c.Now, c.AnyProxy = env.Now, env.Caller == keyturn.Person
	kept := &login.Kept{Keeper: env.Keeper(platform.Server{Address: c.Address, Namespace: c.Namespace}), Config: c}
	t := &tokenSource{env: env.Lookup, caller: env.Caller, mount: s.Mount, address: c.Address, only: s.Only, kept: kept}
	c.Token, c.Anew = t.token, t.anew
	p, err := New(c, s.Mount)
	if err != nil {
		return nil, err
	}
	p.Keeper, p.tokens = kept, t
	// One spelling of each place: leases are known by it.
	target := keyturn.Clean(strings.TrimRight(c.Address, "/"))
	if ns := strings.Trim(c.Namespace, "/"); ns != "" {
		target += ", namespace " + keyturn.Clean(ns)
	}
	return platform.NewMount(s.Mount, p, Spec, target), nil
}

// configured makes a Config of the settings in a file. A relative path of a setting is
// relative to the file's folder, wherever keyturn is started.
func configured(s platform.Settings) (api.Config, error) {
	set := map[string]string{}
	for _, one := range s.List {
		set[one.Key] = one.Value
		if slices.Contains(api.Files, one.Key) && one.Value != "" && !filepath.IsAbs(one.Value) {
			set[one.Key] = filepath.Join(filepath.Dir(s.File), one.Value)
		}
	}
	return api.Configure(s.Mount, set)
}

// fromEnvironment makes a Config of Vault's own variables.
func fromEnvironment(env platform.Env, s platform.Settings) (api.Config, error) {
	if v := strings.ToLower(env.Lookup("VAULT_SKIP_VERIFY")); v != "" && v != "0" && v != "false" {
		return api.Config{}, keyturn.E(keyturn.Invalid, "VAULT_SKIP_VERIFY is set, and keyturn speaks to no server that it cannot be sure of",
			"name the authority of its certificate: VAULT_CACERT=FILE")
	}
	set := map[string]string{}
	for _, one := range api.Settings {
		if one.Variable != "" {
			set[one.Key] = env.Lookup(one.Variable)
		}
	}
	c, err := api.Configure(s.Mount, set)
	c.Environment = true
	return c, err
}

// trusted refuses, for others than people, a server that would be known by authorities
// that only the environment names; for people, authorities in what is no file.
func trusted(env platform.Env, c api.Config) error {
	switch {
	case strings.HasPrefix(strings.ToLower(c.Address), "http:"):
		return nil
	case env.Caller == keyturn.Person:
		return wire.FilesOfEnvironment(env.Lookup)
	}
	return c.TLS.NotByEnvironment(env.Lookup)
}

// Administration implements platform.Administrator.
func (p *Platform) Administration() keyturn.Administration { return admin.List() }

// Perform implements platform.Administrator.
func (p *Platform) Perform(ctx context.Context, a platform.Act) (platform.Acted, error) {
	return admin.Perform(ctx, p.client, p.mount, a)
}
