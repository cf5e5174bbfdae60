package admin

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// unwrapWithin is how long a wrapped secret id can be opened here.
const unwrapWithin = 60 * time.Second

// appRoleSettings are the inputs of a role, each with the member that it sets.
var appRoleSettings = []struct {
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

var appRoleColumns = []string{"role", "policies", "token_ttl_seconds", "token_max_ttl_seconds", "token_cidrs", "secret_id_ttl_seconds", "secret_id_uses", "secret_id_cidrs"}

// appRoleActions are the actions on AppRole, in the order of the help.
func appRoleActions() []action {
	role := keyturn.Input{Name: "role", Kind: keyturn.InputText, Short: "the role", Place: true, Required: true}
	at := keyturn.Input{Name: "path", Kind: keyturn.InputText, Short: "where AppRole is enabled; without it: approle"}
	settings := []keyturn.Input{role, at}
	for _, s := range appRoleSettings {
		settings = append(settings, s.Input)
	}
	accessor := keyturn.Input{Name: "accessor", Kind: keyturn.InputText, Short: "of the secret id, as 'approle secret-ids' lists them", Place: true, Required: true}
	return []action{
		{Action: keyturn.Action{
			Name: "approle create", Operation: "create-approle", Short: "Create a role for a service",
			Long: `Create a role that a service logs in as, with a role id and a secret id. Its tokens get
the policies that you name. It fails with conflict where there is such a role already.`,
			Example: "  keyturn vault approle create myapp --policies myapp-reader --token-ttl 1h --secret-id-ttl 30d",
			Inputs:  settings,
		}, Do: createAppRole},
		{Action: keyturn.Action{
			Name: "approle update", Operation: "update-approle", Short: "Change a role",
			Long:    "Change what you name of a role; all else stays as it is.",
			Example: "  keyturn vault approle update myapp --token-max-ttl 4h",
			Inputs:  settings,
		}, Do: updateAppRole},
		{Action: keyturn.Action{
			Name: "approle list", Operation: "list-approles", Short: "List the roles", Reads: true, Columns: []string{"role"},
			Long:    "List the names of the roles.",
			Example: "  keyturn vault approle list",
			Inputs:  []keyturn.Input{at},
		}, Do: listAppRoles},
		{Action: keyturn.Action{
			Name: "approle read", Operation: "read-approle", Short: "Show a role", Reads: true, Columns: appRoleColumns,
			Long:    "Show what a role is set to.",
			Example: "  keyturn vault approle read myapp",
			Inputs:  []keyturn.Input{role, at},
		}, Do: readAppRole},
		{Action: keyturn.Action{
			Name: "approle role-id", Operation: "get-role-id", Short: "Show the role id of a role", Reads: true, Columns: []string{"role_id"},
			Long:    "Show the role id of a role. It says who logs in, as a user's name does; the proof is the\nsecret id.",
			Example: "  keyturn vault approle role-id myapp",
			Inputs:  []keyturn.Input{role, at},
		}, Do: readRoleID},
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
		}, Do: makeSecretID},
		{Action: keyturn.Action{
			Name: "approle secret-ids", Operation: "list-secret-ids", Short: "List the secret ids of a role, by their accessors", Reads: true, Columns: []string{"accessor"},
			Long:    "List the secret ids of a role. An accessor names one and does not open anything.",
			Example: "  keyturn vault approle secret-ids myapp",
			Inputs:  []keyturn.Input{role, at},
		}, Do: listSecretIDs},
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
		}, Do: deleteAppRole},
	}
}

// appRoleOf returns the role that an action names, and the path of all roles. It fails
// where AppRole is not enabled there.
func appRoleOf(ctx context.Context, s *server, a platform.Act) (at, name string, err error) {
	name = strings.ToLower(a.Args.Text("role")) // the server keeps names of roles in small letters
	if !appRoleName().MatchString(name) {
		return "", "", keyturn.E(keyturn.Invalid, quoted(name)+" cannot be the name of a role", "use letters, digits, - . and _, and begin and end with a letter or digit")
	}
	at, err = appRolesAt(ctx, s, a)
	return at, name, err
}

// appRolesAt returns the path of the roles.
func appRolesAt(ctx context.Context, s *server, a platform.Act) (string, error) {
	mount := trimSlashes(a.Args.Text("path"))
	if mount == "" {
		mount = "approle"
	}
	if err := checkPath("a login method", mount); err != nil {
		return "", err
	}
	hint := "keyturn vault auth enable approle"
	if mount != "approle" {
		hint += " --path " + keyturn.Quote(mount)
	}
	return "auth/" + mount + "/role", loginMounts.requireType(ctx, s, mount, "approle", keyturn.E(keyturn.NotFound, "AppRole is not enabled at "+keyturn.Clean(mount), hint))
}

// appRoleName matches the names that the server takes for a role. For other names the
// server says that there is no such path (https://developer.hashicorp.com/vault/api-docs/auth/approle).
var appRoleName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\w([\w.-]*\w)?$`) })

// appRole is a role as the server returns it.
type appRole struct {
	Policies      []string `json:"token_policies"`
	TTL           int      `json:"token_ttl"`
	MaxTTL        int      `json:"token_max_ttl"`
	CIDRs         []string `json:"token_bound_cidrs"`
	SecretIDTTL   int      `json:"secret_id_ttl"`
	SecretIDUses  int      `json:"secret_id_num_uses"`
	SecretIDCIDRs []string `json:"secret_id_bound_cidrs"`
}

// lookUpAppRole reads a role. It returns NotFound, with the nearest name, where there is none.
func lookUpAppRole(ctx context.Context, s *server, at, name string) (appRole, error) {
	var r appRole
	err := s.call(ctx, http.MethodGet, at+"/"+name, nil, &r)
	if !errors.Is(err, keyturn.NotFound) {
		return r, err
	}
	have, _ := s.names(ctx, at)
	return r, notFound("role", name, have)
}

func createAppRole(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	return setAppRole(ctx, s, a, true)
}

func updateAppRole(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	return setAppRole(ctx, s, a, false)
}

// setAppRole creates or updates a role. It looks first whether the role exists: the
// server cannot be told to write only then.
func setAppRole(ctx context.Context, s *server, a platform.Act, anew bool) (platform.Acted, error) {
	at, name, err := appRoleOf(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	body := map[string]any{}
	for _, in := range appRoleSettings {
		switch {
		case !a.Args.Has(in.Name):
		case in.Kind == keyturn.InputList:
			if err := checkNetworks(in.Input, a.Args[in.Name]); err != nil {
				return platform.Acted{}, err
			}
			body[in.member] = a.Args[in.Name]
		case in.Kind == keyturn.InputDuration:
			body[in.member] = a.Args.Seconds(in.Name)
		default:
			body[in.member] = a.Args.Number(in.Name)
		}
	}
	_, err = lookUpAppRole(ctx, s, at, name)
	switch {
	case err == nil && anew:
		return platform.Acted{}, keyturn.E(keyturn.Conflict, "there is a role "+quoted(name)+" already", "keyturn vault approle update "+keyturn.Quote(name)+" changes it")
	case errors.Is(err, keyturn.NotFound) && anew:
	case err != nil:
		return platform.Acted{}, err
	case len(body) == 0 && !anew:
		return platform.Acted{}, keyturn.E(keyturn.Invalid, "it is not said what to change", "see 'keyturn vault approle update --help'")
	}
	if err := s.call(ctx, http.MethodPost, at+"/"+name, body, nil); err != nil {
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
	have, err := s.names(ctx, policyPath)
	for _, p := range a.Args["policies"] {
		if err == nil && !containsFold(have, p) {
			out.Notices = append(out.Notices, "there is no policy "+quoted(p)+" yet: it grants nothing until there is")
		}
	}
	return out, nil
}

// checkNetworks refuses, as Invalid, a text that is no network in an input that takes
// networks. The server would accept the text, and match no address with it.
func checkNetworks(in keyturn.Input, list []string) error {
	for _, n := range list {
		_, one := netip.ParseAddr(n)
		if _, err := netip.ParsePrefix(n); err != nil && one != nil && strings.HasSuffix(in.Name, "-cidrs") {
			return keyturn.E(keyturn.Invalid, "--"+in.Name+" takes networks, and "+quoted(n)+" is none", "write 10.0.0.0/8, or one address")
		}
	}
	return nil
}

func containsFold(list []string, s string) bool {
	for _, x := range list {
		if strings.EqualFold(x, s) {
			return true
		}
	}
	return false
}

func listAppRoles(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	at, err := appRolesAt(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	names, err := s.names(ctx, at)
	var out platform.Acted
	for _, n := range names {
		out.Items = append(out.Items, map[string]any{"role": n})
	}
	return out, err
}

func readAppRole(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	at, name, err := appRoleOf(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	r, err := lookUpAppRole(ctx, s, at, name)
	if err != nil {
		return platform.Acted{}, err
	}
	return platform.Acted{Told: keyturn.Told{Single: true, Items: []map[string]any{{"role": name, "policies": r.Policies, "token_ttl_seconds": r.TTL,
		"token_max_ttl_seconds": r.MaxTTL, "token_cidrs": r.CIDRs, "secret_id_ttl_seconds": r.SecretIDTTL, "secret_id_uses": r.SecretIDUses, "secret_id_cidrs": r.SecretIDCIDRs}}}}, nil
}

func readRoleID(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	at, name, err := appRoleOf(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	id, err := roleIDOf(ctx, s, at, name)
	if err != nil {
		return platform.Acted{}, err
	}
	return platform.Acted{Told: keyturn.Told{Single: true, Items: []map[string]any{{"role_id": id}}}}, nil
}

func roleIDOf(ctx context.Context, s *server, at, name string) (string, error) {
	if _, err := lookUpAppRole(ctx, s, at, name); err != nil {
		return "", err
	}
	var answer struct {
		RoleID string `json:"role_id"`
	}
	err := s.call(ctx, http.MethodGet, at+"/"+name+"/role-id", nil, &answer)
	return answer.RoleID, err
}

// makeSecretID makes a secret id, which the server wraps. If somebody opened it on its
// way, it cannot be opened here, and the error says so.
func makeSecretID(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	at, name, err := appRoleOf(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	role, err := roleIDOf(ctx, s, at, name)
	if err != nil {
		return platform.Acted{}, err
	}
	within := a.Wrap
	if within == 0 {
		within = unwrapWithin
	}
	made, err := s.send(ctx, http.MethodPost, at+"/"+name+"/secret-id", map[string]any{}, within)
	if err != nil {
		return platform.Acted{}, err
	}
	if made.Wrap == nil || made.Wrap.Token == "" {
		return platform.Acted{}, keyturn.E(keyturn.Unavailable, "the server made a secret id, but did not wrap it", "it was dropped; 'keyturn vault approle secret-ids' lists it")
	}
	out := platform.Acted{Told: keyturn.Told{Says: "made a secret id of the role " + name}}
	if a.Wrap > 0 {
		if made.Wrap.Within != "" {
			out.Single, out.Items, out.TakeBack = true, []map[string]any{{"accessor": made.Wrap.Within}}, takeBackSecretID(s, at, name, made.Wrap.Within)
		}
		out.Wrapped = &keyturn.Wrapped{Token: keyturn.NewValue([]byte(made.Wrap.Token)), Accessor: made.Wrap.Accessor, Seconds: int64(made.Wrap.TTL)}
		return out, nil
	}
	id, err := unwrapSecretID(ctx, s, made.Wrap)
	if err != nil {
		return platform.Acted{}, destroyUndelivered(ctx, s, at, name, made.Wrap, err)
	}
	out.Single, out.Items = true, []map[string]any{{"accessor": id.Accessor, "ttl_seconds": id.TTL}}
	out.Secret = map[string]keyturn.Value{"role_id": keyturn.NewValue([]byte(role)), "secret_id": keyturn.NewValue([]byte(id.SecretID))}
	out.Main = "secret_id"
	out.TakeBack = takeBackSecretID(s, at, name, id.Accessor)
	out.Undo = func(ctx context.Context) error { return destroyByAccessor(ctx, s, at, name, id.Accessor) }
	return out, nil
}

// unwrappedSecretID is a secret id as the server returns it.
type unwrappedSecretID struct {
	SecretID string `json:"secret_id"`
	Accessor string `json:"secret_id_accessor"`
	TTL      int    `json:"secret_id_ttl"` // seconds
}

// unwrapSecretID opens a wrapped secret id. It retries where the server does not answer,
// and returns Conflict where somebody has opened the secret id before.
func unwrapSecretID(ctx context.Context, s *server, w *api.Wrap) (id unwrappedSecretID, err error) {
	for try := range unwrapTries {
		err = s.call(ctx, http.MethodPost, "sys/wrapping/unwrap", map[string]string{"token": w.Token}, &id)
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

// How often unwrapping is tried where the server does not answer, and the pause between.
const (
	unwrapTries = 3
	unwrapPause = 200 * time.Millisecond
)

// destroyWithin is how long destroying an undelivered secret id may take, also after an
// interrupt.
const destroyWithin = 10 * time.Second

// destroyUndelivered destroys a secret id that could not be opened here, so that no
// unowned one is left. It returns because, and says whether the secret id is gone.
func destroyUndelivered(ctx context.Context, s *server, at, name string, w *api.Wrap, because error) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), destroyWithin)
	defer stop()
	e := *keyturn.AsError(because)
	e.Unknown = false
	if w.Within == "" { // of a server that does not tell it: it can no longer be opened
		if err := s.call(ctx, http.MethodPost, "auth/token/revoke", map[string]string{"token": w.Token}, nil); err != nil {
			e.Unknown = true
			e.Message = "a secret id was made, and is left: " + e.Message + "; destroy it: 'keyturn vault approle secret-ids " + keyturn.Quote(name) + "' lists the accessors"
			return &e
		}
		e.Message = "a secret id was made, and cannot be opened any more: " + e.Message
		return &e
	}
	if err := destroyByAccessor(ctx, s, at, name, w.Within); err != nil {
		e.Unknown = true
		e.Message = "a secret id was made, and is left: " + e.Message + "; destroy it: " + takeBackSecretID(s, at, name, w.Within).Command
		return &e
	}
	e.Message = "the secret id " + keyturn.Clean(w.Within) + " was made, and destroyed again: " + e.Message
	return &e
}

// takeBackSecretID returns the operation and command that destroy a secret id.
func takeBackSecretID(s *server, at, name, accessor string) *keyturn.TakeBack {
	op := keyturn.PlatformAction{Mount: s.mount, Action: "approle destroy-secret-id", Args: map[string][]string{"role": {name}, "accessor": {accessor}}}
	command := "keyturn vault approle destroy-secret-id " + keyturn.Quote(name) + " " + keyturn.Quote(accessor)
	if path := strings.TrimSuffix(strings.TrimPrefix(at, "auth/"), "/role"); path != "approle" {
		op.Args["path"] = []string{path}
		command += " --path " + keyturn.Quote(path)
	}
	if s.mount != "vault" {
		command += " --mount " + keyturn.Quote(s.mount)
	}
	return &keyturn.TakeBack{Op: op, Command: command + " --yes"}
}

func listSecretIDs(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	at, name, err := appRoleOf(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	if _, err := lookUpAppRole(ctx, s, at, name); err != nil {
		return platform.Acted{}, err
	}
	names, err := s.names(ctx, at+"/"+name+"/secret-id")
	var out platform.Acted
	for _, n := range names {
		out.Items = append(out.Items, map[string]any{"accessor": n})
	}
	return out, err
}

func destroyByAccessor(ctx context.Context, s *server, at, name, accessor string) error {
	return s.call(ctx, http.MethodPost, at+"/"+name+"/secret-id-accessor/destroy", map[string]string{"secret_id_accessor": accessor}, nil)
}

func destroySecretID(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	at, name, err := appRoleOf(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	if _, err := lookUpAppRole(ctx, s, at, name); err != nil {
		return platform.Acted{}, err
	}
	accessor := a.Args.Text("accessor")
	have, err := s.names(ctx, at+"/"+name+"/secret-id")
	if err != nil {
		return platform.Acted{}, err
	}
	if !containsFold(have, accessor) {
		return platform.Acted{}, notFound("secret id", accessor, nil)
	}
	if err := destroyByAccessor(ctx, s, at, name, accessor); err != nil {
		return platform.Acted{}, err
	}
	return platform.Acted{Told: keyturn.Told{Says: "destroyed the secret id " + keyturn.Clean(accessor)}}, nil
}

func deleteAppRole(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	at, name, err := appRoleOf(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	if _, err := lookUpAppRole(ctx, s, at, name); err != nil {
		return platform.Acted{}, err
	}
	if err := s.call(ctx, http.MethodDelete, at+"/"+name, nil, nil); err != nil {
		return platform.Acted{}, err
	}
	return platform.Acted{Told: keyturn.Told{Says: "deleted the role " + name}}, nil
}
