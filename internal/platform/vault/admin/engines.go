package admin

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// mounted is an engine or a login method as sys/mounts and sys/auth tell of it.
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

// kind is the type as 'enable' takes it.
func (m mounted) kind() string {
	if v := m.Options["version"]; m.Type == "kv" && v != "" {
		return "kv-v" + v
	}
	return m.Type
}

// sort says engines or login methods.
type sort struct {
	what string // "engine"
	api  string // where they are
}

var (
	engineSort = sort{"engine", "sys/mounts"}
	authSort   = sort{"login method", "sys/auth"}
)

var columns = []string{"path", "type", "description", "ttl_seconds", "max_ttl_seconds"}

func engineActions() []action {
	path := keyturn.Input{Name: "path", Kind: keyturn.InputText, Short: "where; without it, its type"}
	return []action{
		{keyturn.Action{
			Name: "engines", Operation: "list-engines", Short: "List the secrets engines", Reads: true, Columns: columns,
			Long:    "List the secrets engines: where each is, of which type, and how long what it issues\nlives (0: the server's own default).",
			Example: "  keyturn vault engines\n  keyturn vault engines -o json",
		}, engineSort.list},
		{keyturn.Action{
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
		}, engineSort.enable},
		{keyturn.Action{
			Name: "disable", Operation: "disable-engine", Short: "Disable a secrets engine, with all that is in it",
			Long: `Disable a secrets engine. All secrets in it are destroyed, and what it issued is
revoked. This cannot be undone: it asks on a terminal, and needs --yes elsewhere.`,
			Example: "  keyturn vault disable transit --yes",
			Asks:    "Disable the engine {path} and destroy all that is in it, for ever?",
			Inputs:  []keyturn.Input{{Name: "path", Kind: keyturn.InputText, Short: "where it is", Place: true, Required: true}},
		}, engineSort.disable},
	}
}

func authActions() []action {
	return []action{
		{keyturn.Action{
			Name: "auth list", Operation: "list-auth-methods", Short: "List the login methods", Reads: true, Columns: columns,
			Long:    "List the login methods: where each is, of which type, and how long its tokens live\n(0: the server's own default).",
			Example: "  keyturn vault auth list",
		}, authSort.list},
		{keyturn.Action{
			Name: "auth enable", Operation: "enable-auth-method", Short: "Enable a login method",
			Long:    "Enable a login method: approle for services, userpass, oidc, jwt, kubernetes and whatever\nelse the server knows.",
			Example: "  keyturn vault auth enable approle\n  keyturn vault auth enable userpass --path people --ttl 8h",
			Inputs: []keyturn.Input{
				{Name: "type", Kind: keyturn.InputText, Short: "approle, userpass, oidc, jwt, kubernetes, …", Place: true, Required: true},
				{Name: "path", Kind: keyturn.InputText, Short: "where; without it, its type"},
				{Name: "description", Kind: keyturn.InputText, Short: "for people"},
				ttlInput, maxTTLInput,
			},
		}, authSort.enable},
		{keyturn.Action{
			Name: "auth disable", Operation: "disable-auth-method", Short: "Disable a login method, with all that logged in by it",
			Long: `Disable a login method. Its roles and users are gone, and all tokens that it issued
are revoked. This cannot be undone: it asks on a terminal, and needs --yes elsewhere.`,
			Example: "  keyturn vault auth disable people --yes",
			Asks:    "Disable the login method {path} with its roles and users, and revoke all of its tokens?",
			Inputs:  []keyturn.Input{{Name: "path", Kind: keyturn.InputText, Short: "where it is", Place: true, Required: true}},
		}, authSort.disable},
	}
}

// all asks what is mounted, by path without a slash at its end.
func (k sort) all(ctx context.Context, s *server) (map[string]mounted, error) {
	var answer map[string]mounted
	if err := s.call(ctx, http.MethodGet, k.api, nil, &answer); err != nil {
		return nil, err
	}
	out := map[string]mounted{}
	for p, m := range answer {
		out[place(p)] = m
	}
	return out, nil
}

func (k sort) list(ctx context.Context, s *server, _ platform.Act) (platform.Acted, error) {
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

func (k sort) enable(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	kind, at := a.Args.Text("type"), place(a.Args.Text("path"))
	if at == "" {
		at = kind
	}
	if err := path("an "+k.what, at); err != nil {
		return platform.Acted{}, err
	}
	body := map[string]any{"type": kind, "config": map[string]any{}}
	if k == engineSort {
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
	set(body, a, map[string]string{"description": "description"})
	config := body["config"].(map[string]any)
	for input, member := range map[string]string{"ttl": "default_lease_ttl", "max-ttl": "max_lease_ttl"} {
		if a.Args.Has(input) {
			config[member] = a.Args.Seconds(input)
		}
	}
	err := s.call(ctx, http.MethodPost, k.api+"/"+at, body, nil)
	switch {
	case api.Says(err, "already in use") || api.Says(err, "existing mount"):
		return platform.Acted{}, keyturn.E(keyturn.Conflict, "something is enabled at "+at+" already, or above or below it", "choose another --path; 'keyturn vault "+k.listing()+"' lists what is there").Because(err)
	case api.Says(err, "plugin not found") || api.Says(err, "unknown backend type") || api.Says(err, "unknown plugin"):
		return platform.Acted{}, keyturn.E(keyturn.Invalid, "the server knows no "+k.what+" of type "+quoted(kind), "for instance "+map[sort]string{engineSort: "kv-v2, database, transit, pki, ssh, totp", authSort: "approle, userpass, oidc, jwt, kubernetes"}[k]).Because(err)
	case tooLong(err):
		return platform.Acted{}, longerThanLongest(err)
	case err != nil && k == authSort:
		return platform.Acted{}, sudo(err, k.api+"/"+at, `"create", "update"`)
	case err != nil:
		return platform.Acted{}, err
	}
	return platform.Acted{Told: keyturn.Told{Says: "enabled the " + k.what + " " + keyturn.Clean(at)}}, nil
}

func (k sort) listing() string {
	if k == engineSort {
		return "engines"
	}
	return "auth list"
}

func (k sort) disable(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	at, _, err := k.at(ctx, s, a) // the server takes any path, and says that it went well
	if err != nil {
		return platform.Acted{}, err
	}
	if err := s.call(ctx, http.MethodDelete, k.api+"/"+at, nil, nil); err != nil {
		if is(err, keyturn.Invalid) {
			return platform.Acted{}, keyturn.E(keyturn.Invalid, at+" is the server's own, and cannot be disabled", "").Because(err)
		}
		if k == authSort {
			err = sudo(err, k.api+"/"+at, `"delete"`)
		}
		return platform.Acted{}, err
	}
	return platform.Acted{Told: keyturn.Told{Says: "disabled the " + k.what + " " + keyturn.Clean(at)}}, nil
}
