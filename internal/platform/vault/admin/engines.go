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
	"github.com/keyturn/keyturn/internal/platform/vault/admin/server"
	"github.com/keyturn/keyturn/internal/platform/vault/admin/words"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// sort is engines or login methods, with the actions on them.
type sort struct{ server.Sort }

var (
	engineSort = sort{server.Engines}
	authSort   = sort{server.Logins}
)

// leaseTimes are the members that --ttl and --max-ttl set.
var leaseTimes = map[string]string{"ttl": "default_lease_ttl", "max-ttl": "max_lease_ttl"}

var columns = []string{"path", "type", "description", "ttl_seconds", "max_ttl_seconds"}

func engineActions() []server.Action {
	path := keyturn.Input{Name: "path", Kind: keyturn.InputText, Short: "where; without it, its type"}
	return []server.Action{
		{Action: keyturn.Action{
			Name: "engines", Operation: "list-engines", Short: "List the secrets engines", Reads: true, Columns: columns,
			Long:    "List the secrets engines: where each is, of which type, and how long what it issues\nlives (0: the server's own default).",
			Example: "  keyturn vault engines\n  keyturn vault engines -o json",
		}, Do: engineSort.list},
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
				server.TTL, server.MaxTTL,
			},
		}, Do: engineSort.enable},
		{Action: keyturn.Action{
			Name: "disable", Operation: "disable-engine", Short: "Disable a secrets engine, with all that is in it",
			Long: `Disable a secrets engine. All secrets in it are destroyed, and what it issued is
revoked. This cannot be undone: it asks on a terminal, and needs --yes elsewhere.`,
			Example: "  keyturn vault disable transit --yes",
			Asks:    "Disable the engine {path} and destroy all that is in it, for ever?",
			Inputs:  []keyturn.Input{{Name: "path", Kind: keyturn.InputText, Short: "where it is", Place: true, Required: true}},
		}, Do: engineSort.disable},
	}
}

func authActions() []server.Action {
	return []server.Action{
		{Action: keyturn.Action{
			Name: "auth list", Operation: "list-auth-methods", Short: "List the login methods", Reads: true, Columns: columns,
			Long:    "List the login methods: where each is, of which type, and how long its tokens live\n(0: the server's own default).",
			Example: "  keyturn vault auth list",
		}, Do: authSort.list},
		{Action: keyturn.Action{
			Name: "auth enable", Operation: "enable-auth-method", Short: "Enable a login method",
			Long:    "Enable a login method: approle for services, userpass, oidc, jwt, kubernetes and whatever\nelse the server knows.",
			Example: "  keyturn vault auth enable approle\n  keyturn vault auth enable userpass --path people --ttl 8h",
			Inputs: []keyturn.Input{
				{Name: "type", Kind: keyturn.InputText, Short: "approle, userpass, oidc, jwt, kubernetes, …", Place: true, Required: true},
				{Name: "path", Kind: keyturn.InputText, Short: "where; without it, its type"},
				{Name: "description", Kind: keyturn.InputText, Short: "for people"},
				server.TTL, server.MaxTTL,
			},
		}, Do: authSort.enable},
		{Action: keyturn.Action{
			Name: "auth disable", Operation: "disable-auth-method", Short: "Disable a login method, with all that logged in by it",
			Long: `Disable a login method. Its roles and users are gone, and all tokens that it issued
are revoked. This cannot be undone: it asks on a terminal, and needs --yes elsewhere.`,
			Example: "  keyturn vault auth disable people --yes",
			Asks:    "Disable the login method {path} with its roles and users, and revoke all of its tokens?",
			Inputs:  []keyturn.Input{{Name: "path", Kind: keyturn.InputText, Short: "where it is", Place: true, Required: true}},
		}, Do: authSort.disable},
	}
}

func (k sort) list(ctx context.Context, s *server.Server, _ platform.Act) (platform.Acted, error) {
	all, err := k.All(ctx, s)
	if err != nil {
		return platform.Acted{}, err
	}
	var out platform.Acted
	for _, p := range slices.Sorted(maps.Keys(all)) {
		m := all[p]
		out.Items = append(out.Items, map[string]any{"path": p, "type": m.Kind(), "description": m.Description,
			"ttl_seconds": m.Config.TTL, "max_ttl_seconds": m.Config.MaxTTL})
	}
	return out, nil
}

func (k sort) enable(ctx context.Context, s *server.Server, a platform.Act) (platform.Acted, error) {
	kind, at := a.Args.Text("type"), words.Place(a.Args.Text("path"))
	if at == "" {
		at = kind
	}
	if err := words.Path("an "+k.What, at); err != nil {
		return platform.Acted{}, err
	}
	if at == "tune" || strings.HasSuffix(at, "/tune") { // the server would change what is mounted above it
		return platform.Acted{}, keyturn.E(keyturn.Invalid, "nothing can be enabled at "+words.Quoted(at)+": that is how the server changes settings", "choose another --path; to change settings: keyturn vault tune")
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
	server.Set(body, a, map[string]string{"description": "description"}, nil)
	config := body["config"].(map[string]any)
	server.Set(config, a, nil, leaseTimes)
	err := s.Call(ctx, http.MethodPost, k.API+"/"+at, body, nil)
	switch {
	case api.Says(err, "already in use") || api.Says(err, "existing mount"):
		return platform.Acted{}, keyturn.E(keyturn.Conflict, "something is enabled at "+at+" already, or above or below it", "choose another --path; 'keyturn vault "+k.Listing()+"' lists what is there").Because(err)
	case api.Says(err, "plugin not found") || api.Says(err, "unknown backend type") || api.Says(err, "unknown plugin"):
		return platform.Acted{}, keyturn.E(keyturn.Invalid, "the server knows no "+k.What+" of type "+words.Quoted(kind), "for instance "+map[sort]string{engineSort: "kv-v2, database, transit, pki, ssh, totp", authSort: "approle, userpass, oidc, jwt, kubernetes"}[k]).Because(err)
	case tooLong(err):
		return platform.Acted{}, longerThanLongest(err)
	case err != nil && k == authSort:
		return platform.Acted{}, words.Sudo(err, k.API+"/"+at, `"create", "update"`)
	case err != nil:
		return platform.Acted{}, err
	}
	return platform.Acted{Told: keyturn.Told{Says: "enabled the " + k.What + " " + keyturn.Clean(at)}}, nil
}

func (k sort) disable(ctx context.Context, s *server.Server, a platform.Act) (platform.Acted, error) {
	at, _, err := k.at(ctx, s, a) // the server takes any path, and says that it went well
	if err != nil {
		return platform.Acted{}, err
	}
	if err := s.Call(ctx, http.MethodDelete, k.API+"/"+at, nil, nil); err != nil {
		if errors.Is(err, keyturn.Invalid) {
			return platform.Acted{}, keyturn.E(keyturn.Invalid, at+" is the server's own, and cannot be disabled", "").Because(err)
		}
		if k == authSort {
			err = words.Sudo(err, k.API+"/"+at, `"delete"`)
		}
		return platform.Acted{}, err
	}
	return platform.Acted{Told: keyturn.Told{Says: "disabled the " + k.What + " " + keyturn.Clean(at)}}, nil
}
