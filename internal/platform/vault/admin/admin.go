// Package admin administers HashiCorp Vault and OpenBao: engines and login methods,
// policies, AppRole, the seal, and the database engine, each as an action of
// platform.Administrator. Facts are from https://developer.hashicorp.com/vault/api-docs.
//
//	admin.go     the list of actions, and what they share
//	engines.go   engines and login methods
//	tune.go      how engines, login methods and secrets are set
//	policies.go  policies; policy/ reads and lints their text
//	policyfor.go the least policy for a secret
//	grant.go     a principal gets it
//	approle.go   AppRole
//	seal/        the seal
//	database.go  the database engine
//	leases.go    leases, whoever took them
package admin

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/admin/seal"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// action is an action and what carries it out.
type action struct {
	keyturn.Action
	do func(ctx context.Context, s *server, a platform.Act) (platform.Acted, error)
}

// actions are all of them, in the order of the help.
func actions() []action {
	return slices.Concat(engineActions(), authActions(), tuneActions(), policyActions(), grantActions(), approleActions(), databaseActions(), leaseActions(), sealActions())
}

// sealActions are those about the seal.
func sealActions() []action {
	var out []action
	for _, x := range seal.Actions() {
		out = append(out, action{x.Action, func(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
			return x.Do(ctx, s.client, a)
		}})
	}
	return out
}

// List is what Vault can do beside keeping secrets.
func List() keyturn.Administration {
	list := keyturn.Administration{
		Platform: "vault",
		Short:    "Administer a Vault or OpenBao: engines, policies, AppRole, the seal, databases",
		Long: `Administer a HashiCorp Vault or OpenBao. Each of these is one operation: rules decide
about it as "administer" on MOUNT/WORDS, for instance vault/policy/write, and it is
recorded with all that it was given. Agents and services may do none of it but by a
rule.

The mount is 'vault' unless --mount names another one.`,
		Groups: []keyturn.ActionGroup{
			{Name: "auth", Short: "Login methods", Long: "Login methods: what is enabled, and where."},
			{Name: "kv", Short: "How versions of a secret are kept", Long: "How many versions of a secret are kept, for how long, and whether a put must say which\nversion it replaces."},
			{Name: "policy", Short: "Policies: who may do what in Vault", Long: "Policies say what a token may do. They are checked before they are written, and what\nwould change is shown."},
			{Name: "approle", Short: "AppRole: how services log in", Long: "A service logs in with a role id, which says who it is, and a secret id, which proves it.\nSecret ids are delivered unseen."},
			{Name: "database", Short: "The database engine: users made when they are needed", Long: "The database engine makes users of a PostgreSQL, MySQL or MariaDB when they are needed,\nand takes them away when their lease ends. A connection says where the database is, a role\nhow its users are made."},
			{Name: "database role", Short: "Roles of the database engine", Long: "A role says how its users are made, on which connection, and for how long."},
			{Name: "lease", Short: "Leases that the server holds", Long: "The server's own view of leases, whoever took them. What keyturn took is in 'keyturn lease'."},
		},
	}
	for _, a := range actions() {
		list.Actions = append(list.Actions, a.Action)
	}
	return list
}

// Perform implements platform.Administrator for a client of the mount of that name.
func Perform(ctx context.Context, c *api.Client, mount string, a platform.Act) (platform.Acted, error) {
	all := actions()
	i := slices.IndexFunc(all, func(x action) bool { return x.Name == a.Action })
	if i < 0 {
		return platform.Acted{}, keyturn.E(keyturn.Unsupported, "Vault has no '"+keyturn.Clean(a.Action)+"'", "")
	}
	return all[i].do(ctx, &server{client: c, mount: mount}, a)
}

// server is the server as one action sees it.
type server struct {
	client *api.Client
	mount  string
}

// call sends one request and reads the answer's data into out, which may be nil.
func (s *server) call(ctx context.Context, method, path string, body, out any) error {
	return s.client.Do(ctx, keyturn.Ref{}, method, path, "", body, out)
}

// send sends one request and returns the whole answer; wrapped where wrap is set.
func (s *server) send(ctx context.Context, method, path string, body any, wrap time.Duration) (api.Answer, error) {
	return s.client.Send(ctx, api.Request{Method: method, Path: path, Body: body, Wrap: wrap})
}

// lacks is the hint that names what a policy has to hold, as the client writes it.
func lacks(path, capabilities string) string {
	return api.Grant(path, capabilities)
}

// sudo completes a refusal of one of the few paths that need the capability sudo
// (https://developer.hashicorp.com/vault/docs/concepts/policies#root-protected-api-endpoints).
func sudo(err error, path, capabilities string) error {
	if !is(err, keyturn.Denied) {
		return err
	}
	e := *keyturn.AsError(err)
	e.Hint = lacks(path, capabilities+`, "sudo"`)
	return &e
}

// noHandler is what the server says where nothing is mounted.
const noHandler = "no handler for route"

// names lists what is below a path, sorted; none where nothing is.
// NotFound, said with noHandler, where nothing is mounted.
func (s *server) names(ctx context.Context, path string) ([]string, error) {
	var answer struct {
		Keys []string `json:"keys"`
	}
	err := s.call(ctx, "LIST", path, nil, &answer)
	if is(err, keyturn.NotFound) && !api.Says(err, noHandler) {
		return nil, nil
	}
	slices.Sort(answer.Keys)
	return answer.Keys, err
}

func is(err error, code keyturn.Code) bool { return errors.Is(err, code) }

// there is a NotFound of something that Vault has no such one of, with the nearest
// of those it has.
func (s *server) none(what, name string, have []string) error {
	e := keyturn.E(keyturn.NotFound, "no "+what+" "+quoted(name), "")
	if near := keyturn.Nearest(name, slices.Values(have)); near != "" {
		e.Hint = "did you mean " + quoted(near) + "?"
	} else if e.Hint = "there is none yet"; len(have) > 0 {
		e.Hint = "there are " + some(have)
	}
	return e
}

// some are names in a sentence; many are cut.
func some(names []string) string {
	const most = 10
	var out []string
	for i, n := range names {
		if i == most {
			return strings.Join(out, ", ") + " …"
		}
		out = append(out, keyturn.Clean(n))
	}
	return strings.Join(out, ", ")
}

func quoted(s string) string { return "'" + keyturn.Clean(s) + "'" }

// place is a path of an engine or login method: no slash at either end.
func place(s string) string { return strings.Trim(s, "/") }

// segment refuses a name that is not one segment of a path.
func segment(what, s string) error {
	if s == "." || s == ".." || strings.ContainsAny(s, "/?#%") || keyturn.Clean(s) != s || strings.TrimSpace(s) != s {
		return keyturn.E(keyturn.Invalid, quoted(s)+" cannot be the name of a "+what, "use letters, digits, - and _")
	}
	return nil
}

// path refuses what is not a plain path.
func path(what, s string) error {
	for seg := range strings.SplitSeq(place(s), "/") {
		if seg == "" {
			return keyturn.E(keyturn.Invalid, quoted(s)+" cannot be the path of "+what, "write it as ONE/TWO")
		}
		if err := segment("path", seg); err != nil {
			return err
		}
	}
	return nil
}

// set adds to body what was given.
func set(body map[string]any, a platform.Act, members map[string]string) {
	for input, member := range members {
		if a.Args.Has(input) {
			body[member] = a.Args.Text(input)
		}
	}
}

// Inputs that several actions take.
var (
	ttlInput    = keyturn.Input{Name: "ttl", Kind: keyturn.InputDuration, Short: "how long what it issues lives where nobody says it"}
	maxTTLInput = keyturn.Input{Name: "max-ttl", Kind: keyturn.InputDuration, Short: "how long it may live at most"}
)
