package keyturn_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
)

var update = flag.Bool("update", false, "write the golden files of operations that have none; existing ones never change")

// examples holds operations with every member set, and some with few.
func examples() map[string]keyturn.Op {
	ref, pinned := keyturn.MustRef("local/myapp/db#password"), keyturn.MustRef("local/my%20app?version=3")
	under, _ := keyturn.ParsePrefix("local/myapp")
	day := time.Date(2026, 1, 24, 10, 0, 0, 0, time.UTC)
	return map[string]keyturn.Op{
		"list-mounts":       keyturn.ListMounts{},
		"list-mounts-probe": keyturn.ListMounts{Probe: true},
		"list-secrets":      keyturn.ListSecrets{Under: under, Shallow: true},
		"list-names":        keyturn.ListSecrets{Under: under, Names: true},
		"get-secret":        keyturn.GetSecret{Ref: ref.Secret()},
		"reveal-secret":     keyturn.RevealSecret{Ref: ref},
		"list-versions":     keyturn.ListVersions{Ref: pinned.Secret()},
		"put-secret": keyturn.PutSecret{Ref: ref.Secret(), Candidate: "0c1x2y", IfVersion: keyturn.None, Mode: keyturn.Merge,
			Generate: []keyturn.Generate{{Field: "id", Charset: "uuid"}, {Field: "key", Length: 24, Charset: "hex"}},
			Labels:   map[string]string{"team": "web", "<env>": "a&b"}, Expires: day, Public: []string{"user"}},
		"put-secret-labels": keyturn.PutSecret{Ref: ref.Secret(), Mode: keyturn.Merge, Labels: map[string]string{"team": "web"}, Unlabel: []string{"env", "tier"}},
		"put-secret-fields": keyturn.PutSecret{Ref: ref.Secret(), Candidate: "0c1x2y", Fields: []string{"LD_PRELOAD", "password"}},
		"put-secret-small":  keyturn.PutSecret{Ref: ref.Secret(), Candidate: "0c1x2y"},
		"rollback-secret":   keyturn.RollbackSecret{Ref: ref.Secret(), To: "2"},
		"delete-secret":     keyturn.DeleteSecret{Ref: ref.Secret()},
		"restore-secret":    keyturn.RestoreSecret{Ref: ref.Secret()},
		"destroy-secret":    keyturn.DestroySecret{Ref: ref.Secret(), Versions: []string{"1", "2"}},
		"run-command": keyturn.RunCommand{Command: []string{"npm", "run", "ünï", "a\"b\n"}, Program: "/usr/bin/npm", Dir: "/home/a/my app", Env: []keyturn.Binding{{Name: "DB", Ref: ref, Optional: true}},
			From: []keyturn.Source{{Ref: pinned, Prefix: "P_"}}, Files: []keyturn.Binding{{Name: "/run/k", Ref: ref}},
			Project: "/home/a/keyturn.yaml", Pinned: []keyturn.Binding{{Name: "DB", Ref: ref}}, Plain: true},
		"run-command-files": keyturn.RunCommand{Command: []string{"npm", "test"}, Program: "/usr/bin/npm", Dir: "/home/a", Env: []keyturn.Binding{{Name: "DB", Ref: ref}},
			EnvFiles: []keyturn.AskedFile{{Path: "/home/a/.env", Asks: []keyturn.Binding{{Name: "DB", Ref: ref}}, Steers: []keyturn.Setting{{Name: "CC", Text: "gcc"}}, Kept: []string{"PORT"}}},
			Pass:     []string{"LANG", "NODE_ENV"}},
		"render-template-file": keyturn.RenderTemplate{Template: "app.tmpl", Secrets: []keyturn.Ref{ref}, Found: "/home/a/app.tmpl"},
		"trust-project-file": keyturn.TrustProject{Path: "/home/a/.env", Pinned: []keyturn.Binding{{Name: "DB", Ref: ref}},
			Steers: []keyturn.Setting{{Name: "CC", Text: "gcc"}}},
		"trust-project-kept": keyturn.TrustProject{Path: "/home/a/.env", Pinned: []keyturn.Binding{{Name: "DB", Ref: ref}}, Kept: []string{"MODE", "PORT"}},
		"end-command":        keyturn.EndCommand{ID: "0c1x2y", Held: []keyturn.Ref{ref}, Met: true},
		"end-command-all":    keyturn.EndCommand{ID: "0c1x2y"},
		"use-secret":         keyturn.UseSecret{Ref: ref},
		"render-template":    keyturn.RenderTemplate{Template: "app.tmpl", Out: "app.conf", Secrets: []keyturn.Ref{ref, pinned}},
		"render-template-text": keyturn.RenderTemplate{Template: "/srv/app/app.tmpl", Out: "/srv/app/app.conf", Secrets: []keyturn.Ref{ref},
			Digest: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
		"render-template-in": keyturn.RenderTemplate{Template: keyturn.StandardInput, Secrets: []keyturn.Ref{ref},
			Digest: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
		"copy-secret":   keyturn.CopySecret{From: pinned, To: ref.Secret(), IfVersion: keyturn.None, Mode: keyturn.Replace, Lossy: true, Verify: true},
		"copy-field":    keyturn.CopySecret{From: ref, To: keyturn.MustRef("local/web#key")},
		"diff-secrets":  keyturn.DiffSecrets{A: pinned, B: ref},
		"write-secret":  keyturn.WriteSecret{Ref: ref},
		"seal-values":   keyturn.SealValues{Ref: ref.Secret()},
		"reveal-copy":   keyturn.RevealSecret{Ref: ref, Clipboard: true},
		"show-trust":    keyturn.ShowTrust{Path: "/home/a/keyturn.yaml"},
		"trust-project": keyturn.TrustProject{Path: "/home/a/keyturn.yaml", Pinned: []keyturn.Binding{{Name: "DB", Ref: ref}}},
		"use-config":    keyturn.UseConfig{Path: "/home/a/.config/keyturn/keyturn.yaml"},
		"use-config-trust": keyturn.UseConfig{Path: "/home/a/.config/keyturn/keyturn.yaml", Digest: strings.Repeat("0f", 32),
			Env: []string{"HOME=/home/a", "PATH=/usr/bin:/bin"}},
		"adopt-store":     keyturn.AdoptStore{Path: "/home/a/.local/share/keyturn"},
		"list-requests":   keyturn.ListRequests{},
		"approve-request": keyturn.ApproveRequest{ID: "k7mq2xvd", Remember: true},
		"create-store":    keyturn.CreateStore{Store: "0123", RootKey: "file"},
		"list-records":    keyturn.ListRecords{Who: "agent:x", Op: "put-secret", Under: under, Since: day},
		"verify-log":      keyturn.VerifyLog{},
		"verify-log-held": keyturn.VerifyLog{Checkpoint: &keyturn.SignedCheckpoint{Log: keyturn.LogID{1}, Size: 9, Root: keyturn.Hash{2}, Generation: 3,
			Digest: keyturn.Hash{4}, Time: day, Pruned: 5, Key: 6, Signature: keyturn.Signature{7}}},
		"export-log":       keyturn.ExportLog{From: 7, Since: day, Follow: true},
		"export-log-all":   keyturn.ExportLog{},
		"make-checkpoint":  keyturn.MakeCheckpoint{},
		"prune-log":        keyturn.PruneLog{Before: day},
		"rekey-store":      keyturn.RekeyStore{RootKey: "passphrase"},
		"rekey-store-as":   keyturn.RekeyStore{},
		"backup-store":     keyturn.BackupStore{To: "/backup/a.age", Recipients: []string{"age1qqq", "ssh-ed25519 AAAA"}, Overwrite: true},
		"backup-store-pw":  keyturn.BackupStore{To: "/backup/a.age", Passphrase: true},
		"unlock-store":     keyturn.UnlockStore{Seconds: 28800},
		"lock-store":       keyturn.LockStore{},
		"login-mount":      keyturn.Login{Mount: "vault", Method: "jwt", Path: "ci/jwt", Role: "deploy"},
		"login-mount-ids":  keyturn.Login{Mount: "vault", Method: "approle", RoleID: "0123", Username: "anna"},
		"login-mount-wrap": keyturn.Login{Mount: "vault", Method: "approle", RoleID: "0123", Wrapped: true},
		"logout-mount":     keyturn.Logout{Mount: "vault"},
		"logout-mount-own": keyturn.Logout{Mount: "vault", Given: true},
		"logout-mount-not": keyturn.Logout{Mount: "vault", Keep: true},
		"restore-store": keyturn.RestoreStore{Store: "0123", RootKey: "file", Backup: keyturn.LogMark{Size: 7, Root: "ab"}, Made: day,
			Replaced: &keyturn.LogMark{Size: 9, Root: "cd"}, Unread: true},
		"migrate-secrets": keyturn.MigrateSecrets{Ref: ref.Secret(), Fields: []string{"DB_PASS", "KEY"}, Candidate: "0c1x2y", Texts: "0c1x2z", Replace: true,
			Files: []keyturn.MigratedFile{{Path: "/home/a/.env", Mode: "0640"}, {Path: "/home/a/keyturn.yaml", New: true}}},
		"resume-migration": keyturn.ResumeMigration{Ref: ref.Secret(), ID: "0c1x2y", Texts: "0c1x2z"},
		"revert-migration": keyturn.RevertMigration{Ref: ref.Secret(), ID: "0c1x2y", Texts: "0c1x2z", Out: "/home/a/old"},
		"finish-migration": keyturn.FinishMigration{Ref: ref.Secret(), ID: "0c1x2y"},
		"forget-migration": keyturn.ForgetMigration{Ref: ref.Secret(), ID: "0c1x2y"},
		"list-migrations":  keyturn.ListMigrations{},
		"create-lease":     keyturn.TakeLease{Ref: keyturn.MustRef("vault/database/creds/app")},
		"create-lease-see": keyturn.TakeLease{Ref: keyturn.MustRef("vault/database/creds/app"), Show: true},
		"renew-lease":      keyturn.RenewLease{Ref: keyturn.MustRef("vault/database/creds/app"), ID: "0c1x2y", Seconds: 3600},
		"revoke-lease":     keyturn.RevokeLease{Ref: keyturn.MustRef("vault/database/creds/app"), ID: "0c1x2y", Forget: true},
		"list-leases":      keyturn.ListLeases{Under: under},
		"list-leases-all":  keyturn.ListLeases{},
		"platform-action": keyturn.PlatformAction{Mount: "vault", Action: "database connect", Args: map[string][]string{"name": {"shop"}, "allow": {"a", "b"}},
			On: keyturn.MustRef("vault/secret/a"), Uses: []keyturn.Binding{{Name: "password", Ref: ref}}, To: keyturn.MustRef("local/web"), Out: "/home/a/id", Wrap: 60},
		"platform-action-small": keyturn.PlatformAction{Mount: "vault", Action: "engines"},
	}
}

// TestGoldenOps holds the canonical forms: they are what approvals hash, so a
// difference here means that old approvals and records no longer mean what they
// said. Never regenerate; add a new kind of operation instead.
func TestGoldenOps(t *testing.T) {
	covered := map[string]bool{}
	for name, op := range examples() {
		covered[op.Kind()] = true
		got, err := keyturn.EncodeOp(op)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		file := filepath.Join("testdata", "ops", name+".json")
		want, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) && *update {
			if err := os.WriteFile(file, append(got, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%v (a new kind: run with -update)", err)
		}
		if string(got)+"\n" != string(want) {
			t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
		}
		back, err := keyturn.DecodeOp(got)
		if err != nil || !reflect.DeepEqual(back, op) {
			t.Errorf("%s came back as %#v, %v", name, back, err)
		}
	}
	for _, op := range keyturn.Kinds() {
		if !covered[op.Kind()] {
			t.Errorf("%s has no golden file", op.Kind())
		}
		if !op.Verb().Valid() {
			t.Errorf("%s has the verb %q", op.Kind(), op.Verb())
		}
	}
}

func TestOpsHoldNoValue(t *testing.T) {
	value := reflect.TypeFor[keyturn.Value]()
	var look func(t reflect.Type, seen map[reflect.Type]bool) bool
	look = func(x reflect.Type, seen map[reflect.Type]bool) bool {
		if x == value || x == reflect.TypeFor[[]byte]() {
			return true
		}
		if seen[x] {
			return false
		}
		seen[x] = true
		switch x.Kind() {
		case reflect.Slice, reflect.Array, reflect.Pointer:
			return look(x.Elem(), seen)
		case reflect.Map:
			return look(x.Key(), seen) || look(x.Elem(), seen)
		case reflect.Struct:
			for i := range x.NumField() {
				if look(x.Field(i).Type, seen) {
					return true
				}
			}
		case reflect.Interface, reflect.Func:
			return true
		}
		return false
	}
	for _, op := range keyturn.Kinds() {
		if look(reflect.TypeOf(op), map[reflect.Type]bool{}) {
			t.Errorf("%s has a place for a value", op.Kind())
		}
	}
}

func TestDecodeOpRejects(t *testing.T) {
	for _, in := range []string{
		``, `null`, `[]`, `{}`, `{"op":"x"}`, `{"op":"get-secret","ref":"local/a"}`, `{"op":"get-secret","ref":"kt://local/a","x":1}`,
		`{"ref":"kt://local/a","op":"get-secret"}`, `{"op":"get-secret", "ref":"kt://local/a"}`, `{"op":"get-secret","ref":"kt://local/a","ref":"kt://local/b"}`,
		`{"op":"get-secret","ref":"kt://local/../a"}`, `{"op":"put-secret","ref":"kt://local/a","generate":[{"field":"f","length":1.0}]}`, `{"op":"put-secret","ref":"kt://local/a","generate":[{"field":"f","length":1e1}]}`, `{"op":"get-secret","ref":"kt://local/a"}x`,
		`{"OP":"get-secret","ref":"kt://local/a"}`, `{"op":"get-secret","Ref":"kt://local/a"}`,
	} {
		if op, err := keyturn.DecodeOp([]byte(in)); !errors.Is(err, keyturn.Invalid) {
			t.Errorf("%s was read as %#v, %v", in, op, err)
		}
	}
}

func TestEncodeOpRejects(t *testing.T) {
	for _, op := range []keyturn.Op{
		keyturn.RunCommand{Command: []string{"a\xff"}},
		keyturn.PutSecret{Labels: map[string]string{"a\xff": ""}},
		keyturn.RunCommand{Command: []string{strings.Repeat("a", keyturn.MaxOp)}},
	} {
		if _, err := keyturn.EncodeOp(op); !errors.Is(err, keyturn.Invalid) {
			t.Errorf("%.60v was encoded: %v", op, err)
		}
	}
}

func FuzzDecodeOp(f *testing.F) {
	for _, op := range examples() {
		data, err := keyturn.EncodeOp(op)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		op, err := keyturn.DecodeOp(data)
		if err != nil {
			return
		}
		if again, err := keyturn.EncodeOp(op); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%s has a second spelling: %s, %v", data, again, err)
		}
	})
}

func TestNewID(t *testing.T) {
	now := time.Date(2026, 1, 24, 10, 0, 0, 0, time.UTC)
	var ids []string
	for i := range 100 {
		ids = append(ids, keyturn.NewID(now.Add(time.Duration(i)*time.Millisecond)))
	}
	if !slices.IsSorted(ids) {
		t.Error("ids do not sort by time")
	}
	if a, b := keyturn.NewID(now), keyturn.NewID(now); a == b || len(a) != 26 {
		t.Errorf("ids %s and %s", a, b)
	}
}

func TestRecordRoundTrip(t *testing.T) {
	form, err := keyturn.EncodeOp(examples()["put-secret"])
	if err != nil {
		t.Fatal(err)
	}
	actor := keyturn.Actor{Kind: keyturn.Agent, Name: "x", For: "anna", Proof: "environment", Also: []string{"oidc:group:g"}}
	in := keyturn.Record{Format: keyturn.RecordFormat, ID: "i", Phase: keyturn.Intent, Time: time.Date(2026, 1, 24, 10, 0, 0, 1000, time.UTC),
		Actor: &actor, Door: "cli", Op: form, OpHash: "h", Rule: "a<b>&c.yaml:3", Reason: "r\u2028"}
	data, err := keyturn.EncodeRecord(in)
	if err != nil {
		t.Fatal(err)
	}
	back, err := keyturn.DecodeRecord(data)
	if err != nil || !reflect.DeepEqual(in, back) {
		t.Errorf("%s came back as %+v, %v", data, back, err)
	}
	if !bytes.Contains(data, form) {
		t.Error("the operation is not in the record as it was hashed")
	}
	for _, bad := range []string{`{}`, `{"v":2}`, strings.Replace(string(data), `"v":1`, `"v":1,"x":2`, 1), " " + string(data)} {
		if _, err := keyturn.DecodeRecord([]byte(bad)); !errors.Is(err, keyturn.Corrupt) {
			t.Errorf("%.60s was read as a record: %v", bad, err)
		}
	}
}
