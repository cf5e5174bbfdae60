package servers

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Database is a running database server on loopback, with an administrator.
type Database struct {
	Kind     string // "postgresql" or "mariadb"
	Port     int
	Admin    string
	Password string

	// Of Vault's database engine: the plugin, the address of a connection, and the
	// statements of a role that may log in
	// (https://developer.hashicorp.com/vault/docs/secrets/databases).
	Plugin, URL, Creation string

	t      testing.TB
	dir    string
	client string // program
	cmd    *exec.Cmd
	out    *output
	start  func()
}

// lacking skips a test that needs a program that is not there, or fails it where the
// real thing is asked for.
func lacking(t testing.TB, what, how string) {
	t.Helper()
	if os.Getenv("KEYTURN_REAL") != "" {
		t.Fatalf("%s is not installed: %s", what, how)
	}
	t.Skipf("%s is not installed: %s", what, how)
}

// program finds an installed program, in the PATH or where Debian keeps it.
func program(names ...string) string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
		for _, pattern := range []string{"/usr/lib/postgresql/*/bin/", "/usr/sbin/", "/opt/homebrew/bin/", "/usr/local/bin/"} {
			found, _ := filepath.Glob(pattern + name)
			if len(found) > 0 {
				slices.Sort(found)
				return found[len(found)-1]
			}
		}
	}
	return ""
}

// unprivileged makes a command run as the user 'nobody' where the test runs as root:
// database servers refuse that.
func unprivileged(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	if os.Getuid() != 0 {
		return exec.Command(name, args...)
	}
	if program("setpriv") == "" {
		lacking(t, "setpriv", "a database does not run as root: install util-linux, or test as another user")
	}
	uid, gid := nobody(t)
	return exec.Command(program("setpriv"), append([]string{"--reuid", strconv.Itoa(uid), "--regid", strconv.Itoa(gid), "--clear-groups", "--", name}, args...)...)
}

func nobody(t testing.TB) (uid, gid int) {
	t.Helper()
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Skipf("a database does not run as root, and there is no user nobody: %v", err)
	}
	uid, _ = strconv.Atoi(u.Uid)
	gid, _ = strconv.Atoi(u.Gid)
	return uid, gid
}

// folder makes a folder that the server's user owns; t.TempDir lies below one that
// only we may enter.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "keyturn-db-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if os.Getuid() == 0 {
		uid, gid := nobody(t)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Postgres starts a PostgreSQL of the system's packages, in a folder of its own.
func Postgres(t testing.TB) *Database {
	t.Helper()
	short(t)
	initdb, postgres := program("initdb"), program("postgres")
	d := &Database{Kind: "postgresql", Admin: "admin", Password: rand.Text(), t: t, client: program("psql"), Plugin: "postgresql-database-plugin",
		Creation: `CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';`}
	if initdb == "" || postgres == "" || d.client == "" {
		lacking(t, "PostgreSQL", "apt-get install postgresql")
	}
	d.dir, d.Port = folder(t), freePort(t)
	d.URL = fmt.Sprintf("postgresql://{{username}}:{{password}}@127.0.0.1:%d/postgres?sslmode=disable", d.Port)
	words := filepath.Join(d.dir, "words")
	d.write(words, d.Password+"\n")
	d.run(initdb, "-D", filepath.Join(d.dir, "data"), "-U", d.Admin, "--pwfile", words, "-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "--no-sync")
	d.start = func() {
		d.begin(postgres, "-D", filepath.Join(d.dir, "data"), "-h", "127.0.0.1", "-p", strconv.Itoa(d.Port), "-c", "unix_socket_directories=", "-c", "fsync=off")
	}
	d.Start()
	return d
}

// MariaDB starts a MariaDB of the system's packages, in a folder of its own.
func MariaDB(t testing.TB) *Database {
	t.Helper()
	short(t)
	install, server := program("mariadb-install-db", "mysql_install_db"), program("mariadbd", "mysqld")
	d := &Database{Kind: "mariadb", Admin: "admin", Password: rand.Text(), t: t, client: program("mariadb", "mysql"), Plugin: "mysql-database-plugin",
		Creation: `CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}';`}
	if install == "" || server == "" || d.client == "" {
		lacking(t, "MariaDB", "apt-get install mariadb-server")
	}
	d.dir, d.Port = folder(t), freePort(t)
	d.URL = fmt.Sprintf("{{username}}:{{password}}@tcp(127.0.0.1:%d)/", d.Port)
	data := filepath.Join(d.dir, "data")
	d.run(install, "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db")
	first := filepath.Join(d.dir, "first.sql")
	d.write(first, fmt.Sprintf("CREATE USER IF NOT EXISTS '%s'@'%%' IDENTIFIED BY '%s';\nGRANT ALL ON *.* TO '%s'@'%%' WITH GRANT OPTION;\nDROP USER IF EXISTS 'root'@'localhost';\n", d.Admin, d.Password, d.Admin))
	d.start = func() {
		d.begin(server, "--no-defaults", "--datadir="+data, "--bind-address=127.0.0.1", "--port="+strconv.Itoa(d.Port), "--socket="+filepath.Join(d.dir, "s"),
			"--pid-file="+filepath.Join(d.dir, "pid"), "--init-file="+first, "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0")
	}
	d.Start()
	return d
}

func (d *Database) write(path, text string) {
	d.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		d.t.Fatal(err)
	}
}

func (d *Database) run(name string, args ...string) {
	d.t.Helper()
	cmd := unprivileged(d.t, name, args...)
	cmd.Dir = d.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin", "HOME=" + d.dir, "TMPDIR=" + d.dir}
	if out, err := cmd.CombinedOutput(); err != nil {
		d.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func (d *Database) begin(name string, args ...string) {
	d.t.Helper()
	d.cmd, d.out = unprivileged(d.t, name, args...), &output{}
	d.cmd.Dir, d.cmd.Stdout, d.cmd.Stderr = d.dir, d.out, d.out
	d.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, "TMPDIR=" + d.dir}
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	cmd := d.cmd
	d.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

// Start starts the server once more, after Stop.
func (d *Database) Start() {
	d.t.Helper()
	d.start()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := d.Login(d.Admin, d.Password)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			d.t.Fatalf("the database did not come up: %v\n%s", err, d.out)
		}
	}
}

// Stop ends the server at once.
func (d *Database) Stop() {
	_ = d.cmd.Process.Kill()
	_ = d.cmd.Wait()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(d.Port))); err != nil {
			return
		} else {
			_ = c.Close()
		}
	}
}

// Client is a command for a shell: the database's own client, as the user in the
// variables DB_USER and DB_PASS, prints who that is.
func (d *Database) Client() string {
	return d.ask(map[string]string{"postgresql": "select current_user", "mariadb": "select current_user()"}[d.Kind])
}

func (d *Database) ask(query string) string {
	if d.Kind == "postgresql" {
		return fmt.Sprintf(`PGPASSWORD="$DB_PASS" PGCONNECT_TIMEOUT=5 %s -h 127.0.0.1 -p %d -U "$DB_USER" -d postgres -Atqc "%s"`, d.client, d.Port, query)
	}
	return fmt.Sprintf(`MYSQL_PWD="$DB_PASS" %s --no-defaults --protocol=tcp -h 127.0.0.1 -P %d -u "$DB_USER" --connect-timeout=5 -N -B -e "%s"`, d.client, d.Port, query)
}

func (d *Database) shell(script, user, password string) (string, error) {
	cmd := exec.Command("sh", "-c", script)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, "DB_USER=" + user, "DB_PASS=" + password}
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return string(out), err
}

// Login tries to log in as a user.
func (d *Database) Login(user, password string) error {
	who, err := d.shell(d.Client(), user, password)
	if err == nil && !strings.HasPrefix(who, user) {
		err = errors.New("logged in as somebody else")
	}
	return err
}

// Users lists the users that Vault made: their names begin with "v-".
func (d *Database) Users() []string {
	d.t.Helper()
	query := map[string]string{"postgresql": "select rolname from pg_roles where rolname like 'v-%'", "mariadb": "select user from mysql.user where user like 'v-%'"}[d.Kind]
	out, err := d.shell(d.ask(query), d.Admin, d.Password)
	if err != nil {
		d.t.Fatal(err)
	}
	return strings.Fields(out)
}

// Engine enables Vault's database engine at a path, with a connection to this server
// and a role "myapp" whose users live for ttl, and no longer than most.
func (d *Database) Engine(v *Vault, path string, ttl, most time.Duration) {
	d.t.Helper()
	v.Call("POST", "sys/mounts/"+path, map[string]any{"type": "database"}, nil)
	v.Call("POST", path+"/config/"+d.Kind, map[string]any{"plugin_name": d.Plugin, "connection_url": d.URL, "allowed_roles": "*", "username": d.Admin, "password": d.Password}, nil)
	v.Call("POST", path+"/roles/myapp", map[string]any{"db_name": d.Kind, "creation_statements": d.Creation, "default_ttl": ttl.String(), "max_ttl": most.String()}, nil)
}
