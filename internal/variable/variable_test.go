package variable

import (
	"runtime"
	"strings"
	"testing"
)

// TestNames: what changes how programs run is known in the spelling that programs read, and
// no other; more of it counts for agents and services.
func TestNames(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("names have no case there")
	}
	for _, n := range strings.Fields("PATH LD_PRELOAD LD_X DYLD_INSERT_LIBRARIES BASH_ENV NODE_OPTIONS GIT_CONFIG_COUNT npm_config_script_shell NPM_CONFIG_SCRIPT_SHELL npm_config_script-shell KEYTURN_HOME SHELLOPTS PS4 OPENSSL_CONF PYTHONUSERBASE PERLLIB MAKEFILES " +
		"TAR_OPTIONS SVN_SSH TF_CLI_ARGS TF_CLI_ARGS_plan TF_CLI_CONFIG_FILE KUBE_EDITOR BAT_PAGER GTK_MODULES CDPATH CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER ANSIBLE_CALLBACK_PLUGINS ELECTRON_RUN_AS_NODE") {
		if !Steers(n) || !SteersMachines(n) || !Leads(n) {
			t.Errorf("%s does not count", n)
		}
	}
	for _, n := range strings.Fields("ENV HOME SHELL EDITOR PAGER VISUAL") {
		if Steers(n) || !SteersMachines(n) {
			t.Errorf("%s counts for people, or not for agents", n)
		}
	}
	for _, n := range strings.Fields("path home DB_PASSWORD npm_config__authToken UV_PUBLISH_TOKEN PGPASSWORD PGUSER AWS_SECRET_ACCESS_KEY VAULT_TOKEN TF_VAR_x NODE_ENV PYTHONUNBUFFERED GITHUB_TOKEN PORT") {
		if Leads(n) {
			t.Errorf("%s counts", n)
		}
	}
	for _, n := range strings.Fields("HTTPS_PROXY https_proxy ALL_PROXY SSL_CERT_FILE XDG_CONFIG_HOME AWS_CONFIG_FILE KUBECONFIG " +
		"npm_config_registry PGHOST PGOPTIONS MYSQL_HOST PIP_INDEX_URL UV_INDEX_URL GOPROXY VAULT_ADDR COMPOSE_FILE HELM_KUBEAPISERVER KRB5_CONFIG TNS_ADMIN RES_OPTIONS VIRTUAL_ENV ANSIBLE_REMOTE_USER AWS_ENDPOINT_URL_S3") {
		if SteersMachines(n) || !Leads(n) {
			t.Errorf("%s is not what leads elsewhere", n)
		}
	}
}

// TestRedirects: of a file's plain lines those are trusted with their texts that decide which
// code runs or where a secret goes, and none that could be a secret itself.
func TestRedirects(t *testing.T) {
	for _, n := range strings.Fields(`PATH LD_PRELOAD HTTPS_PROXY https_proxy SSL_CERT_FILE SSL_CERT_DIR CURL_CA_BUNDLE NODE_EXTRA_CA_CERTS NODE_TLS_REJECT_UNAUTHORIZED PGSSLMODE PGHOST
DOCKER_HOST KUBECONFIG VAULT_ADDR AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3 AWS_CONFIG_FILE GOPROXY GONOSUMDB GOINSECURE PIP_INDEX_URL PIP_CONFIG_FILE UV_INDEX_URL TF_CLI_CONFIG_FILE
COMPOSE_FILE ANSIBLE_CONFIG HELM_PLUGINS PYENV_ROOT XDG_CONFIG_HOME HOME npm_config_registry`) {
		if !Redirects(n) {
			t.Errorf("%s needs no trust", n)
		}
	}
	for _, n := range strings.Fields("PORT ENV NODE_ENV DATABASE_URL DB_PASSWORD VAULT_TOKEN PGPASSWORD AWS_SECRET_ACCESS_KEY GITHUB_TOKEN npm_config_loglevel TMPDIR EDITOR PGUSER PGDATABASE") {
		if Redirects(n) {
			t.Errorf("%s needs trust", n)
		}
	}
}

// TestPasses: of an agent's own variables those pass that are settings of language, terminal
// and system, where their text can be no path.
func TestPasses(t *testing.T) {
	for _, kv := range []string{"LANG=de_DE.UTF-8", "LANGUAGE=de:en", "LC_ALL=C", "TZ=Europe/Berlin", "TERM=xterm-256color", "COLUMNS=80", "CI=", "NO_COLOR=1"} {
		if name, value, _ := strings.Cut(kv, "="); !Passes(name, value) {
			t.Errorf("%s does not pass", kv)
		}
	}
	for _, kv := range []string{"LANG=/tmp/x", "LANG=x/../y", "TZ=:/tmp/x", "TERM=a b", "TERM=$(id)", "LC_ALL=" + strings.Repeat("x", 129), "LOCPATH=x", "TERMINFO=x", "PATH=x", "FOO=1", "lang=de", "LD_X=1"} {
		if name, value, _ := strings.Cut(kv, "="); Passes(name, value) {
			t.Errorf("%s passes", kv)
		}
	}
}

// TestCheck: entries of env in rules, and which of them the configuration's check warns of.
func TestCheck(t *testing.T) {
	for _, e := range []string{"NODE_ENV", "TF_VAR_*", "AB_*", "*", "MODE=on", "LD_PRELOAD=/lib/x.so", "PATH", "HOME", "EMPTY=", "HTTPS_PROXY"} {
		if err := Check(e); err != nil {
			t.Errorf("%s: %v", e, err)
		}
	}
	for _, e := range []string{"", "=", "A_*", "ABC*", "_*", "A*B", "A B", "1A", "LD_PRELOAD", "EDITOR", "npm_config_script_shell", "KEYTURN_HOME", "keyturn_x=1", "TF_*=1", "LD_*", "DYLD_*", "GIT_CONFIG_*", "KEYTURN_*", "A=x\ny"} {
		if Check(e) == nil {
			t.Errorf("%q is taken", e)
		}
	}
	for _, e := range []string{"*", "PATH", "HOME", "HTTPS_PROXY", "no_proxy", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "GIT_*", "NODE_*", "AWS_*"} {
		if Risk(e) == "" {
			t.Errorf("nothing is said of %s", e)
		}
	}
	if Risk("NODE_ENV") != "" || Risk("TF_VAR_*") != "" || Risk("GITHUB_*") != "" || Risk("HTTPS_PROXY=http://proxy.example.com") != "" {
		t.Error("something is said of what is harmless")
	}
}
