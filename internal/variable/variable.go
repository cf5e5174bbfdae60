// Package variable knows the names of environment variables: which of them change how
// programs run, and which an agent's or a service's command gets from its caller without
// a rule that names them. It decides by its arguments alone.
package variable

import (
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/keyturn/keyturn"
)

// PassphraseFile names the file whose passphrase opens the store. No program that
// keyturn runs gets it, in whatever way it is given.
const PassphraseFile = "KEYTURN_PASSPHRASE_FILE"

const windows = runtime.GOOS == "windows"

// Key returns the form in which this system compares names of variables.
func Key(name string) string {
	if windows {
		return strings.ToUpper(name)
	}
	return name
}

// Ours reports whether a variable is one of keyturn's own.
func Ours(name string) bool { return strings.HasPrefix(strings.ToUpper(name), "KEYTURN_") }

// Steers reports whether a variable changes which program runs, what a program loads, or
// what keyturn does in it. The list is of those that are known, and not of all.
func Steers(name string) bool {
	if Ours(name) {
		return true
	}
	for _, p := range []string{"LD_", "DYLD_", "BASH_FUNC_", "GIT_CONFIG", "CORECLR_", "COR_", "RUSTC", "CARGO_BUILD_RUSTC", "R_PROFILE", "R_ENVIRON", "TF_CLI_"} {
		if strings.HasPrefix(strings.ToUpper(name), p) {
			return true
		}
	}
	if up := strings.ToUpper(name); strings.HasPrefix(up, "CARGO_TARGET_") && (strings.HasSuffix(up, "_RUNNER") || strings.HasSuffix(up, "_LINKER")) ||
		strings.HasPrefix(up, "ANSIBLE_") && strings.HasSuffix(up, "_PLUGINS") {
		return true
	}
	// npm reads its settings in any case, and with either mark between words.
	if lower := strings.ReplaceAll(strings.ToLower(name), "-", "_"); strings.HasPrefix(lower, "npm_config_") {
		return names().npm[strings.TrimPrefix(lower, "npm_config_")]
	}
	return names().all[Key(name)]
}

// SteersMachines is Steers for the commands of agents and services, whom more is kept
// from: a person may well have an ENV or an EDITOR of their own.
func SteersMachines(name string) bool { return Steers(name) || names().machines[Key(name)] }

// Leads reports whether a variable decides through whose hands connections go, whom a
// program takes for its server, or which files of settings it reads. An agent or a service
// may have it only by a rule that names it, and never by a secret, which could be its own.
func Leads(name string) bool {
	if SteersMachines(name) {
		return true
	}
	up := strings.ToUpper(name)
	for _, p := range []string{"XDG_", "GIT_SSL_", "AWS_ENDPOINT_URL", "NODE_TLS_", "KRB5_"} {
		if strings.HasPrefix(up, p) {
			return true
		}
	}
	// Every setting of these programs is a variable; those that are secrets themselves lead nowhere.
	for _, p := range []string{"ANSIBLE_", "NPM_CONFIG_", "PIP_", "UV_", "HELM_", "COMPOSE_", "TERRAFORM_"} {
		if strings.HasPrefix(up, p) && !strings.HasSuffix(up, "TOKEN") && !strings.HasSuffix(up, "PASSWORD") && !strings.HasSuffix(up, "USERNAME") {
			return true
		}
	}
	return strings.HasSuffix(up, "_PROXY") || names().leads[up]
}

// Redirects reports whether a plain line of a file decides which code runs or where a
// secret goes: what Leads reports, but for settings that people have in such files for
// other ends, and what well-known clients take for their server, their settings or their
// source of code. No name of a secret is one, since such a line is recorded. The list is of
// those that are known, and not of all.
func Redirects(name string) bool {
	if Steers(name) {
		return true
	}
	up := strings.ToUpper(name)
	switch up {
	case "ENV", "EDITOR", "VISUAL", "PAGER", "MANPAGER", "TMPDIR", "TMP", "TEMP":
		return false
	}
	for _, word := range []string{"PASSW", "TOKEN", "SECRET", "CREDENTIALS_JSON"} {
		if strings.Contains(up, word) && up != "AWS_WEB_IDENTITY_TOKEN_FILE" {
			return false
		}
	}
	if lower := strings.ReplaceAll(strings.ToLower(name), "-", "_"); strings.HasPrefix(lower, "npm_config_") {
		return names().npmLeads[strings.TrimPrefix(lower, "npm_config_")]
	}
	return Leads(name) || strings.HasPrefix(up, "PGSSL") || strings.HasPrefix(up, "TF_CLI_ARGS") || names().redirects[up]
}

type sets struct{ all, machines, leads, redirects, npm, npmLeads map[string]bool }

var names = sync.OnceValue(func() sets {
	set := func(list string) map[string]bool {
		out := map[string]bool{}
		for _, n := range strings.Fields(list) {
			out[n] = true
		}
		return out
	}
	return sets{
		all: set(`PATH PATHEXT IFS COMSPEC PSMODULEPATH
BASH_ENV BASHOPTS SHELLOPTS PS4 PROMPT_COMMAND BASH_LOADABLES_PATH ZDOTDIR FPATH
PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONUSERBASE PYTHONEXECUTABLE PYTHONPLATLIBDIR PYTHONBREAKPOINT PYTHONINSPECT PYTHONWARNINGS PYTHONPYCACHEPREFIX
PERL5OPT PERL5LIB PERLLIB PERL5DB PERL5SHELL PERLIO RUBYOPT RUBYLIB RUBYSHELL GEM_HOME GEM_PATH BUNDLE_GEMFILE BUNDLE_PATH
NODE_OPTIONS NODE_PATH NODE_REPL_EXTERNAL_MODULE DENO_DIR BUN_INSTALL
CLASSPATH JAVA_TOOL_OPTIONS _JAVA_OPTIONS JDK_JAVA_OPTIONS JAVA_HOME JAVA_OPTS MAVEN_OPTS MAVEN_ARGS GRADLE_OPTS GRADLE_USER_HOME ANT_OPTS SBT_OPTS
GOFLAGS GOROOT GOENV GOTOOLDIR GOTOOLCHAIN CARGO_HOME RUSTUP_HOME RUSTFLAGS DOTNET_STARTUP_HOOKS DOTNET_ROOT
LUA_PATH LUA_CPATH LUA_INIT PHPRC PHP_INI_SCAN_DIR TCLLIBPATH JULIA_LOAD_PATH GUILE_LOAD_PATH ERL_FLAGS ERL_AFLAGS ERL_ZFLAGS ERL_LIBS ELIXIR_ERL_OPTIONS
MAKEFILES MAKEFLAGS GNUMAKEFLAGS MFLAGS CC CXX CMAKE_TOOLCHAIN_FILE
GIT_SSH GIT_SSH_COMMAND GIT_EXTERNAL_DIFF GIT_PROXY_COMMAND GIT_EXEC_PATH GIT_ASKPASS GIT_EDITOR GIT_SEQUENCE_EDITOR GIT_PAGER GIT_TEMPLATE_DIR GIT_DIR GIT_ATTR_SOURCE
SSH_ASKPASS SUDO_ASKPASS SUDO_EDITOR RSYNC_RSH CVS_RSH
OPENSSL_CONF OPENSSL_MODULES OPENSSL_ENGINES SSLKEYLOGFILE
GCONV_PATH GLIBC_TUNABLES LOCPATH NLSPATH HOSTALIASES TERMINFO TERMINFO_DIRS TERMCAP MALLOC_CHECK_ LESSOPEN LESSCLOSE
VIMINIT EXINIT GVIMINIT VIM VIMRUNTIME EMACSLOADPATH PSQLRC PGSERVICEFILE PGSYSCONFDIR PSQL_EDITOR PSQL_PAGER MYSQL_HOME
TAR_OPTIONS SVN_SSH SVN_EDITOR BAT_PAGER RIPGREP_CONFIG_PATH FZF_DEFAULT_COMMAND FZF_DEFAULT_OPTS SYSTEMD_EDITOR SYSTEMD_PAGER KUBE_EDITOR CDPATH GLOBIGNORE GETCONF_DIR
GTK_MODULES GTK_PATH GIO_EXTRA_MODULES QT_PLUGIN_PATH QML2_IMPORT_PATH LIBGL_DRIVERS_PATH VK_ICD_FILENAMES VK_LAYER_PATH SASL_PATH ELECTRON_RUN_AS_NODE
TERRAFORM_CONFIG TF_PLUGIN_CACHE_DIR HELM_PLUGINS ANSIBLE_CONFIG ANSIBLE_LIBRARY ANSIBLE_ROLES_PATH ANSIBLE_COLLECTIONS_PATH ANSIBLE_VAULT_PASSWORD_FILE`),
		machines: set(`ENV HOME SHELL EDITOR VISUAL PAGER MANPAGER BROWSER`),
		leads: set(`SSL_CERT_FILE SSL_CERT_DIR NODE_EXTRA_CA_CERTS REQUESTS_CA_BUNDLE CURL_CA_BUNDLE CURL_HOME AWS_CA_BUNDLE AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE
KUBECONFIG DOCKER_HOST DOCKER_CONFIG DOCKER_CONTEXT DOCKER_CERT_PATH TMPDIR TMP TEMP NETRC NPM_CONFIG_USERCONFIG PIP_CONFIG_FILE WGETRC PGSSLROOTCERT SSH_AUTH_SOCK
PGHOST PGHOSTADDR PGPORT PGSSLMODE PGSSLCRL PGPASSFILE PGOPTIONS PGSERVICE PGREQUIRESSL MYSQL_HOST MYSQL_TCP_PORT MYSQL_UNIX_PORT REDISCLI_HOST
GOPROXY GONOPROXY GONOSUMDB GONOSUMCHECK GOSUMDB GOINSECURE GOPRIVATE VAULT_ADDR VAULT_AGENT_ADDR VAULT_CACERT VAULT_CAPATH VAULT_SKIP_VERIFY VAULT_TLS_SERVER_NAME
CLOUDSDK_CONFIG AZURE_CONFIG_DIR BOTO_CONFIG AWS_EC2_METADATA_SERVICE_ENDPOINT AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_WEB_IDENTITY_TOKEN_FILE
GOOGLE_APPLICATION_CREDENTIALS ODBCINI ODBCSYSINI ODBCINSTINI TNS_ADMIN RES_OPTIONS LOCALDOMAIN TZDIR VIRTUAL_ENV DOCKER_TLS_VERIFY`),
		redirects: set(`PGHOST PGHOSTADDR PGPORT PGSERVICE PGPASSFILE PGGSSENCMODE PGREQUIREAUTH PGCHANNELBINDING MYSQL_HOST MYSQL_TCP_PORT MYSQL_UNIX_PORT
DOCKER_TLS_VERIFY DOCKER_BUILDKIT COMPOSE_FILE COMPOSE_PROJECT_DIRECTORY COMPOSE_ENV_FILES HELM_PLUGINS HELM_REPOSITORY_CONFIG HELM_KUBEAPISERVER HELM_KUBECAFILE
HELM_KUBEINSECURE_SKIP_TLS_VERIFY KUBERNETES_MASTER VAULT_ADDR VAULT_AGENT_ADDR VAULT_CACERT VAULT_CAPATH VAULT_CACERT_BYTES VAULT_SKIP_VERIFY VAULT_TLS_SERVER_NAME VAULT_PROXY_ADDR
VAULT_CONFIG_PATH BAO_ADDR BAO_CACERT BAO_SKIP_VERIFY CONSUL_HTTP_ADDR NOMAD_ADDR AWS_PROFILE AWS_WEB_IDENTITY_TOKEN_FILE AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_EC2_METADATA_SERVICE_ENDPOINT
CLOUDSDK_CONFIG AZURE_CONFIG_DIR AZURE_AUTHORITY_HOST GOPROXY GOSUMDB GONOSUMDB GONOSUMCHECK GOINSECURE GOPRIVATE GONOPROXY GOVCS GOWORK GOAUTH CGO_CFLAGS CGO_LDFLAGS
PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_TRUSTED_HOST PIP_CERT PIP_REQUIREMENT PIP_CONSTRAINT PIP_PREFIX PIP_TARGET PYENV_ROOT PYENV_VERSION VIRTUAL_ENV POETRY_CONFIG_DIR
UV_INDEX UV_INDEX_URL UV_DEFAULT_INDEX UV_EXTRA_INDEX_URL UV_FIND_LINKS UV_INSECURE_HOST UV_CONFIG_FILE UV_PYTHON UV_PYTHON_INSTALL_MIRROR YARN_RC_FILENAME YARN_REGISTRY NVM_DIR RBENV_ROOT
CARGO_HTTP_CAINFO CARGO_REGISTRY_DEFAULT CARGO_REGISTRIES_CRATES_IO_INDEX RUSTUP_DIST_SERVER TF_CLI_CONFIG_FILE TF_PLUGIN_CACHE_DIR TF_DATA_DIR
ANSIBLE_CONFIG ANSIBLE_LIBRARY ANSIBLE_ROLES_PATH ANSIBLE_COLLECTIONS_PATH ANSIBLE_INVENTORY ANSIBLE_HOST_KEY_CHECKING ANSIBLE_SSH_ARGS ANSIBLE_ACTION_PLUGINS ANSIBLE_CALLBACK_PLUGINS
ANSIBLE_FILTER_PLUGINS ANSIBLE_LOOKUP_PLUGINS ANSIBLE_CONNECTION_PLUGINS ANSIBLE_INVENTORY_PLUGINS ANSIBLE_VARS_PLUGINS GH_HOST GITLAB_HOST SENTRY_URL PYTHONHTTPSVERIFY CURL_INSECURE
OPENAI_BASE_URL ANTHROPIC_BASE_URL HF_ENDPOINT S3_ENDPOINT_URL REDISCLI_HOST MONGOSH_HOST RES_OPTIONS LOCALDOMAIN`),
		npmLeads: set(`registry proxy https_proxy strict_ssl noproxy git_tag_version ignore_scripts replace_registry_host`),
		npm: set(`script_shell node_options globalconfig userconfig prefix git shell editor viewer node_gyp nodedir python init_module
onload_script scripts_prepend_node_path local_prefix cafile ca cache call package workspace`),
	}
})

// Mine are the variables that an agent's or a service's command gets as the person had
// them who trusts this store's configuration, whatever its caller has.
func Mine() []string { return []string{"HOME", "PATH", "USER", "LOGNAME", "SHELL"} }

// Passes reports whether a variable of an agent or a service passes to its command
// without a rule that names it: a setting of language, terminal or system that no program
// takes for more, with a value that is no path and no list of paths.
func Passes(name, value string) bool {
	return Base(name) && (windows && windowsBase()[Key(name)] || Key(name) == "TMPDIR" || harmless(value))
}

// Base reports whether a variable could pass by its name: see Passes. For TMPDIR the
// caller of Passes looks at the folder.
func Base(name string) bool {
	key := Key(name)
	return slices.Contains(base, key) || strings.HasPrefix(key, "LC_") || windows && (windowsBase()[key] || strings.HasPrefix(key, "PROGRAMFILES"))
}

var base = []string{"LANG", "LANGUAGE", "TERM", "COLORTERM", "TZ", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES", "CI", "TMPDIR"}

var windowsBase = sync.OnceValue(func() map[string]bool {
	out := map[string]bool{}
	for _, n := range strings.Fields("SYSTEMROOT SYSTEMDRIVE WINDIR COMSPEC PATHEXT TEMP TMP USERPROFILE APPDATA LOCALAPPDATA PROGRAMDATA PROCESSOR_ARCHITECTURE NUMBER_OF_PROCESSORS") {
		out[n] = true
	}
	return out
})

// harmless reports whether a value is a short word that can be no path.
func harmless(v string) bool {
	if len(v) > 128 || strings.HasPrefix(v, "/") || strings.HasPrefix(v, ":") || strings.Contains(v, "..") {
		return false
	}
	for i := 0; i < len(v); i++ {
		c := v[i]
		if !(c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("_.,:=+@/-", c) >= 0) {
			return false
		}
	}
	return true
}

// Patterns are what rules let pass to a command beside what always passes: entries of
// the option env of rules.
type Patterns []string

// Check refuses, with Invalid, a text that is no entry: NAME, PREFIX_* with at least
// three characters, NAME=VALUE, or "*".
func Check(entry string) error {
	bad := func(why, hint string) error {
		return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(entry[:min(len(entry), 80)])+"' cannot stand in env: "+why, hint)
	}
	name, value, fixed := strings.Cut(entry, "=")
	prefix, many := strings.CutSuffix(name, "*")
	switch {
	case entry == "*":
		return nil
	case fixed && many:
		return bad("a value is for one variable", "write NAME=VALUE")
	case many && (len(prefix) < 3 || !strings.HasSuffix(prefix, "_") || !valid(prefix)):
		return bad("a star stands behind a name of at least three characters that ends in _", `for instance "AWS_*"`)
	case !many && !valid(name):
		return bad("it is no name of a variable", `write NAME, "PREFIX_*", "NAME=VALUE" or "*"`)
	case many && Steers(prefix):
		return bad("all of these change how programs run, so that whoever sets one decides what becomes of the value", "name the one that you mean, with a value: \""+prefix+"NAME=VALUE\"")
	case Ours(name):
		return bad("keyturn's own variables do not pass", "leave it out")
	case !fixed && !many && SteersMachines(name) && Key(name) != "PATH" && Key(name) != "HOME":
		return bad("it changes how programs run, so that whoever sets it decides what becomes of the value", "give it a value: \""+name+"=VALUE\"")
	case strings.ContainsAny(value, "\x00\n\r") || len(value) > 4096:
		return bad("the value is too long, or not one line", "")
	}
	return nil
}

func valid(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || i > 0 && '0' <= c && c <= '9') {
			return false
		}
	}
	return s != ""
}

// Pass reports whether a variable of the caller passes by one of the patterns. Those that
// change how programs run pass only where they are named, which Check allows of PATH and
// HOME alone.
func (p Patterns) Pass(name string) bool {
	if Ours(name) {
		return false
	}
	for _, e := range p {
		switch {
		case strings.Contains(e, "="):
		case Key(e) == Key(name):
			return true
		case e == "*" || strings.HasSuffix(e, "*") && strings.HasPrefix(Key(name), Key(strings.TrimSuffix(e, "*"))):
			if !SteersMachines(name) {
				return true
			}
		}
	}
	return false
}

// Fixed returns the variables that the patterns give a value.
func (p Patterns) Fixed() map[string]string {
	out := map[string]string{}
	for _, e := range p {
		if name, value, ok := strings.Cut(e, "="); ok {
			out[name] = value
		}
	}
	return out
}

// Risk says what somebody could do who chooses a variable that an entry lets pass; "" where
// nothing is known.
func Risk(entry string) string {
	name, _, fixed := strings.Cut(entry, "=")
	up := strings.ToUpper(name)
	switch {
	case fixed:
		return ""
	case entry == "*":
		return "whoever calls decides about the whole environment, but for what is known to change how programs run"
	case strings.HasSuffix(name, "*") && family(strings.TrimSuffix(up, "*")):
		return "some variables of that name change how programs run or where they lead, and not all such are known: whoever calls, or may write a secret that the command gets, decides about them"
	case up == "PATH":
		return "whoever calls decides which programs the command starts"
	case up == "HOME":
		return "whoever calls decides which settings the command reads"
	case strings.HasSuffix(up, "_PROXY"):
		return "whoever calls decides through whose hands the command's connections go"
	case strings.Contains(up, "CERT") || strings.Contains(up, "SSL") || strings.HasPrefix(up, "REQUESTS_CA") || strings.HasSuffix(up, "_CA_BUNDLE") || strings.HasSuffix(up, "CAINFO") || strings.Contains(up, "TLS_REJECT"):
		return "whoever calls decides whom the command takes for its server"
	}
	return ""
}

// family reports whether names that are known to steer or to lead begin with prefix.
func family(prefix string) bool {
	if Leads(prefix) {
		return true
	}
	for _, set := range []map[string]bool{names().all, names().machines, names().leads} {
		for n := range set {
			if strings.HasPrefix(n, prefix) {
				return true
			}
		}
	}
	return false
}
