package admin

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
	"github.com/keyturn/keyturn/internal/platform/vault/policy"
)

// mounted is an engine or a login method, as sys/mounts and sys/auth return it.
type mounted struct {
	Type        string            `json:"type"`
	Description string            `json:"description"`
	Options     map[string]string `json:"options"`
	Config      struct {
		TTL        int    `json:"default_lease_ttl"` // seconds
		MaxTTL     int    `json:"max_lease_ttl"`
		Visibility string `json:"listing_visibility"` // "" for hidden
	} `json:"config"`
}

// kind is the type as 'enable' takes it: "kv-v2".
func (m mounted) kind() string {
	if v := m.Options["version"]; m.Type == "kv" && v != "" {
		return "kv-v" + v
	}
	return m.Type
}

// kvVersion is the version of a key/value engine; 0 for any other type.
func (m mounted) kvVersion() int {
	switch {
	case m.Type != "kv" && m.Type != "generic":
		return 0
	case m.Options["version"] == "2":
		return 2
	}
	return 1
}

// mountKind stands for engines or for login methods.
type mountKind struct {
	what string // "engine"
	api  string // the path that lists and changes them
}

// The kinds of mounts.
var (
	engineMounts = mountKind{"engine", "sys/mounts"}
	loginMounts  = mountKind{"login method", "sys/auth"}
)

// all returns all mounts of the kind, by path without slashes at its ends.
func (k mountKind) all(ctx context.Context, s *server) (map[string]mounted, error) {
	var answer map[string]mounted
	if err := s.call(ctx, http.MethodGet, k.api, nil, &answer); err != nil {
		return nil, err
	}
	out := map[string]mounted{}
	for p, m := range answer {
		out[trimSlashes(p)] = m
	}
	return out, nil
}

// requireType refuses a path that is not itself the path of a mount of a type: a path
// within another mount, or in the server's own settings, accepts the same requests and
// does something else with them. It returns NotFound, and none where nothing is there.
func (k mountKind) requireType(ctx context.Context, s *server, at, kind string, none *keyturn.Error) error {
	m, err := k.at(ctx, s, at)
	switch {
	case err == nil && m.Type != kind:
		return keyturn.E(keyturn.NotFound, "the "+k.what+" at "+quoted(at)+" is of type "+keyturn.Clean(m.Type)+", not "+kind, k.hint())
	case err == nil || !errors.Is(err, keyturn.NotFound) || errors.Is(err, errWithin):
		return err
	}
	return none.Because(err)
}

// errWithin is the cause where a path is within a mount, and not a mount itself.
var errWithin = errors.New("a path within another mount")

// at returns the mount at a path; NotFound where none is exactly there. A token that may
// not list mounts may still ask about those that it may do something in
// (https://developer.hashicorp.com/vault/api-docs/system/internal-ui-mounts).
func (k mountKind) at(ctx context.Context, s *server, at string) (mounted, error) {
	below := ""
	if k == loginMounts {
		below = "auth/"
	}
	var m struct {
		mounted
		Path string `json:"path"`
	}
	err := s.call(ctx, http.MethodGet, "sys/internal/ui/mounts/"+below+at, nil, &m)
	switch found := trimSlashes(m.Path); {
	case err == nil && found == at:
		return m.mounted, nil
	case err == nil:
		return mounted{}, keyturn.E(keyturn.NotFound, quoted(at)+" is no "+k.what+", but within "+quoted(found), k.hint()).Because(errWithin)
	case !errors.Is(err, keyturn.Denied): // the server says no more where nothing is mounted
		return mounted{}, err
	}
	all, listErr := k.all(ctx, s)
	if m, ok := all[at]; ok {
		return m, nil
	}
	none := "there is no " + k.what + " at " + quoted(at)
	if listErr == nil {
		return mounted{}, keyturn.E(keyturn.NotFound, none, k.hint()).Because(err)
	}
	e := keyturn.E(keyturn.Denied, none+", or your token may do nothing in it", "one of its policies has to hold a path below \""+keyturn.Clean(below+at)+"/\"; "+k.hint()).Because(err)
	e.By = "platform"
	return mounted{}, e
}

func (k mountKind) hint() string { return "'keyturn vault " + k.listing() + "' lists them" }

// listing is the action that lists the mounts of the kind.
func (k mountKind) listing() string {
	if k == engineMounts {
		return "engines"
	}
	return "auth list"
}

// engineOf returns the engine that holds a secret's name, and the name within the engine.
func (s *server) engineOf(ctx context.Context, name string) (policy.Engine, string, error) {
	var m struct {
		mounted
		Path string `json:"path"`
	}
	if err := s.call(ctx, http.MethodGet, "sys/internal/ui/mounts/"+name, nil, &m); err != nil {
		if errors.Is(err, keyturn.Denied) {
			e := keyturn.E(keyturn.Denied, "there is no engine for "+keyturn.Clean(name)+", or your token may do nothing in it", "'keyturn vault engines' lists the engines").Because(err)
			e.By = "platform"
			return policy.Engine{}, "", e
		}
		return policy.Engine{}, "", err
	}
	e := policy.Engine{Path: trimSlashes(m.Path), KV: m.kvVersion()}
	within := strings.TrimPrefix(name, e.Path+"/")
	if e.KV == 0 && !strings.HasPrefix(within, "creds/") && !strings.HasPrefix(within, "static-creds/") {
		return e, "", keyturn.E(keyturn.Unsupported, "the engine '"+keyturn.Clean(e.Path)+"' is of type "+keyturn.Clean(m.Type)+"; this is for engines that keep secrets, and for credentials", "write a policy by hand: keyturn vault policy write")
	}
	if within == name || within == "" {
		return e, "", keyturn.E(keyturn.Invalid, quoted(name)+" is an engine, not a secret in it", "name a secret below it")
	}
	return e, within, nil
}

// leaseTimes are the members of a request that --ttl and --max-ttl set.
var leaseTimes = map[string]string{"ttl": "default_lease_ttl", "max-ttl": "max_lease_ttl"}

var mountColumns = []string{"path", "type", "description", "ttl_seconds", "max_ttl_seconds"}

func engineActions() []action {
	path := keyturn.Input{Name: "path", Kind: keyturn.InputText, Short: "where; without it, its type"}
	return []action{
		{Action: keyturn.Action{
			Name: "engines", Operation: "list-engines", Short: "List the secrets engines", Reads: true, Columns: mountColumns,
			Long:    "List the secrets engines: where each is, of which type, and how long what it issues\nlives (0: the server's own default).",
			Example: "  keyturn vault engines\n  keyturn vault engines -o json",
		}, Do: engineMounts.list},
		{Action: keyturn.Action{
			Name: "enable", Operation: "enable-engine", Short: "Enable a secrets engine",
			Long: `Enable a secrets engine: kv-v2 and kv-v1 keep secrets, database issues credentials,
and whatever else the server knows: transit, pki, ssh, totp …

What is at that path already is not touched: it fails with conflict.`,
			Example: "  keyturn vault enable kv-v2 --path team --description 'secrets of the team'\n  keyturn vault enable database\n  keyturn vault enable transit --ttl 1h --max-ttl 24h",
			Inputs: []keyturn.Input{
				{Name: "type", Kind: keyturn.InputText, Short: "kv-v2, kv-v1, database, transit, …", Place: true, Required: true},
				path,
				{Name: "description", Kind: keyturn.InputText, Short: "for people"},
				{Name: "version", Kind: keyturn.InputText, Short: "of kv: 1 or 2", Choices: []string{"1", "2"}},
				ttlInput, maxTTLInput,
			},
		}, Do: engineMounts.enable},
		{Action: keyturn.Action{
			Name: "disable", Operation: "disable-engine", Short: "Disable a secrets engine, with all that is in it",
			Long: `Disable a secrets engine. All secrets in it are destroyed, and what it issued is
revoked. This cannot be undone: it asks on a terminal, and needs --yes elsewhere.`,
			Example: "  keyturn vault disable transit --yes",
			Asks:    "Disable the engine {path} and destroy all that is in it, for ever?",
			Inputs:  []keyturn.Input{{Name: "path", Kind: keyturn.InputText, Short: "where it is", Place: true, Required: true}},
		}, Do: engineMounts.disable},
	}
}

func authActions() []action {
	return []action{
		{Action: keyturn.Action{
			Name: "auth list", Operation: "list-auth-methods", Short: "List the login methods", Reads: true, Columns: mountColumns,
			Long:    "List the login methods: where each is, of which type, and how long its tokens live\n(0: the server's own default).",
			Example: "  keyturn vault auth list",
		}, Do: loginMounts.list},
		{Action: keyturn.Action{
			Name: "auth enable", Operation: "enable-auth-method", Short: "Enable a login method",
			Long:    "Enable a login method: approle for services, userpass, oidc, jwt, kubernetes and whatever\nelse the server knows.",
			Example: "  keyturn vault auth enable approle\n  keyturn vault auth enable userpass --path people --ttl 8h",
			Inputs: []keyturn.Input{
				{Name: "type", Kind: keyturn.InputText, Short: "approle, userpass, oidc, jwt, kubernetes, …", Place: true, Required: true},
				{Name: "path", Kind: keyturn.InputText, Short: "where; without it, its type"},
				{Name: "description", Kind: keyturn.InputText, Short: "for people"},
				ttlInput, maxTTLInput,
			},
		}, Do: loginMounts.enable},
		{Action: keyturn.Action{
			Name: "auth disable", Operation: "disable-auth-method", Short: "Disable a login method, with all that logged in by it",
			Long: `Disable a login method. Its roles and users are gone, and all tokens that it issued
are revoked. This cannot be undone: it asks on a terminal, and needs --yes elsewhere.`,
			Example: "  keyturn vault auth disable people --yes",
			Asks:    "Disable the login method {path} with its roles and users, and revoke all of its tokens?",
			Inputs:  []keyturn.Input{{Name: "path", Kind: keyturn.InputText, Short: "where it is", Place: true, Required: true}},
		}, Do: loginMounts.disable},
	}
}

func (k mountKind) list(ctx context.Context, s *server, _ platform.Act) (platform.Acted, error) {
	all, err := k.all(ctx, s)
	if err != nil {
		return platform.Acted{}, err
	}
	var out platform.Acted
	for _, p := range slices.Sorted(maps.Keys(all)) {
		m := all[p]
		out.Items = append(out.Items, map[string]any{"path": p, "type": m.kind(), "description": m.Description,
			"ttl_seconds": m.Config.TTL, "max_ttl_seconds": m.Config.MaxTTL})
	}
	return out, nil
}

func (k mountKind) enable(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	kind, at := a.Args.Text("type"), trimSlashes(a.Args.Text("path"))
	if at == "" {
		at = kind
	}
	if err := checkPath("an "+k.what, at); err != nil {
		return platform.Acted{}, err
	}
	if at == "tune" || strings.HasSuffix(at, "/tune") { // the server would change what is mounted above it
		return platform.Acted{}, keyturn.E(keyturn.Invalid, "nothing can be enabled at "+quoted(at)+": that is how the server changes settings", "choose another --path; to change settings: keyturn vault tune")
	}
	body := map[string]any{"type": kind, "config": map[string]any{}}
	if k == engineMounts {
		version := a.Args.Text("version")
		if v, ok := strings.CutPrefix(kind, "kv-v"); ok {
			if version != "" && version != v {
				return platform.Acted{}, keyturn.E(keyturn.Invalid, kind+" is not version "+version+" of kv", "leave --version out")
			}
			if v != "1" && v != "2" {
				return platform.Acted{}, keyturn.E(keyturn.Invalid, "there is no version "+keyturn.Clean(v)+" of kv", "kv-v2, or kv-v1")
			}
			kind, version = "kv", v
		}
		if kind == "kv" {
			body["options"] = map[string]string{"version": max(version, "1")}
		} else if version != "" {
			return platform.Acted{}, keyturn.E(keyturn.Invalid, "only kv has versions", "leave --version out")
		}
		body["type"] = kind
	}
	setMembers(body, a, map[string]string{"description": "description"}, nil)
	config := body["config"].(map[string]any)
	setMembers(config, a, nil, leaseTimes)
	err := s.call(ctx, http.MethodPost, k.api+"/"+at, body, nil)
	switch {
	case api.Says(err, "already in use") || api.Says(err, "existing mount"):
		return platform.Acted{}, keyturn.E(keyturn.Conflict, "something is enabled at "+at+" already, or above or below it", "choose another --path; 'keyturn vault "+k.listing()+"' lists what is there").Because(err)
	case api.Says(err, "plugin not found") || api.Says(err, "unknown backend type") || api.Says(err, "unknown plugin"):
		return platform.Acted{}, keyturn.E(keyturn.Invalid, "the server knows no "+k.what+" of type "+quoted(kind), "for instance "+map[mountKind]string{engineMounts: "kv-v2, database, transit, pki, ssh, totp", loginMounts: "approle, userpass, oidc, jwt, kubernetes"}[k]).Because(err)
	case tooLong(err):
		return platform.Acted{}, longerThanLongest(err)
	case err != nil && k == loginMounts:
		return platform.Acted{}, needsSudo(err, k.api+"/"+at, `"create", "update"`)
	case err != nil:
		return platform.Acted{}, err
	}
	return platform.Acted{Told: keyturn.Told{Says: "enabled the " + k.what + " " + keyturn.Clean(at)}}, nil
}

func (k mountKind) disable(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	at, _, err := k.named(ctx, s, a) // the server takes any path, and says that it went well
	if err != nil {
		return platform.Acted{}, err
	}
	if err := s.call(ctx, http.MethodDelete, k.api+"/"+at, nil, nil); err != nil {
		if errors.Is(err, keyturn.Invalid) {
			return platform.Acted{}, keyturn.E(keyturn.Invalid, at+" is the server's own, and cannot be disabled", "").Because(err)
		}
		if k == loginMounts {
			err = needsSudo(err, k.api+"/"+at, `"delete"`)
		}
		return platform.Acted{}, err
	}
	return platform.Acted{Told: keyturn.Told{Says: "disabled the " + k.what + " " + keyturn.Clean(at)}}, nil
}
