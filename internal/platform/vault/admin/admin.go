// Package admin administers HashiCorp Vault and OpenBao. Each task is an action of
// platform.Administrator. Facts are from https://developer.hashicorp.com/vault/api-docs.
//
//	admin.go        the list of actions
//	engines.go      engines and login methods
//	tune.go         settings of engines, login methods and secrets
//	policies.go     policies; package policy reads, judges and writes their text
//	leastpolicy.go  the least policy for a secret
//	grants.go       a policy for a principal
//	approle.go      AppRole
//	database.go     the database engine
//	leases.go       leases, whoever took them
//	seal.go         the seal
//	server.go       requests, and what the token may do; names.go checks names and paths
package admin

import (
	"context"
	"slices"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// actions lists all actions, in the order of the help.
func actions() []action {
	return slices.Concat(engineActions(), authActions(), tuneActions(), policyActions(), grantActions(), appRoleActions(), databaseActions(), leaseActions(), sealActions())
}

// List lists the actions of Vault.
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
	return all[i].Do(ctx, &server{client: c, mount: mount}, a)
}
