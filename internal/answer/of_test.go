package answer

import (
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/session"
)

const canary = "canary-5TkV9"

// children are parts of other operations, or no operations of Service: doors get no result
// of theirs.
var children = map[string]bool{"use-secret": true, "write-secret": true, "seal-values": true, "create-store": true, "restore-store": true}

// samples are results with all that they can hold, and the members of their documents.
func samples(t *testing.T) map[string]struct {
	op      keyturn.Op
	res     keyturn.Result
	members string
} {
	ref, err := keyturn.ParseRef("local/a")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := keyturn.Receipt{AuditID: "id", Platform: "local", Mount: "local"}
	info := keyturn.Info{Ref: ref, Version: "2", Created: at, State: keyturn.Live, Fields: []string{"f"}}
	values := map[string]keyturn.Value{"f": keyturn.NewValue([]byte(canary))}
	secret := keyturn.Secret{Info: info, Values: values}
	lease := keyturn.LeaseInfo{ID: "l", Ref: ref, Fields: []string{"f"}}
	changed := &keyturn.Changed{Receipt: r, Secret: info, Target: "file", Before: "1", Until: at, Unseen: true, Notice: "a notice"}
	request := keyturn.Request{Approval: keyturn.Approval{ID: "k", Fingerprint: "F", Expires: at}, Op: keyturn.RunCommand{Command: []string{"x"}}, Reason: "why"}
	migration := keyturn.Migration{ID: "m", Ref: ref, Phase: keyturn.MigrationEnded, Files: []keyturn.MigratedFile{{Path: "/p"}}}
	mark := keyturn.Checkpoint{Origin: "o", Size: 1, Head: "h", Time: at}
	one := func(info keyturn.Info, err error) iter.Seq2[keyturn.Info, error] {
		return func(yield func(keyturn.Info, error) bool) { yield(info, err) }
	}
	records := func(yield func(keyturn.Record, error) bool) { yield(keyturn.Record{ID: "id"}, nil) }
	pruned := int64(3)
	type sample = struct {
		op      keyturn.Op
		res     keyturn.Result
		members string
	}
	all := map[string]sample{}
	for _, s := range []sample{
		{keyturn.ListMounts{}, &keyturn.Mounts{Receipt: r}, "mounts"},
		{keyturn.ListSecrets{}, &keyturn.Listing{Receipt: r, Secrets: one(info, nil)}, "secrets"},
		{keyturn.GetSecret{Ref: ref}, &keyturn.Described{Receipt: r, Secret: info}, "secret"},
		{keyturn.RevealSecret{Ref: ref}, &keyturn.Revealed{Receipt: r, Secret: secret}, "secret"},
		{keyturn.ListVersions{Ref: ref}, &keyturn.Versions{Receipt: r, Versions: []keyturn.Info{info}}, "secrets"},
		{keyturn.PutSecret{Ref: ref}, &keyturn.Changed{Receipt: r, Secret: info, Granted: &keyturn.Told{Policy: &keyturn.PolicyTold{Name: "p"}, Notices: []string{"n"}}}, "notices policy secret target"},
		{keyturn.RollbackSecret{Ref: ref}, changed, "notices previous_version recoverable_until secret target"},
		{keyturn.DeleteSecret{Ref: ref}, changed, "notices previous_version recoverable_until secret target"},
		{keyturn.RestoreSecret{Ref: ref}, changed, "notices previous_version recoverable_until secret target"},
		{keyturn.DestroySecret{Ref: ref, Versions: []string{"1"}}, changed, "notices previous_version recoverable_until secret secrets target"},
		{keyturn.RunCommand{Env: []keyturn.Binding{{Name: "A", Ref: ref}}}, &keyturn.Delivery{Receipt: r, Env: []keyturn.Delivered{{Name: "A", Ref: ref, Value: values["f"]}}, Leases: []keyturn.LeaseInfo{lease}}, "command leases secrets"},
		{keyturn.RenderTemplate{Secrets: []keyturn.Ref{ref}}, &keyturn.Filling{Receipt: r, Values: map[keyturn.Ref]keyturn.Value{ref: values["f"]}}, "secrets"},
		{keyturn.CopySecret{From: ref, To: ref, Verify: true}, &keyturn.Copied{Receipt: r, From: info, To: info, Before: "1", Left: []string{"labels"}}, "left_behind previous_version secret source target verified"},
		{keyturn.DiffSecrets{A: ref, B: ref}, &keyturn.Differences{Receipt: r, A: info, B: info}, "fields same secrets"},
		{keyturn.MigrateSecrets{Ref: ref}, &keyturn.Migrated{Receipt: r, Migration: migration}, "artifacts migration"},
		{keyturn.ResumeMigration{Ref: ref}, &keyturn.Migrated{Receipt: r, Migration: migration}, "artifacts migration"},
		{keyturn.RevertMigration{Ref: ref}, &keyturn.MigrationFiles{Receipt: r, Migration: migration, Files: []keyturn.MigrationFile{{Before: values["f"], After: values["f"]}}}, "migration"},
		{keyturn.FinishMigration{Ref: ref}, &keyturn.Migrated{Receipt: r, Migration: migration}, "artifacts migration"},
		{keyturn.ForgetMigration{Ref: ref}, &keyturn.Migrated{Receipt: r, Migration: migration}, "migration"},
		{keyturn.ListMigrations{}, &keyturn.Migrations{Receipt: r}, "migrations"},
		{keyturn.ShowTrust{Path: "/p"}, &keyturn.Trusted{Receipt: r}, "project"},
		{keyturn.TrustProject{Path: "/p"}, &keyturn.Trusted{Receipt: r}, "project"},
		{keyturn.UseConfig{Path: "/p"}, &keyturn.Trusted{Receipt: r}, ""},
		{keyturn.ListRequests{}, &keyturn.Requests{Receipt: r, Requests: []keyturn.Request{request}}, "requests"},
		{keyturn.ApproveRequest{}, &keyturn.Approved{Receipt: r, Request: request, Rule: "f:1"}, "request rule"},
		{keyturn.ListRecords{}, &keyturn.Records{Receipt: r, Records: records, Pruned: &pruned}, "notices records"},
		{keyturn.VerifyLog{}, &keyturn.Verified{Receipt: r, Held: &mark}, "log"},
		{keyturn.ExportLog{}, &keyturn.Exported{Receipt: r}, ""},
		{keyturn.MakeCheckpoint{}, &keyturn.Checkpointed{Receipt: r, Checkpoint: mark}, "checkpoint"},
		{keyturn.PruneLog{}, &keyturn.Pruned{Receipt: r}, "count"},
		{keyturn.PlatformAction{Mount: "local", To: ref}, &keyturn.Performed{Receipt: r, Told: keyturn.Told{Items: []map[string]any{{"a": "b"}}, Text: "t", Change: &keyturn.TextChange{After: "x"}, Policy: &keyturn.PolicyTold{}}, Secret: values, Main: "f", Wrapped: &keyturn.Wrapped{Token: values["f"]}, Stored: info}, "change items policy secret target text wrapped"},
		{keyturn.RekeyStore{}, &keyturn.Rekeyed{Receipt: r}, "store target"},
		{keyturn.BackupStore{}, &keyturn.BackedUp{Receipt: r, Path: "/b"}, "artifacts backup target"},
		{keyturn.UnlockStore{}, &keyturn.Unlocked{Receipt: r}, "store"},
		{keyturn.AdoptStore{Path: "/s"}, &keyturn.Adopted{Receipt: r, Path: "/s"}, "store target"},
		{keyturn.EndCommand{ID: "r", Held: []keyturn.Ref{ref}}, &keyturn.Ended{Receipt: r}, ""},
		{keyturn.LockStore{}, &keyturn.Unlocked{Receipt: r}, "store"},
		{keyturn.Login{Mount: "vault"}, &keyturn.LoggedIn{Receipt: r, Target: "t", Instead: "VAULT_TOKEN", Left: keyturn.E(keyturn.Denied, "no", "")}, "login notices target"},
		{keyturn.Logout{Mount: "vault"}, &keyturn.LoggedOut{Receipt: r, Target: "t", Err: keyturn.E(keyturn.Denied, "no", "")}, "errors login target"},
		{keyturn.TakeLease{Ref: ref, Show: true}, &keyturn.Leased{Receipt: r, Lease: lease, Values: values}, "lease secret"},
		{keyturn.RenewLease{Ref: ref}, &keyturn.Leased{Receipt: r, Lease: lease}, "lease"},
		{keyturn.RevokeLease{Ref: ref, Forget: true}, &keyturn.Leased{Receipt: r, Lease: lease}, "lease"},
		{keyturn.ListLeases{}, &keyturn.Leases{Receipt: r}, "leases"},
	} {
		all[s.op.Kind()] = s
	}
	return all
}

// Every operation has a document with what its result tells, and none with a value of it.
func TestOfEveryOperation(t *testing.T) {
	all := samples(t)
	about := About{Verbose: true, Store: session.StoreFacts{ID: "s"}, Action: keyturn.Action{Operation: "do-it"}}
	for _, op := range keyturn.Kinds() {
		s, ok := all[op.Kind()]
		if ok == children[op.Kind()] {
			t.Errorf("%s: a sample: %v", op.Kind(), ok)
		}
		if !ok {
			continue
		}
		doc, err := Of(s.op, s.res, about)
		if err != nil {
			t.Errorf("%s: %v", op.Kind(), err)
			continue
		}
		text := compact(t, doc)
		if strings.Contains(text, canary) {
			t.Errorf("%s holds a value: %s", op.Kind(), text)
		}
		members := map[string]json.RawMessage{}
		if err := json.Unmarshal([]byte(text), &members); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"operation", "status", "audit_id", "platform", "mount"} {
			if members[name] == nil {
				t.Errorf("%s has no %s: %s", op.Kind(), name, text)
			}
			delete(members, name)
		}
		if got := strings.Join(sorted(members), " "); got != s.members {
			t.Errorf("%s tells %s, not %s", op.Kind(), got, s.members)
		}
	}
}

// An operation is named as its command is, also where another one did it.
func TestOperationNames(t *testing.T) {
	for want, x := range map[string]struct {
		op  keyturn.Op
		res keyturn.Result
	}{
		"get-secret":      {keyturn.RevealSecret{}, &keyturn.Revealed{}},
		"create-secret":   {keyturn.PutSecret{}, &keyturn.Changed{Created: true}},
		"update-secret":   {keyturn.PutSecret{}, &keyturn.Changed{}},
		"rollback-secret": {keyturn.RollbackSecret{}, &keyturn.Changed{}},
		"migrate-secrets": {keyturn.ResumeMigration{}, &keyturn.Migrated{}},
		"seal-server":     {keyturn.PlatformAction{}, &keyturn.Performed{}},
	} {
		doc, err := Of(x.op, x.res, About{Action: keyturn.Action{Operation: "seal-server"}})
		if err != nil || doc.Operation != want {
			t.Errorf("%s, not %s: %v", doc.Operation, want, err)
		}
	}
}

func TestListing(t *testing.T) {
	under, err := keyturn.ParsePrefix("local/")
	if err != nil {
		t.Fatal(err)
	}
	ref, err := keyturn.ParseRef("local/a")
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		info keyturn.Info
		err  error
	}
	list := func(rows ...row) *keyturn.Listing {
		return &keyturn.Listing{Secrets: func(yield func(keyturn.Info, error) bool) {
			for _, r := range rows {
				if !yield(r.info, r.err) {
					return
				}
			}
		}}
	}
	denied, full := keyturn.E(keyturn.Denied, "no", ""), keyturn.E(keyturn.Unavailable, "full", "")
	folder := keyturn.Info{Path: "kt://local/b/"}
	doc, err := Of(keyturn.ListSecrets{Under: under}, list(row{folder, nil}, row{folder, full}, row{keyturn.Info{Ref: ref, State: keyturn.Live}, nil}, row{folder, denied}, row{}), About{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := compact(t, doc), `{"operation":"list-secrets","status":"partial","secrets":[{"ref":"kt://local/a","labels":{}}],"folders":["kt://local/b/"],`+
		`"notices":["`+Unnamed+`"],"errors":[{"code":"unavailable","message":"full"},{"code":"denied","message":"no"}]}`; got != want {
		t.Errorf("%s", got)
	}
	if doc.Code() != keyturn.Denied { // the gravest
		t.Errorf("code %s", doc.Code())
	}
	if doc, err = Of(keyturn.ListSecrets{Under: under}, list(), About{}); err != nil || doc.Code() != "" || compact(t, doc) != `{"operation":"list-secrets","status":"success","secrets":[]}` {
		t.Errorf("%v, %v", compact(t, doc), err)
	}
	if _, err = Of(keyturn.ListSecrets{Under: under}, list(row{keyturn.Info{Ref: ref}, nil}, row{keyturn.Info{}, full}), About{}); !errors.Is(err, keyturn.Unavailable) {
		t.Errorf("an error that ends the listing: %v", err)
	}
}
