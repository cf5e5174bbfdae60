package admin

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// databasePlugins maps short names to the plugins that come with the server.
var databasePlugins = map[string]string{"postgresql": "postgresql-database-plugin", "mysql": "mysql-database-plugin", "mariadb": "mysql-database-plugin"}

// databaseActions are the actions on the database engine, in the order of the help.
func databaseActions() []action {
	name := keyturn.Input{Name: "name", Kind: keyturn.InputText, Short: "the connection", Place: true, Required: true}
	role := keyturn.Input{Name: "role", Kind: keyturn.InputText, Short: "the role", Place: true, Required: true}
	at := keyturn.Input{Name: "path", Kind: keyturn.InputText, Short: "where the engine is; without it: database"}
	return []action{
		{Action: keyturn.Action{
			Name: "database connect", Operation: "connect-database", Short: "Connect the engine to a database server",
			Long: `Connect the database engine to a PostgreSQL, MySQL or MariaDB, so that it can make users
there. The address holds {{username}} and {{password}}, never a password: that one is
asked for without echo, or taken from the secret that --password names.

The server connects at once, and the connection is not kept where that fails. Then
rotate the password: 'keyturn vault database rotate-root'. A connection of that name is
replaced; without --allow the roles that may use it stay.`,
			Example: "  keyturn vault database connect shop --plugin postgresql --url 'postgresql://{{username}}:{{password}}@db.example.com:5432/shop' --username admin --password local/db#password",
			Inputs: []keyturn.Input{name,
				{Name: "plugin", Kind: keyturn.InputText, Short: "postgresql, mysql, mariadb, or the name of another plugin", Required: true},
				{Name: "url", Kind: keyturn.InputAddress, Short: "its address, with {{username}} and {{password}}", Required: true},
				{Name: "username", Kind: keyturn.InputText, Short: "of who may make users there", Required: true},
				{Name: "password", Kind: keyturn.InputSecret, Short: "of that user"},
				{Name: "allow", Kind: keyturn.InputList, Short: "roles that may use it; roles that are written later are added"},
				at},
		}, Do: connectDatabase},
		{Action: keyturn.Action{
			Name: "database list", Operation: "list-databases", Short: "List the connections", Reads: true, Columns: []string{"name"},
			Long:    "List the connections of the database engine.",
			Example: "  keyturn vault database list", Inputs: []keyturn.Input{at},
		}, Do: listDatabases},
		{Action: keyturn.Action{
			Name: "database read", Operation: "read-database", Short: "Show a connection", Reads: true, Columns: []string{"name", "plugin", "url", "username", "roles"},
			Long:    "Show a connection: where it leads, as whom, and for which roles. The password is known to\nthe server alone.",
			Example: "  keyturn vault database read shop", Inputs: []keyturn.Input{name, at},
		}, Do: readDatabase},
		{Action: keyturn.Action{
			Name: "database rotate-root", Operation: "rotate-database-root", Short: "Replace the password of a connection by one that only Vault knows",
			Long: `Replace the password that a connection uses by a new one that only Vault knows. Nobody can
log in as that user any more: keep another administrator for people. It asks on a
terminal, and needs --yes elsewhere.`,
			Example: "  keyturn vault database rotate-root shop --yes",
			Asks:    "Replace the password of the connection {name} by one that only Vault knows?",
			Inputs:  []keyturn.Input{name, at},
		}, Do: rotateDatabaseRoot},
		{Action: keyturn.Action{
			Name: "database delete", Operation: "delete-database", Short: "Delete a connection",
			Long:    "Delete a connection. Users that were made by it can then no longer be revoked by Vault:\nrevoke them first. It asks on a terminal, and needs --yes elsewhere.",
			Example: "  keyturn vault database delete shop --yes",
			Asks:    "Delete the connection {name}? Users that it made can then no longer be revoked",
			Inputs:  []keyturn.Input{name, at},
		}, Do: deleteDatabase},
		{Action: keyturn.Action{
			Name: "database role write", Operation: "write-database-role", Short: "Say how users of a role are made",
			Long: `Say how the users of a role are made, and for how long. Statements are SQL with {{name}},
{{password}} and {{expiration}}, and ; between them. The role is added to those that may
use the connection.

'keyturn lease create vault/database/creds/ROLE' then makes a user.`,
			Example: `  keyturn vault database role write myapp --db shop --ttl 1h --max-ttl 24h --creation "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';"`,
			Inputs: []keyturn.Input{role,
				{Name: "db", Kind: keyturn.InputText, Short: "the connection", Required: true},
				{Name: "creation", Kind: keyturn.InputStatements, Short: "statements that make a user", Required: true},
				{Name: "revocation", Kind: keyturn.InputStatements, Short: "statements that take it away; without them, the plugin's own"},
				{Name: "renew", Kind: keyturn.InputStatements, Short: "statements that let it live longer; without them, the plugin's own"},
				{Name: "rollback", Kind: keyturn.InputStatements, Short: "statements that clean up where making it failed"},
				ttlInput, maxTTLInput, at},
		}, Do: writeDatabaseRole},
		{Action: keyturn.Action{
			Name: "database role list", Operation: "list-database-roles", Short: "List the roles", Reads: true, Columns: []string{"role"},
			Long:    "List the roles of the database engine.",
			Example: "  keyturn vault database role list", Inputs: []keyturn.Input{at},
		}, Do: listDatabaseRoles},
		{Action: keyturn.Action{
			Name: "database role read", Operation: "read-database-role", Short: "Show a role", Reads: true,
			Columns: []string{"role", "db", "creation", "revocation", "renew", "rollback", "ttl_seconds", "max_ttl_seconds"},
			Long:    "Show a role: how its users are made, and for how long they live.",
			Example: "  keyturn vault database role read myapp", Inputs: []keyturn.Input{role, at},
		}, Do: readDatabaseRole},
		{Action: keyturn.Action{
			Name: "database role delete", Operation: "delete-database-role", Short: "Delete a role",
			Long:    "Delete a role. Users that it made stay until their leases end. It asks on a terminal, and\nneeds --yes elsewhere.",
			Example: "  keyturn vault database role delete myapp --yes",
			Asks:    "Delete the role {role}?",
			Inputs:  []keyturn.Input{role, at},
		}, Do: deleteDatabaseRole},
	}
}

// databaseEngine returns the path that an action names, where a database engine is there.
func databaseEngine(ctx context.Context, s *server, a platform.Act) (string, error) {
	at := trimSlashes(a.Args.Text("path"))
	if at == "" {
		at = "database"
	}
	if err := checkPath("an engine", at); err != nil {
		return "", err
	}
	hint := "keyturn vault enable database"
	if at != "database" {
		hint += " --path " + keyturn.Quote(at)
	}
	return at, engineMounts.requireType(ctx, s, at, "database", keyturn.E(keyturn.NotFound, "no database engine is enabled at "+keyturn.Clean(at), hint))
}

// connection is a connection as the server returns it.
type connection struct {
	Plugin  string   `json:"plugin_name"`
	Roles   []string `json:"allowed_roles"`
	Details struct {
		URL      string `json:"connection_url"`
		Username string `json:"username"`
	} `json:"connection_details"`
}

// readDatabaseEntry reads a connection (kind "config") or a role (kind "roles"). It
// returns NotFound, with the nearest name, where there is none.
func readDatabaseEntry(ctx context.Context, s *server, at, kind, name string, out any) error {
	what := map[string]string{"config": "connection", "roles": "role"}[kind]
	if err := checkSegment(what, name); err != nil {
		return err
	}
	err := s.call(ctx, http.MethodGet, at+"/"+kind+"/"+name, nil, out)
	if errors.Is(err, keyturn.NotFound) || errors.Is(err, keyturn.Invalid) { // a connection that is not there is a bad request
		have, listErr := s.names(ctx, at+"/"+kind)
		if listErr == nil && !slices.Contains(have, name) {
			return notFound(what, name, have)
		}
	}
	return err
}

func connectDatabase(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	at, err := databaseEngine(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	name, plugin := a.Args.Text("name"), a.Args.Text("plugin")
	if err := checkSegment("connection", name); err != nil {
		return platform.Acted{}, err
	}
	if full := databasePlugins[plugin]; full != "" {
		plugin = full
	}
	if url := a.Args.Text("url"); slices.Contains(slices.Collect(maps.Values(databasePlugins)), plugin) && (!strings.Contains(url, "{{username}}") || !strings.Contains(url, keyturn.Placeholder)) {
		return platform.Acted{}, keyturn.E(keyturn.Invalid, "the address has no place for the user and the password", "write {{username}} and {{password}}, as in postgresql://{{username}}:{{password}}@db.example.com:5432/shop")
	}
	user := a.Args.Text("username")
	password, err := a.Secret(ctx, "password", "Password of "+keyturn.Clean(user)+" at the database")
	if err != nil {
		return platform.Acted{}, err
	}
	body := map[string]any{"plugin_name": plugin, "connection_url": a.Args.Text("url"), "username": user,
		"password": string(password.Reveal()), "verify_connection": true}
	if a.Args.Has("allow") { // else the server keeps those of a connection that is there
		body["allowed_roles"] = a.Args["allow"]
	}
	says, lost, err := replacedConnection(ctx, s, at, name, a.Args["allow"])
	if err != nil {
		return platform.Acted{}, err
	}
	err = s.call(ctx, http.MethodPost, at+"/config/"+name, body, nil)
	switch {
	case api.Says(err, "plugin not found"):
		return platform.Acted{}, keyturn.E(keyturn.Invalid, "the server has no plugin "+quoted(plugin), "there are postgresql, mysql and mariadb; others have to be in its catalog").Because(err)
	case api.Says(err, "authentication failed") || api.Says(err, "Access denied"):
		return platform.Acted{}, keyturn.E(keyturn.Denied, "the database does not take this user and password; nothing was kept", "try them with the database's own client").Because(err)
	case api.Says(err, "error verifying connection") || api.Says(err, "error creating database object") || api.Says(err, "unable to open"):
		return platform.Acted{}, keyturn.E(keyturn.Unavailable, "Vault cannot connect to the database; nothing was kept", "is the address right as seen from the Vault server, and what is behind its ? (sslmode)").Because(err)
	case err != nil:
		return platform.Acted{}, err
	}
	return platform.Acted{Told: keyturn.Told{Says: "connected " + at + " to the database as " + name + says,
		Notices: append(lost, "who knows the password of "+keyturn.Clean(user)+" can still log in: 'keyturn vault database rotate-root "+keyturn.Quote(name)+"' ends that")}}, nil
}

// replacedConnection describes the connection that a new one replaces, as far as this
// token may read it. allow is nil where the roles stay.
func replacedConnection(ctx context.Context, s *server, at, name string, allowRole []string) (says string, lost []string, err error) {
	var c connection
	err = s.call(ctx, http.MethodGet, at+"/config/"+name, nil, &c)
	if errors.Is(err, keyturn.NotFound) || errors.Is(err, keyturn.Invalid) || errors.Is(err, keyturn.Denied) {
		return "", nil, nil // one that is not there is a bad request; to write is not to read
	}
	if err != nil {
		return "", nil, err
	}
	says = ", in the place of the connection that was there"
	if len(allowRole) == 0 {
		if len(c.Roles) > 0 {
			says += "; for its roles: " + joinSome(c.Roles)
		}
		return says, nil, nil
	}
	gone := slices.DeleteFunc(slices.Clone(c.Roles), func(r string) bool { return slices.Contains(allowRole, r) })
	if len(gone) > 0 && !slices.Contains(allowRole, "*") {
		lost = []string{"roles that may use it no more: " + joinSome(gone)}
	}
	return says, lost, nil
}

func listDatabases(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	return listDatabaseEntries(ctx, s, a, "config", "name")
}

func listDatabaseRoles(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	return listDatabaseEntries(ctx, s, a, "roles", "role")
}

func listDatabaseEntries(ctx context.Context, s *server, a platform.Act, kind, column string) (platform.Acted, error) {
	at, err := databaseEngine(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	names, err := s.names(ctx, at+"/"+kind)
	var out platform.Acted
	for _, n := range names {
		out.Items = append(out.Items, map[string]any{column: n})
	}
	return out, err
}

func readDatabase(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	at, err := databaseEngine(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	var c connection
	if err := readDatabaseEntry(ctx, s, at, "config", a.Args.Text("name"), &c); err != nil {
		return platform.Acted{}, err
	}
	item := map[string]any{"name": a.Args.Text("name"), "plugin": c.Plugin, "username": c.Details.Username, "roles": c.Roles}
	var notices []string
	if keyturn.PlainAddress(c.Details.URL) {
		item["url"] = c.Details.URL
	} else { // somebody else wrote it
		notices = []string{"the address may hold a password, and is not shown"}
	}
	return platform.Acted{Told: keyturn.Told{Single: true, Items: []map[string]any{item}, Notices: notices}}, nil
}

func rotateDatabaseRoot(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	at, err := databaseEngine(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	name := a.Args.Text("name")
	var c connection
	if err := readDatabaseEntry(ctx, s, at, "config", name, &c); err != nil {
		return platform.Acted{}, err
	}
	if err := s.call(ctx, http.MethodPost, at+"/rotate-root/"+name, map[string]any{}, nil); err != nil {
		if e := keyturn.AsError(err); e.Unknown {
			told := *e
			told.Message = "whether the password was replaced is not known: " + e.Message
			return platform.Acted{}, &told
		}
		return platform.Acted{}, err
	}
	return platform.Acted{Told: keyturn.Told{Says: "replaced the password of " + keyturn.Clean(c.Details.Username) + ", which only Vault knows now",
		Notices: []string{"a secret that holds the old password holds one that works no more"}}}, nil
}

func deleteDatabase(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	return deleteDatabaseEntry(ctx, s, a, "config", a.Args.Text("name"), "connection")
}

func deleteDatabaseRole(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	return deleteDatabaseEntry(ctx, s, a, "roles", a.Args.Text("role"), "role")
}

func deleteDatabaseEntry(ctx context.Context, s *server, a platform.Act, kind, name, what string) (platform.Acted, error) {
	at, err := databaseEngine(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	if err := readDatabaseEntry(ctx, s, at, kind, name, nil); err != nil {
		return platform.Acted{}, err
	}
	if err := s.call(ctx, http.MethodDelete, at+"/"+kind+"/"+name, nil, nil); err != nil {
		return platform.Acted{}, err
	}
	return platform.Acted{Told: keyturn.Told{Says: "deleted the " + what + " " + keyturn.Clean(name)}}, nil
}

// databaseRole is a role as the server returns it.
type databaseRole struct {
	DB         string   `json:"db_name"`
	Creation   []string `json:"creation_statements"`
	Revocation []string `json:"revocation_statements"`
	Renew      []string `json:"renew_statements"`
	Rollback   []string `json:"rollback_statements"`
	TTL        int      `json:"default_ttl"`
	MaxTTL     int      `json:"max_ttl"`
}

func writeDatabaseRole(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	at, err := databaseEngine(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	role, db := a.Args.Text("role"), a.Args.Text("db")
	if err := checkSegment("role", role); err != nil {
		return platform.Acted{}, err
	}
	var c connection
	if err := readDatabaseEntry(ctx, s, at, "config", db, &c); err != nil {
		return platform.Acted{}, err
	}
	var notices []string
	creation := a.Args.Text("creation")
	if err := checkCreation(c.Plugin, creation); err != nil {
		return platform.Acted{}, err
	}
	if strings.HasPrefix(c.Plugin, "postgresql") && !strings.Contains(creation, "{{expiration}}") {
		notices = append(notices, "without VALID UNTIL '{{expiration}}' a user outlives its lease where Vault cannot reach the database")
	}
	body := map[string]any{"db_name": db, "creation_statements": []string{a.Args.Text("creation")}}
	for input, member := range map[string]string{"revocation": "revocation_statements", "renew": "renew_statements", "rollback": "rollback_statements"} {
		if a.Args.Has(input) {
			body[member] = []string{a.Args.Text(input)}
		}
	}
	setMembers(body, a, nil, map[string]string{"ttl": "default_ttl", "max-ttl": "max_ttl"})
	if err := s.call(ctx, http.MethodPost, at+"/roles/"+role, body, nil); err != nil {
		if errors.Is(err, keyturn.Invalid) {
			return platform.Acted{}, keyturn.E(keyturn.Invalid, "the server does not take this role", "--ttl must not be longer than --max-ttl").Because(err)
		}
		return platform.Acted{}, err
	}
	if err := allowRole(ctx, s, at+"/config/"+db, c, role); err != nil {
		e := *keyturn.AsError(err)
		e.Message = "the role " + role + " was written, but could not be added to those that may use the connection " + db + ": " + e.Message
		return platform.Acted{}, &e
	}
	return platform.Acted{Told: keyturn.Told{Says: "wrote the role " + role + ": 'keyturn lease create " + s.mount + "/" + at + "/creds/" + role + "' makes a user", Notices: notices}}, nil
}

// How often adding a role to a connection is tried, and the pause before it is checked.
const (
	allowTries = 5
	allowPause = 150 * time.Millisecond
)

// allowRole adds a role to those that may use a connection. The server takes only the
// whole list. Where somebody else wrote a list without this role meanwhile, allowRole
// adds the role to that list.
func allowRole(ctx context.Context, s *server, at string, c connection, role string) error {
	for try := 0; !slices.ContainsFunc(c.Roles, func(r string) bool { return r == "*" || r == role }); try++ {
		if try == allowTries {
			return keyturn.E(keyturn.Conflict, "others write its roles at the same time", "repeat the command")
		}
		// What is not named stays as it is, the password too.
		if err := s.call(ctx, http.MethodPost, at, map[string]any{"allowed_roles": append(c.Roles, role), "verify_connection": false}, nil); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(allowPause):
		}
		c = connection{}
		if err := s.call(ctx, http.MethodGet, at, nil, &c); err != nil {
			return err
		}
	}
	return nil
}

// passwordClause matches the SQL that sets a password, and clauses that set none.
var passwordClause = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b(password|identified)\b(?:\s+(?:null|expire|history|reuse|require))?`)
})

// checkCreation refuses, as Invalid, statements that make no user with a password of its
// own. It accepts all statements of a plugin that keyturn does not know.
func checkCreation(plugin, creation string) error {
	example := "for instance: CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';"
	if !slices.Contains(slices.Collect(maps.Values(databasePlugins)), plugin) || strings.Contains(creation, keyturn.Placeholder) {
		return nil
	}
	if !strings.Contains(creation, "{{name}}") && !strings.Contains(creation, "{{username}}") {
		return keyturn.E(keyturn.Invalid, "the statements make no user: neither {{name}} nor {{password}} is in them", example)
	}
	for _, m := range passwordClause().FindAllStringSubmatch(creation, -1) {
		if strings.EqualFold(m[0], m[1]) { // and none of the words behind it that set no password
			return keyturn.E(keyturn.Invalid, "the statements set a password that is not {{password}}, so that all users would have the same", example)
		}
	}
	return nil
}

func readDatabaseRole(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	at, err := databaseEngine(ctx, s, a)
	if err != nil {
		return platform.Acted{}, err
	}
	var r databaseRole
	if err := readDatabaseEntry(ctx, s, at, "roles", a.Args.Text("role"), &r); err != nil {
		return platform.Acted{}, err
	}
	item := map[string]any{"role": a.Args.Text("role"), "db": r.DB, "ttl_seconds": r.TTL, "max_ttl_seconds": r.MaxTTL}
	var notices []string
	for name, list := range map[string][]string{"creation": r.Creation, "revocation": r.Revocation, "renew": r.Renew, "rollback": r.Rollback} {
		if keyturn.PlainStatements(strings.Join(list, ";")) {
			item[name] = list
		} else { // somebody else wrote it
			notices = append(notices, "the "+name+" statements hold a password, and are not shown")
		}
	}
	slices.Sort(notices)
	return platform.Acted{Told: keyturn.Told{Single: true, Items: []map[string]any{item}, Notices: notices}}, nil
}
