package app

import (
	"strings"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/app/access"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault"
	"github.com/keyturn/keyturn/internal/platform/vault/admin"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
	"github.com/keyturn/keyturn/internal/platform/vault/login"
	"github.com/keyturn/keyturn/internal/tokens"
)

const vaultPlatform = "vault"

// configuredVault makes the mount of an entry in the operator's configuration.
func (ms *mounts) configuredVault(entry config.Mount) (*platform.Mount, error) {
	c, err := configureVault(entry)
	if err != nil {
		return nil, err
	}
	return ms.vault(c, ms.only(vaultPlatform))
}

// environmentVault makes the mount that is there without any configuration, where
// VAULT_ADDR is set.
func (ms *mounts) environmentVault(name string) (*platform.Mount, error) {
	m := ms.machine
	if v := strings.ToLower(m.env("VAULT_SKIP_VERIFY")); v != "" && v != "0" && v != "false" {
		return nil, keyturn.E(keyturn.Invalid, "VAULT_SKIP_VERIFY is set, and keyturn speaks to no server that it cannot be sure of",
			"name the authority of its certificate: VAULT_CACERT=FILE")
	}
	set := map[string]string{}
	for _, s := range api.Settings {
		if s.Variable != "" {
			set[s.Key] = m.env(s.Variable)
		}
	}
	c, err := api.Configure(name, set)
	if err != nil {
		return nil, err
	}
	return ms.vault(c, true)
}

func (ms *mounts) vault(c api.Config, only bool) (*platform.Mount, error) {
	name := c.Mount
	c.Now = ms.machine.Now
	kept := &login.Kept{Keeper: tokens.At(ms.db, name, vaultPlatform, c.Address, c.Namespace), Config: c}
	t := access.Chain{Env: ms.machine.env, Mount: name, Address: c.Address, Only: only, Kept: kept}
	c.Token = t.Token
	p, err := vault.New(c, name)
	if err != nil {
		return nil, err
	}
	p.Keeper, p.Instead = kept, t.Instead
	ms.logins = append(ms.logins, kept)
	target := keyturn.Clean(c.Address)
	if c.Namespace != "" {
		target += ", namespace " + keyturn.Clean(c.Namespace)
	}
	return platform.NewMount(name, p, vault.Spec, target), nil
}

// ownVariable reports whether Vault's own variables are about a mount's server.
func (ms *mounts) ownVariable(mount string) bool {
	configured, known := ms.operator.Mount(mount)
	t := access.Chain{Env: ms.machine.env, Address: ms.machine.env("VAULT_ADDR"), Only: true}
	if known {
		t.Address, t.Only = configured.Setting("address"), ms.only(vaultPlatform)
	}
	return t.Own()
}

// renewalWait is how long a command that is done waits for the renewal of its
// token.
const renewalWait = time.Second

// close waits for what goes on beside the operations.
func (ms *mounts) close() {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	for _, k := range ms.logins {
		k.Close(renewalWait)
	}
	ms.logins = nil
}

// Actions lists what platforms can do beside keeping secrets: the commands and docs
// about it are made of it.
func Actions() []keyturn.Administration { return []keyturn.Administration{admin.List()} }
