package cli_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/keyturn/keyturn/internal/world/servers"
)

// inScript are the keys of what a script carries along.
type inScript string

const (
	testOf  inScript = "test"  // a testing.TB
	vaultOf inScript = "vault" // a **servers.Vault, nil until one is started
)

// realVault gives a script a real Vault, which ends with it, and sets VAULT_ADDR and
// VAULT_TOKEN (a root token): vault dev|disk|tls. The program itself is in the PATH
// then, as "exec vault …", to look at things independently of keyturn. Where it was
// not built the script is skipped; with KEYTURN_REAL=1 it fails.
//
//	vault dev        unsealed, in memory, KV version 2 at secret/
//	vault disk       on disk, initialized with 2 of 3 key shares, sealed
//	vault tls        as dev, with TLS: VAULT_CACERT is its authority
//	vault mutual     on disk, unsealed, with TLS, for who has CLIENT_CERT and CLIENT_KEY
//	vault raft       a cluster of three: VAULT_ADDR is the active one's, ADDR2 and ADDR3 are the others'
//	vault unseal [N] gives N key shares, or as many as it takes; KEY1, KEY2 and KEY3 hold them
//	vault seal
//	vault kill       as a power cut does
//	vault start      once more, after kill: only one on disk or of raft, sealed then
func realVault(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: vault dev|disk|tls|mutual|raft|unseal|seal|kill|start")
	}
	at := ts.Value(vaultOf).(**servers.Vault)
	tb := ts.Value(testOf).(testing.TB)
	if made := map[string]func(testing.TB) *servers.Vault{
		"dev": servers.VaultDev, "disk": servers.VaultOnDisk, "tls": servers.VaultTLS, "mutual": servers.VaultMutual,
		"raft": func(tb testing.TB) *servers.Vault {
			all := servers.VaultRaft(tb, 3)
			ts.Setenv("ADDR2", all[1].Address)
			ts.Setenv("ADDR3", all[2].Address)
			return all[0]
		},
	}[args[0]]; made != nil {
		v := made(tb)
		*at = v
		dir := filepath.Join(ts.Getenv("WORK"), "vault-program")
		ts.Check(os.MkdirAll(dir, 0o700))
		ts.Check(os.Symlink(servers.Program(tb, "vault"), filepath.Join(dir, "vault")))
		ts.Setenv("PATH", ts.Getenv("PATH")+string(filepath.ListSeparator)+dir)
		ts.Setenv("VAULT_ADDR", v.Address)
		ts.Setenv("VAULT_TOKEN", v.Root)
		ts.Setenv("VAULT_CACERT", v.CACert)
		ts.Setenv("CLIENT_CERT", v.ClientCert)
		ts.Setenv("CLIENT_KEY", v.ClientKey)
		for i, key := range v.Keys {
			ts.Setenv("KEY"+strconv.Itoa(i+1), key)
		}
		return
	}
	v := *at
	if v == nil {
		ts.Fatalf("no server was started: vault dev|disk|tls")
	}
	switch args[0] {
	case "unseal":
		if len(args) > 1 {
			n, err := strconv.Atoi(args[1])
			ts.Check(err)
			for _, key := range v.Keys[:n] {
				v.Call("PUT", "sys/unseal", map[string]string{"key": key}, nil)
			}
			return
		}
		v.Unseal()
	case "seal":
		v.Seal()
	case "kill":
		v.Kill()
	case "start":
		v.Start()
	default:
		ts.Fatalf("vault %s: no such thing", args[0])
	}
}
