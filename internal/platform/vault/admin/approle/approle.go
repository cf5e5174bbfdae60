// Package approle administers AppRole, by which services log in.
package approle

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/admin/server"
	"github.com/keyturn/keyturn/internal/platform/vault/admin/words"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// unwrapWithin is for how long a secret id waits, wrapped, until it is opened here.
const unwrapWithin = 60 * time.Second

// roleSettings are the inputs of a role, with the members that they set.
var roleSettings = []struct {
	keyturn.Input
	member string
}{
	{keyturn.Input{Name: "policies", Kind: keyturn.InputList, Short: "policies of its tokens"}, "token_policies"},
	{keyturn.Input{Name: "token-ttl", Kind: keyturn.InputDuration, Short: "how long its tokens live"}, "token_ttl"},
	{keyturn.Input{Name: "token-max-ttl", Kind: keyturn.InputDuration, Short: "how long its tokens live at most, renewed"}, "token_max_ttl"},
	{keyturn.Input{Name: "token-cidrs", Kind: keyturn.InputList, Short: "networks that its tokens are used from"}, "token_bound_cidrs"},
	{keyturn.Input{Name: "secret-id-ttl", Kind: keyturn.InputDuration, Short: "how long a secret id is good for; 0s: for ever"}, "secret_id_ttl"},
	{keyturn.Input{Name: "secret-id-uses", Kind: keyturn.InputNumber, Short: "how many logins a secret id is good for; 0: any number"}, "secret_id_num_uses"},
	{keyturn.Input{Name: "secret-id-cidrs", Kind: keyturn.InputList, Short: "networks that a secret id is used from"}, "secret_id_bound_cidrs"},
}

var roleColumns = []string{"role", "policies", "token_ttl_seconds", "token_max_ttl_seconds", "token_cidrs", "secret_id_ttl_seconds", "secret_id_uses", "secret_id_cidrs"}

// Actions are all of them, in the order of the help.
func Actions() []server.Action {
	role := keyturn.Input{Name: "role", Kind: keyturn.InputText, Short: "the role", Place: true, Required: true}
	at := keyturn.Input{Name: "path", Kind: keyturn.InputText, Short: "where AppRole is enabled; without it: approle"}
	settings := []keyturn.Input{role, at}
	for _, s := range roleSettings {
		settings = append(settings, s.Input)
	}
	accessor := keyturn.Input{Name: "accessor", Kind: keyturn.InputText, Short: "of the secret id, as 'approle secret-ids' lists them", Place: true, Required: true}
	return []server.Action{
		{Action: keyturn.Action{
			Name: "approle create", Operation: "create-approle", Short: "Create a role for a service",
			Long: `Create a role that a service logs in as, with a role id and a secret id. Its tokens get
the policies that you name. It fails with conflict where there is such a role already.`,
			Example: "  keyturn vault approle create myapp --policies myapp-reader --token-ttl 1h --secret-id-ttl 30d",
			Inputs:  settings,
		}, Do: createRole},
		{Action: keyturn.Action{
			Name: "approle update", Operation: "update-approle", Short: "Change a role",
			Long:    "Change what you name of a role; all else stays as it is.",
			Example: "  keyturn vault approle update myapp --token-max-ttl 4h",
			Inputs:  settings,
		}, Do: updateRole},
		{Action: keyturn.Action{
			Name: "approle list", Operation: "list-approles", Short: "List the roles", Reads: true, Columns: []string{"role"},
			Long:    "List the names of the roles.",
			Example: "  keyturn vault approle list",
			Inputs:  []keyturn.Input{at},
		}, Do: listRoles},
		{Action: keyturn.Action{
			Name: "approle read", Operation: "read-approle", Short: "Show a role", Reads: true, Columns: roleColumns,
			Long:    "Show what a role is set to.",
			Example: "  keyturn vault approle read myapp",
			Inputs:  []keyturn.Input{role, at},
		}, Do: readRole},
		{Action: keyturn.Action{
			Name: "approle role-id", Operation: "get-role-id", Short: "Show the role id of a role", Reads: true, Columns: []string{"role_id"},
			Long:    "Show the role id of a role. It says who logs in, as a user's name does; the proof is the\nsecret id.",
			Example: "  keyturn vault approle role-id myapp",
			Inputs:  []keyturn.Input{role, at},
		}, Do: roleID},
		{Action: keyturn.Action{
			Name: "approle secret-id", Operation: "create-secret-id", Short: "Make a secret id and deliver it, unseen", Secret: "the secret id",
			Long: `Make a secret id of a role and deliver it. It is never shown:

  --to REF        stores it in a secret, as the fields role_id and secret_id, or alone
                  where REF names a field
  --to-file FILE  writes it to a new file that only you can read
  --wrap 60s      prints a token that opens it once: whoever opens it second sees that
                  somebody was there before ('keyturn login --wrapped')

The server hands it out wrapped; it is opened here, once, and whatever cannot be
delivered is destroyed.`,
			Example: "  keyturn vault approle secret-id myapp --to local/myapp-login\n  keyturn vault approle secret-id myapp --to-file secret-id\n  keyturn vault approle secret-id myapp --wrap 60s",
			Columns: []string{"accessor", "ttl_seconds"},
			Inputs:  []keyturn.Input{role, at},
		}, Do: secretID},
		{Action: keyturn.Action{
			Name: "approle secret-ids", Operation: "list-secret-ids", Short: "List the secret ids of a role, by their accessors", Reads: true, Columns: []string{"accessor"},
			Long:    "List the secret ids of a role. An accessor names one and does not open anything.",
			Example: "  keyturn vault approle secret-ids myapp",
			Inputs:  []keyturn.Input{role, at},
		}, Do: secretIDs},
		{Action: keyturn.Action{
			Name: "approle destroy-secret-id", Operation: "destroy-secret-id", Short: "Destroy a secret id",
			Long:    "Destroy a secret id: nobody logs in with it any more. Tokens that it got stay until they\nend. It asks on a terminal, and needs --yes elsewhere.",
			Example: "  keyturn vault approle destroy-secret-id myapp 84896a0c-1347-aa90-a4f6-aca8b7558780 --yes",
			Asks:    "Destroy the secret id {accessor} of the role {role}?",
			Inputs:  []keyturn.Input{role, accessor, at},
		}, Do: destroySecretID},
		{Action: keyturn.Action{
			Name: "approle delete", Operation: "delete-approle", Short: "Delete a role",
			Long:    "Delete a role with all of its secret ids. Tokens that it got stay until they end. It asks\non a terminal, and needs --yes elsewhere.",
			Example: "  keyturn vault approle delete myapp --yes",
			Asks:    "Delete the role {role} with all of its secret ids?",
			Inputs:  []keyturn.Input{role, at},
		}, Do: deleteRole},
	}
}

// roleOf is the role that an action names, with the path of AppRole's roles, where
// AppRole is.
func roleOf(ctx context.Context, s *server.Server, a platform.Act) (at, name string, err error) {
	name = strings.ToLower(a.Args.Text("role")) // the server keeps names of roles in small letters
	if !roleName.MatchString(name) {
		return "", "", keyturn.E(keyturn.Invalid, words.Quoted(name)+" cannot be the name of a role", "use letters, digits, - . and _, and begin and end with a letter or digit")
	}
	at, err = rolesAt(ctx, s, a)
	return at, name, err
}

// rolesAt is where the roles are.
func rolesAt(ctx context.Context, s *server.Server, a platform.Act) (string, error) {
	mount := words.Place(a.Args.Text("path"))
	if mount == "" {
		mount = "approle"
	}
	if err := words.Path("a login method", mount); err != nil {
		return "", err
	}
	hint := "keyturn vault auth enable approle"
	if mount != "approle" {
		hint += " --path " + keyturn.Quote(mount)
	}
	return "auth/" + mount + "/role", server.Logins.Exactly(ctx, s, mount, "approle", keyturn.E(keyturn.NotFound, "AppRole is not enabled at "+keyturn.Clean(mount), hint))
}

// roleName is what the server takes for one; of another one it says that there is no
// such path (https://developer.hashicorp.com/vault/api-docs/auth/approle).
var roleName = regexp.MustCompile(`^\w([\w.-]*\w)?$`)

// roleData is what the server says of a role.
type roleData struct {
	Policies      []string `json:"token_policies"`
	TTL           int      `json:"token_ttl"`
	MaxTTL        int      `json:"token_max_ttl"`
	CIDRs         []string `json:"token_bound_cidrs"`
	SecretIDTTL   int      `json:"secret_id_ttl"`
	SecretIDUses  int      `json:"secret_id_num_uses"`
	SecretIDCIDRs []string `json:"secret_id_bound_cidrs"`
}

// role reads a role; NotFound, with the nearest, where there is none.
func look(ctx context.Context, s *server.Server, at, name string) (roleData, error) {
	var r roleData
	err := s.Call(ctx, http.MethodGet, at+"/"+name, nil, &r)
	if !errors.Is(err, keyturn.NotFound) {
		return r, err
	}
	have, _ := s.Names(ctx, at)
	return r, server.None("role", name, have)
}

func createRole(ctx context.Context, s *server.Server, a platform.Act) (platform.Acted, error) {
	return set(ctx, s, a, true)
}

func updateRole(ctx context.Context, s *server.Server, a platform.Act) (platform.Acted, error) {
	return set(ctx, s, a, false)
}

// setRole writes a role. Whether it is there is looked up before: the server cannot
// be told to write only then.
func set(ctx context.Context, s *server.Server, a platform.Act, anew bool) (platform.Acted, error) {
	at, name, err := roleOf(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	body := map[string]any{}
	for _, in := range roleSettings {
		switch {
		case !a.Args.Has(in.Name):
		case in.Kind == keyturn.InputList:
			if err := networks(in.Input, a.Args[in.Name]); err != nil {
				return platform.Acted{}, err
			}
			body[in.member] = a.Args[in.Name]
		case in.Kind == keyturn.InputDuration:
			body[in.member] = a.Args.Seconds(in.Name)
		default:
			body[in.member] = a.Args.Number(in.Name)
		}
	}
	_, err = look(ctx, s, at, name)
	switch {
	case err == nil && anew:
		return platform.Acted{}, keyturn.E(keyturn.Conflict, "there is a role "+words.Quoted(name)+" already", "keyturn vault approle update "+keyturn.Quote(name)+" changes it")
	case errors.Is(err, keyturn.NotFound) && anew:
	case err != nil:
		return platform.Acted{}, err
	case len(body) == 0 && !anew:
		return platform.Acted{}, keyturn.E(keyturn.Invalid, "it is not said what to change", "see 'keyturn vault approle update --help'")
	}
	if err := s.Call(ctx, http.MethodPost, at+"/"+name, body, nil); err != nil {
		if errors.Is(err, keyturn.Invalid) {
			return platform.Acted{}, keyturn.E(keyturn.Invalid, "the server does not take these settings", "the default time of a token must not be longer than the longest; networks are written 10.0.0.0/8").Because(err)
		}
		return platform.Acted{}, err
	}
	out := platform.Acted{Told: keyturn.Told{Says: "changed the role " + name}}
	if anew {
		out.Says = "created the role " + name
		if !a.Args.Has("policies") {
			out.Notices = append(out.Notices, "it has no policies: its tokens may do what the policy default says")
		}
	}
	have, err := s.Names(ctx, server.Policies)
	for _, p := range a.Args["policies"] {
		if err == nil && !contains(have, p) {
			out.Notices = append(out.Notices, "there is no policy "+words.Quoted(p)+" yet: it grants nothing until there is")
		}
	}
	return out, nil
}

// networks refuses what is no network, where an input takes some: the server would
// take it, and match no address with it.
func networks(in keyturn.Input, list []string) error {
	for _, n := range list {
		_, one := netip.ParseAddr(n)
		if _, err := netip.ParsePrefix(n); err != nil && one != nil && strings.HasSuffix(in.Name, "-cidrs") {
			return keyturn.E(keyturn.Invalid, "--"+in.Name+" takes networks, and "+words.Quoted(n)+" is none", "write 10.0.0.0/8, or one address")
		}
	}
	return nil
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if strings.EqualFold(x, s) {
			return true
		}
	}
	return false
}

func listRoles(ctx context.Context, s *server.Server, a platform.Act) (platform.Acted, error) {
	at, err := rolesAt(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	names, err := s.Names(ctx, at)
	var out platform.Acted
	for _, n := range names {
		out.Items = append(out.Items, map[string]any{"role": n})
	}
	return out, err
}

func readRole(ctx context.Context, s *server.Server, a platform.Act) (platform.Acted, error) {
	at, name, err := roleOf(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	r, err := look(ctx, s, at, name)
	if err != nil {
		return platform.Acted{}, err
	}
	return platform.Acted{Told: keyturn.Told{Single: true, Items: []map[string]any{{"role": name, "policies": r.Policies, "token_ttl_seconds": r.TTL,
		"token_max_ttl_seconds": r.MaxTTL, "token_cidrs": r.CIDRs, "secret_id_ttl_seconds": r.SecretIDTTL, "secret_id_uses": r.SecretIDUses, "secret_id_cidrs": r.SecretIDCIDRs}}}}, nil
}

func roleID(ctx context.Context, s *server.Server, a platform.Act) (platform.Acted, error) {
	at, name, err := roleOf(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	id, err := idOf(ctx, s, at, name)
	if err != nil {
		return platform.Acted{}, err
	}
	return platform.Acted{Told: keyturn.Told{Single: true, Items: []map[string]any{{"role_id": id}}}}, nil
}

func idOf(ctx context.Context, s *server.Server, at, name string) (string, error) {
	if _, err := look(ctx, s, at, name); err != nil {
		return "", err
	}
	var answer struct {
		RoleID string `json:"role_id"`
	}
	err := s.Call(ctx, http.MethodGet, at+"/"+name+"/role-id", nil, &answer)
	return answer.RoleID, err
}

// secretID makes a secret id, which the server wraps: a wrapped one that was opened
// on its way cannot be opened here, and is told.
func secretID(ctx context.Context, s *server.Server, a platform.Act) (platform.Acted, error) {
	at, name, err := roleOf(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	role, err := idOf(ctx, s, at, name)
	if err != nil {
		return platform.Acted{}, err
	}
	within := a.Wrap
	if within == 0 {
		within = unwrapWithin
	}
	made, err := s.Send(ctx, http.MethodPost, at+"/"+name+"/secret-id", map[string]any{}, within)
	if err != nil {
		return platform.Acted{}, err
	}
	if made.Wrap == nil || made.Wrap.Token == "" {
		return platform.Acted{}, keyturn.E(keyturn.Unavailable, "the server made a secret id, but did not wrap it", "it was dropped; 'keyturn vault approle secret-ids' lists it")
	}
	out := platform.Acted{Told: keyturn.Told{Says: "made a secret id of the role " + name}}
	if a.Wrap > 0 {
		if made.Wrap.Within != "" {
			out.Single, out.Items, out.TakeBack = true, []map[string]any{{"accessor": made.Wrap.Within}}, takeBack(s, at, name, made.Wrap.Within)
		}
		out.Wrapped = &keyturn.Wrapped{Token: keyturn.NewValue([]byte(made.Wrap.Token)), Accessor: made.Wrap.Accessor, Seconds: int64(made.Wrap.TTL)}
		return out, nil
	}
	id, err := opened(ctx, s, made.Wrap)
	if err != nil {
		return platform.Acted{}, lost(ctx, s, at, name, made.Wrap, err)
	}
	out.Single, out.Items = true, []map[string]any{{"accessor": id.Accessor, "ttl_seconds": id.TTL}}
	out.Secret = map[string]keyturn.Value{"role_id": keyturn.NewValue([]byte(role)), "secret_id": keyturn.NewValue([]byte(id.SecretID))}
	out.Main = "secret_id"
	out.TakeBack = takeBack(s, at, name, id.Accessor)
	out.Undo = func(ctx context.Context) error { return destroy(ctx, s, at, name, id.Accessor) }
	return out, nil
}

// unwrapped is a secret id as the server hands it out.
type unwrapped struct {
	SecretID string `json:"secret_id"`
	Accessor string `json:"secret_id_accessor"`
	TTL      int    `json:"secret_id_ttl"` // seconds
}

// opened opens what the server wrapped. A server that does not answer is asked again.
// It is Conflict where somebody was there before.
func opened(ctx context.Context, s *server.Server, w *api.Wrap) (id unwrapped, err error) {
	for try := range unwrapTries {
		err = s.Call(ctx, http.MethodPost, "sys/wrapping/unwrap", map[string]string{"token": w.Token}, &id)
		switch {
		case err == nil:
			return id, nil
		case errors.Is(err, keyturn.Invalid) && try == 0:
			return id, keyturn.E(keyturn.Conflict, "somebody else has opened the secret id before it came here", "find out who could read the traffic").Because(err)
		case errors.Is(err, keyturn.Invalid): // it may have been this command, whose answer was lost
			return id, keyturn.E(keyturn.Unavailable, "the answer with the secret id was lost on its way", "repeat the command").Because(err)
		case !errors.Is(err, keyturn.Unavailable) && !errors.Is(err, keyturn.Sealed) || ctx.Err() != nil:
			return id, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(unwrapPause):
		}
	}
	return id, err
}

// How often a wrapped secret id is opened where the server does not answer, and how long
// is waited between.
const (
	unwrapTries = 3
	unwrapPause = 200 * time.Millisecond
)

// destroyWithin is for how long a secret id that could not be delivered is destroyed,
// also by who was interrupted.
const destroyWithin = 10 * time.Second

// lost destroys a secret id that could not be opened here, so that none is left that
// nobody has, and says what came of it.
func lost(ctx context.Context, s *server.Server, at, name string, w *api.Wrap, because error) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), destroyWithin)
	defer stop()
	e := *keyturn.AsError(because)
	e.Unknown = false
	if w.Within == "" { // of a server that does not tell it: it can no longer be opened
		if err := s.Call(ctx, http.MethodPost, "auth/token/revoke", map[string]string{"token": w.Token}, nil); err != nil {
			e.Unknown = true
			e.Message = "a secret id was made, and is left: " + e.Message + "; destroy it: 'keyturn vault approle secret-ids " + keyturn.Quote(name) + "' lists the accessors"
			return &e
		}
		e.Message = "a secret id was made, and cannot be opened any more: " + e.Message
		return &e
	}
	if err := destroy(ctx, s, at, name, w.Within); err != nil {
		e.Unknown = true
		e.Message = "a secret id was made, and is left: " + e.Message + "; destroy it: " + takeBack(s, at, name, w.Within).Command
		return &e
	}
	e.Message = "the secret id " + keyturn.Clean(w.Within) + " was made, and destroyed again: " + e.Message
	return &e
}

// takeBack is how a secret id is destroyed.
func takeBack(s *server.Server, at, name, accessor string) *keyturn.TakeBack {
	op := keyturn.PlatformAction{Mount: s.Mount, Action: "approle destroy-secret-id", Args: map[string][]string{"role": {name}, "accessor": {accessor}}}
	command := "keyturn vault approle destroy-secret-id " + keyturn.Quote(name) + " " + keyturn.Quote(accessor)
	if path := strings.TrimSuffix(strings.TrimPrefix(at, "auth/"), "/role"); path != "approle" {
		op.Args["path"] = []string{path}
		command += " --path " + keyturn.Quote(path)
	}
	if s.Mount != "vault" {
		command += " --mount " + keyturn.Quote(s.Mount)
	}
	return &keyturn.TakeBack{Op: op, Command: command + " --yes"}
}

func secretIDs(ctx context.Context, s *server.Server, a platform.Act) (platform.Acted, error) {
	at, name, err := roleOf(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	if _, err := look(ctx, s, at, name); err != nil {
		return platform.Acted{}, err
	}
	names, err := s.Names(ctx, at+"/"+name+"/secret-id")
	var out platform.Acted
	for _, n := range names {
		out.Items = append(out.Items, map[string]any{"accessor": n})
	}
	return out, err
}

func destroy(ctx context.Context, s *server.Server, at, name, accessor string) error {
	return s.Call(ctx, http.MethodPost, at+"/"+name+"/secret-id-accessor/destroy", map[string]string{"secret_id_accessor": accessor}, nil)
}

func destroySecretID(ctx context.Context, s *server.Server, a platform.Act) (platform.Acted, error) {
	at, name, err := roleOf(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	if _, err := look(ctx, s, at, name); err != nil {
		return platform.Acted{}, err
	}
	accessor := a.Args.Text("accessor")
	have, err := s.Names(ctx, at+"/"+name+"/secret-id")
	if err != nil {
		return platform.Acted{}, err
	}
	if !contains(have, accessor) {
		return platform.Acted{}, server.None("secret id", accessor, nil)
	}
	if err := destroy(ctx, s, at, name, accessor); err != nil {
		return platform.Acted{}, err
	}
	return platform.Acted{Told: keyturn.Told{Says: "destroyed the secret id " + keyturn.Clean(accessor)}}, nil
}

func deleteRole(ctx context.Context, s *server.Server, a platform.Act) (platform.Acted, error) {
	at, name, err := roleOf(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	if _, err := look(ctx, s, at, name); err != nil {
		return platform.Acted{}, err
	}
	if err := s.Call(ctx, http.MethodDelete, at+"/"+name, nil, nil); err != nil {
		return platform.Acted{}, err
	}
	return platform.Acted{Told: keyturn.Told{Says: "deleted the role " + name}}, nil
}
