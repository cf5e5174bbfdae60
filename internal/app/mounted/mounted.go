// Package mounted makes the mounts: the local store, those of the operator's
// configuration, and those that the environment names.
package mounted

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/app/access"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/local"
	"github.com/keyturn/keyturn/internal/platform/vault"
	"github.com/keyturn/keyturn/internal/platform/vault/admin"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
	"github.com/keyturn/keyturn/internal/platform/vault/login"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/tokens"
)

// Local is the name of the local store, which is always there.
const Local = "local"

// Names lists the mounts: the local store, those of the operator's
// configuration and, where environment is set, the one that VAULT_ADDR names.
func Names(o *config.Operator, environment bool) []string {
	names := []string{Local}
	if o != nil {
		for _, c := range o.Mounts {
			names = append(names, c.Name)
		}
	}
	if environment {
		names = append(names, vaultPlatform)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Mounts opens the configured platforms when they are first used.
type Mounts struct {
	DB       *state.DB
	Operator *config.Operator
	Known    []string // names, sorted
	Env      func(name string) string
	Now      func() time.Time
	// Who the caller is: others than people do not have the mount that the environment
	// names, since they could set a variable; nor does it say for them what is trusted,
	// and by which way it is reached.
	Who keyturn.ActorKind

	mu     sync.Mutex
	open   map[string]*platform.Mount
	logins map[string]access.Chain // of those that are open
}

// Names implements broker.Mounts.
func (ms *Mounts) Names() []string { return slices.Clone(ms.Known) }

// Mount implements broker.Mounts.
func (ms *Mounts) Mount(name string) (*platform.Mount, error) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if m, ok := ms.open[name]; ok {
		return m, nil
	}
	m, err := ms.make(name)
	if err == nil {
		if ms.open == nil {
			ms.open = map[string]*platform.Mount{}
		}
		ms.open[name] = m
	}
	return m, err
}

func (ms *Mounts) make(name string) (*platform.Mount, error) {
	configured, known := ms.Operator.Mount(name)
	switch {
	case name == Local && (!known || configured.Platform == Local):
		return platform.NewMount(name, local.New(ms.DB, name), local.Spec, ms.DB.Stats().Path), nil
	case known && configured.Platform == Local:
		return nil, keyturn.E(keyturn.Unsupported, "there is one local store, and it is the mount 'local'", "name it so in the configuration")
	case known && configured.Platform == vaultPlatform:
		return ms.configuredVault(configured)
	case known:
		return nil, keyturn.E(keyturn.Unsupported, "this keyturn does not speak to "+keyturn.Clean(configured.Platform)+" yet", "the mount 'local' works")
	case name == vaultPlatform && slices.Contains(ms.Known, name):
		return ms.environmentVault(name)
	}
	if err := ms.Withheld(name); err != nil {
		return nil, err
	}
	return nil, keyturn.E(keyturn.NotFound, "no mount '"+keyturn.Clean(name)+"'", ms.instead(name))
}

// instead says which mount may be meant, or how there would be one of that name.
func (ms *Mounts) instead(name string) string {
	if name == vaultPlatform {
		return "set VAULT_ADDR to the server's address, or name it in the operator's configuration"
	}
	if near := keyturn.Nearest(name, slices.Values(ms.Known)); near != "" {
		return "did you mean '" + near + "'?"
	}
	if ms.Env("VAULT_ADDR") == "" && keyturn.Nearest(name, slices.Values([]string{vaultPlatform})) != "" {
		return "did you mean 'vault'? It is there where VAULT_ADDR is set"
	}
	return "the mounts are " + strings.Join(ms.Known, ", ") + "; more come from the operator's configuration"
}

// Withheld refuses the mount that the environment names and this caller does not have.
// Its address is not repeated: the caller may have set it.
func (ms *Mounts) Withheld(name string) error {
	if ms.Who == keyturn.Person || name != vaultPlatform || ms.Env("VAULT_ADDR") == "" || slices.Contains(ms.Known, name) {
		return nil
	}
	e := keyturn.E(keyturn.Denied, "agents and services use the mounts of the operator's configuration only, and 'vault' is not among them: VAULT_ADDR is for people",
		"a person adds it there, with the server's address:\n  mounts:\n    vault: {platform: vault, address: \"https://vault.example.com:8200\"}")
	e.By = "rule"
	return e
}

// only reports whether one configured mount is of a platform, and no more.
func (ms *Mounts) only(name string) bool {
	n := 0
	for _, m := range ms.Operator.Mounts {
		if m.Platform == name {
			n++
		}
	}
	return n == 1
}

const vaultPlatform = "vault"

// configuredVault makes the mount of an entry in the operator's configuration.
func (ms *Mounts) configuredVault(entry config.Mount) (*platform.Mount, error) {
	c, err := configureVault(entry, ms.Operator.File)
	if err != nil {
		return nil, err
	}
	return ms.vault(c, ms.only(vaultPlatform))
}

// environmentVault makes the mount that is there without any configuration, where
// VAULT_ADDR is set.
func (ms *Mounts) environmentVault(name string) (*platform.Mount, error) {
	if v := strings.ToLower(ms.Env("VAULT_SKIP_VERIFY")); v != "" && v != "0" && v != "false" {
		return nil, keyturn.E(keyturn.Invalid, "VAULT_SKIP_VERIFY is set, and keyturn speaks to no server that it cannot be sure of",
			"name the authority of its certificate: VAULT_CACERT=FILE")
	}
	set := map[string]string{}
	for _, s := range api.Settings {
		if s.Variable != "" {
			set[s.Key] = ms.Env(s.Variable)
		}
	}
	c, err := api.Configure(name, set)
	if err != nil {
		return nil, err
	}
	c.Environment = true
	return ms.vault(c, true)
}

func (ms *Mounts) vault(c api.Config, only bool) (*platform.Mount, error) {
	name := c.Mount
	if err := ms.trust(c); err != nil {
		return nil, err
	}
	c.Now, c.AnyProxy = ms.Now, ms.Who == keyturn.Person
	kept := &login.Kept{Keeper: tokens.At(ms.DB, name, vaultPlatform, c.Address, c.Namespace), Config: c}
	t := access.Chain{Env: ms.Env, Mount: name, Address: c.Address, Only: only, Who: ms.Who, Kept: kept}
	c.Token, c.Anew = t.Token, t.Anew
	p, err := vault.New(c, name)
	if err != nil {
		return nil, err
	}
	p.Keeper, p.Instead, p.Source = kept, t.Instead, t.Source
	if ms.logins == nil {
		ms.logins = map[string]access.Chain{}
	}
	ms.logins[name] = t
	// One spelling of each place: leases are known by it.
	target := keyturn.Clean(strings.TrimRight(c.Address, "/"))
	if ns := strings.Trim(c.Namespace, "/"); ns != "" {
		target += ", namespace " + keyturn.Clean(ns)
	}
	return platform.NewMount(name, p, vault.Spec, target), nil
}

// Attend makes what a mount is logged in by live on until ctx ends. Where it does not
// live on, tell is called once, when it has less left than need, or an hour.
func (ms *Mounts) Attend(ctx context.Context, mount string, need time.Duration, tell func(end time.Time, why string)) {
	ms.mu.Lock()
	t, ok := ms.logins[mount]
	ms.mu.Unlock()
	if ok {
		t.Attend(ctx, need, func(e login.End) { tell(e.At, e.Why) })
	}
}

// trust refuses a mount whose server would be known by authorities that the
// environment names: an agent could set the variables (of Go,
// https://pkg.go.dev/crypto/x509#SystemCertPool), and have anybody be the server.
func (ms *Mounts) trust(c api.Config) error {
	if ms.Who == keyturn.Person || c.TLS.CACert != "" || c.TLS.CAPath != "" || strings.HasPrefix(strings.ToLower(c.Address), "http:") {
		return nil
	}
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if ms.Env(name) != "" {
			return keyturn.E(keyturn.Denied, name+" is set, and only for people does it say which servers are trusted",
				"unset it, or name the authority of the server's certificate in the operator's configuration: the mount's ca_cert")
		}
	}
	return nil
}

// OwnVariable reports whether Vault's own variables are about a mount's server, and
// count for the caller.
func (ms *Mounts) OwnVariable(mount string) bool {
	configured, known := ms.Operator.Mount(mount)
	t := access.Chain{Env: ms.Env, Address: ms.Env("VAULT_ADDR"), Only: true, Who: ms.Who}
	if known {
		t.Address, t.Only = configured.Setting("address"), ms.only(vaultPlatform)
	}
	return t.Own()
}

// renewalWait is how long a command that is done waits for the renewal of its
// token.
const renewalWait = time.Second

// Close waits for what goes on beside the operations.
func (ms *Mounts) Close() {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	for _, t := range ms.logins {
		t.Kept.Close(renewalWait)
	}
	ms.logins = nil
}

// Actions lists what platforms can do beside keeping secrets: the commands and docs
// about it are made of it.
func Actions() []keyturn.Administration { return []keyturn.Administration{admin.List()} }

// Check refuses, with file and line, settings of mounts that no platform of
// their kind has, and those that cannot be meant. Nothing is opened or asked.
func Check(o *config.Operator) error {
	if o == nil {
		return nil
	}
	for _, m := range o.Mounts {
		if m.Platform != vaultPlatform {
			continue
		}
		_, err := configureVault(m, o.File)
		if err == nil {
			continue
		}
		e, line := *keyturn.AsError(err), m.Line
		var bad api.BadSetting
		for _, s := range m.Settings {
			if errors.As(err, &bad) && s.Key == string(bad) {
				line = s.Line
			}
		}
		e.Message = keyturn.Clean(o.File) + ":" + strconv.Itoa(line) + ": " + e.Message
		return &e
	}
	return nil
}

// configureVault makes a Config of an entry in a file. A file that it names is where
// the file says, wherever keyturn is started: its folder is the configuration's.
func configureVault(m config.Mount, file string) (api.Config, error) {
	set := map[string]string{}
	for _, s := range m.Settings {
		set[s.Key] = s.Value
		if slices.Contains(api.Files, s.Key) && s.Value != "" && !filepath.IsAbs(s.Value) {
			set[s.Key] = filepath.Join(filepath.Dir(file), s.Value)
		}
	}
	return api.Configure(m.Name, set)
}
