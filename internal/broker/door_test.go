package broker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker"
	"github.com/keyturn/keyturn/internal/rules"
)

func prefix(s string) keyturn.Prefix {
	p, err := keyturn.ParsePrefix(s)
	if err != nil {
		panic(err)
	}
	return p
}

// digest stands for that of a template's text.
var digest = strings.Repeat("ab", 32)

func runs(refs ...keyturn.Ref) keyturn.RunCommand {
	op := keyturn.RunCommand{Command: []string{"npm", "test"}}
	for i, r := range refs {
		op.Env = append(op.Env, keyturn.Binding{Name: fmt.Sprintf("V%d", i), Ref: r})
	}
	return op
}

// generated puts a new value that nobody has to give.
func generated(ref keyturn.Ref) keyturn.PutSecret {
	return keyturn.PutSecret{Ref: ref, Mode: keyturn.Replace, Generate: []keyturn.Generate{{Field: "value"}}}
}

// ops are one operation of each kind that could succeed for a person.
func ops() map[string]keyturn.Op {
	all := map[string]keyturn.Op{}
	for _, op := range []keyturn.Op{
		keyturn.ListMounts{Probe: true}, keyturn.ListSecrets{Under: prefix("local/")}, keyturn.GetSecret{Ref: db},
		keyturn.RevealSecret{Ref: dbPass}, keyturn.ListVersions{Ref: db}, generated(db), keyturn.RollbackSecret{Ref: db},
		keyturn.DeleteSecret{Ref: db}, keyturn.RestoreSecret{Ref: old}, keyturn.DestroySecret{Ref: db},
		runs(dbPass, web), keyturn.EndCommand{ID: "x"}, keyturn.UseSecret{Ref: db}, keyturn.RenderTemplate{Template: "/a.tmpl", Digest: digest, Secrets: []keyturn.Ref{dbPass, web}},
		keyturn.WriteSecret{Ref: db}, keyturn.SealValues{Ref: db}, keyturn.CopySecret{From: db, To: copied, Verify: true}, keyturn.DiffSecrets{A: db, B: web},
		keyturn.ShowTrust{Path: "/p/keyturn.yaml"}, keyturn.TrustProject{Path: "/p/keyturn.yaml", Pinned: []keyturn.Binding{{Name: "DB", Ref: db}}},
		keyturn.UseConfig{Path: "/c/keyturn.yaml"}, keyturn.AdoptStore{Path: "/s"}, keyturn.ListRequests{}, keyturn.ApproveRequest{ID: "nosuchid"}, keyturn.CreateStore{Store: "s", RootKey: "file"},
		keyturn.ListRecords{}, keyturn.VerifyLog{}, keyturn.ExportLog{}, keyturn.MakeCheckpoint{}, keyturn.PruneLog{Before: start.AddDate(-1, 0, 0)},
		keyturn.RekeyStore{}, keyturn.BackupStore{To: "/b", Recipients: []string{"age189c98tdas4w38ja78llsd6eamych4ej24sfvr99m3zzmytk2g5ss40nfd2"}}, keyturn.UnlockStore{Seconds: 60}, keyturn.LockStore{}, keyturn.RestoreStore{Store: "s"},
		keyturn.MigrateSecrets{Ref: db, Fields: []string{"password"}, Candidate: "x"}, keyturn.ResumeMigration{Ref: db, ID: "x"},
		keyturn.RevertMigration{Ref: db, ID: "x"}, keyturn.FinishMigration{Ref: db, ID: "x"}, keyturn.ForgetMigration{Ref: db, ID: "x"},
		keyturn.TakeLease{Ref: dyn, Show: true}, keyturn.RenewLease{Ref: dyn, ID: "x"}, keyturn.RevokeLease{Ref: dyn, ID: "x"}, keyturn.ListLeases{},
		making(copied), keyturn.ListMigrations{}, keyturn.Login{Mount: "prod", Method: "token"}, keyturn.Logout{Mount: "prod"},
	} {
		all[op.Kind()] = op
	}
	return all
}

// everyOp has, for each kind, what each kind of caller gets without any rule. A
// new kind of operation needs a row here: think about who may do it.
//
//	ok       it is done, or fails for another reason than a rule
//	ask      denied, and a person can say yes
//	no       denied, and no person can say yes
//	empty    done, but nothing is in it
var everyOp = map[string]struct{ person, agent, service, remote string }{
	"list-mounts":     {"ok", "empty", "empty", "empty"},
	"list-secrets":    {"ok", "ask", "ask", "ask"},
	"login-mount":     {"ok", "ask", "ask", "ask"},
	"logout-mount":    {"ok", "ask", "ask", "ask"},
	"platform-action": {"ok", "ask", "ask", "ask"},
	"get-secret":      {"ok", "ask", "ask", "ask"},
	"reveal-secret":   {"ok", "ask", "ask", "ask"},
	"list-versions":   {"ok", "ask", "ask", "ask"},
	"put-secret":      {"ok", "ask", "ask", "ask"},
	"rollback-secret": {"ok", "ask", "ask", "ask"},
	"delete-secret":   {"ok", "ask", "ask", "ask"},
	"restore-secret":  {"ok", "ask", "ask", "ask"},
	"destroy-secret":  {"ok", "ask", "ask", "ask"},
	"run-command":     {"ok", "ask", "ask", "ask"},
	"end-command":     {"ok", "ok", "ok", "ok"}, // of what was let through
	"use-secret":      {"invalid", "invalid", "invalid", "invalid"},
	"write-secret":    {"invalid", "invalid", "invalid", "invalid"},
	"seal-values":     {"invalid", "invalid", "invalid", "invalid"},
	"copy-secret":     {"ok", "ask", "ask", "ask"},
	"diff-secrets":    {"ok", "ask", "ask", "ask"},
	"render-template": {"ok", "ask", "ask", "ask"},
	"show-trust":      {"ok", "no", "no", "ask"},
	"trust-project":   {"ok", "no", "no", "ask"},
	"use-config":      {"ok", "no", "no", "ask"},
	"adopt-store":     {"ok", "no", "no", "ask"},
	"list-requests":   {"ok", "no", "no", "ask"},
	"approve-request": {"ok", "no", "no", "ask"},
	"create-store":    {"ok", "ask", "ask", "ask"},
	"list-records":    {"ok", "ask", "ask", "ask"},
	"verify-log":      {"ok", "ask", "ask", "ask"},
	"export-log":      {"ok", "ask", "ask", "ask"},
	"make-checkpoint": {"ok", "ask", "ask", "ask"},
	"prune-log":       {"ok", "no", "no", "ask"},
	"rekey-store":     {"ok", "no", "no", "ask"},
	"backup-store":    {"ok", "no", "no", "ask"},
	"unlock-store":    {"ok", "no", "no", "ask"},
	"lock-store":      {"ok", "no", "no", "ask"},
	"restore-store":   {"ok", "no", "no", "ask"},

	"migrate-secrets":  {"ok", "ask", "ask", "ask"},
	"resume-migration": {"ok", "ok", "ok", "ok"},
	"revert-migration": {"ok", "ask", "ask", "ask"},
	"finish-migration": {"ok", "ok", "ok", "ok"},
	"forget-migration": {"ok", "ask", "ask", "ask"},
	"list-migrations":  {"empty", "empty", "empty", "empty"},

	"create-lease": {"ok", "ask", "ask", "ask"},
	"renew-lease":  {"ok", "ok", "ok", "ok"}, // of one's own
	"revoke-lease": {"ok", "ok", "ok", "ok"},
	"list-leases":  {"empty", "empty", "empty", "empty"},
}

// answer says what came of an operation, in the words of everyOp.
func answer(res keyturn.Result, err error) string {
	e := keyturn.AsError(err)
	switch {
	case e == nil:
		if m, ok := res.(*keyturn.Mounts); ok && len(m.Mounts) == 0 {
			return "empty"
		}
		if m, ok := res.(*keyturn.Leases); ok && len(m.Leases) == 0 {
			return "empty"
		}
		if m, ok := res.(*keyturn.Migrations); ok && len(m.Migrations) == 0 {
			return "empty"
		}
		return "ok"
	case e.Code == keyturn.Invalid:
		return "invalid"
	case e.Code == keyturn.Denied && e.By == "rule" && e.Approval != nil:
		return "ask"
	case e.Code == keyturn.Denied && e.Approval == nil:
		return "no"
	}
	return "ok"
}

func TestEveryOpForEveryCaller(t *testing.T) {
	samples := ops()
	cells := 0
	for _, kind := range keyturn.Kinds() {
		row, known := everyOp[kind.Kind()]
		op := samples[kind.Kind()]
		if !known || op == nil {
			t.Errorf("%s has no row in everyOp, or no sample in ops", kind.Kind())
			continue
		}
		for _, c := range []struct {
			what   string
			actor  keyturn.Actor
			err    error
			remote bool
			want   string
		}{
			{"a person", anna, nil, false, row.person},
			{"an agent", coder, nil, false, row.agent},
			{"a service", ci, nil, false, row.service},
			{"a person over a server", anna, nil, true, row.remote},
			{"an agent over a server", coder, nil, true, row.agent},
			{"a service over a server", ci, nil, true, row.service},
			{"nobody", keyturn.Actor{}, nil, false, "no"},
			{"nobody over a server", keyturn.Actor{}, nil, true, "no"},
			{"a person without a name", keyturn.Actor{Kind: keyturn.Person}, nil, false, "no"},
			{"a name without a kind", keyturn.Actor{Name: "anna"}, nil, false, "no"},
			{"an unknown kind", keyturn.Actor{Kind: "root", Name: "root"}, nil, false, "no"},
			{"who cannot be told", anna, keyturn.E(keyturn.Denied, "who are you?", ""), false, "no"},
		} {
			w := newWorld(t, func(cfg *broker.Config) { cfg.Remote = c.remote })
			w.whoErr = c.err
			n := w.mark()
			res, _, err := w.as(c.actor).do(op)
			if got := answer(res, err); got != c.want {
				t.Errorf("%s by %s: %s, want %s (%s)", op.Kind(), c.what, got, c.want, say(err))
			}
			if calls := w.since(n); c.want != "ok" && len(calls) > 0 {
				t.Errorf("%s by %s reached the platform: %v", op.Kind(), c.what, calls)
			}
			last := w.records()
			if len(last) == 0 || last[0].Actor == nil || last[0].Actor.Principal() != c.actor.Principal() && c.err == nil {
				t.Errorf("%s by %s is not on record", op.Kind(), c.what)
			}
			if _, _, err := w.Log.Verify(t.Context()); err != nil {
				t.Errorf("%s by %s: the log: %v", op.Kind(), c.what, err)
			}
			cells++
		}
	}
	t.Logf("%d kinds of operation, %d cells", len(everyOp), cells)
}

func TestNoOperation(t *testing.T) {
	w := newWorld(t)
	for _, op := range []keyturn.Op{nil, &keyturn.GetSecret{Ref: db}, (*keyturn.GetSecret)(nil), keyturn.GetSecret{}, keyturn.ListSecrets{},
		keyturn.RunCommand{}, keyturn.RunCommand{Command: []string{""}}, keyturn.PutSecret{Ref: db}, keyturn.RevealSecret{},
		keyturn.DestroySecret{Ref: db, Versions: []string{}}, keyturn.RunCommand{Command: []string{"a\xff"}},
		foreign{}, &keyturn.ApproveRequest{ID: "x"}} {
		n := w.mark()
		if _, err := w.Do(t.Context(), op); !errors.Is(err, keyturn.Invalid) {
			t.Errorf("%#v: %s", op, say(err))
		}
		if calls := w.since(n); len(calls) > 0 {
			t.Errorf("%#v reached the platform", op)
		}
	}
	many := keyturn.RunCommand{Command: []string{"x"}}
	for i := range 1001 {
		many.Env = append(many.Env, keyturn.Binding{Name: "A", Ref: keyturn.MustRef(fmt.Sprintf("local/%d", i))})
	}
	w.no(keyturn.Invalid, many)
}

// foreign is an operation of nobody's.
type foreign struct{}

func (foreign) Kind() string        { return "foreign" }
func (foreign) Verb() keyturn.Verb  { return keyturn.List }
func (foreign) Refs() []keyturn.Ref { return nil }
func (foreign) Plan() []keyturn.Op  { return []keyturn.Op{keyturn.RevealSecret{Ref: api}} }

// What is recorded and hashed is what runs: an empty list is no list.
func TestFormIsWhatRuns(t *testing.T) {
	w := newWorld(t)
	put := generated(web)
	put.Labels = map[string]string{"a": "b"}
	w.must(put)
	put = generated(web)
	put.Labels = map[string]string{} // the same form as none: those of the version before
	if got := w.must(put).(*keyturn.Changed).Secret.Labels; got["a"] != "b" {
		t.Errorf("labels %v: the operation did something else than its form says", got)
	}
	put.Expires = time.Date(2027, 1, 1, 0, 0, 0, 5, time.UTC)
	w.no(keyturn.Invalid, put)
	put.Expires = time.Date(2027, 1, 1, 0, 0, 0, 0, time.FixedZone("x", 3600))
	w.no(keyturn.Invalid, put)
}

// drawOp draws an operation of any kind on one of the names.
func drawOp(t *rapid.T, names []keyturn.Ref) keyturn.Op {
	ref := rapid.SampledFrom(names).Draw(t, "ref")
	several := rapid.SliceOfN(rapid.SampledFrom(names), 1, 4).Draw(t, "refs")
	return rapid.SampledFrom([]keyturn.Op{
		keyturn.ListMounts{Probe: true}, keyturn.ListSecrets{Under: prefix(ref.Mount())},
		keyturn.ListSecrets{Under: prefix(ref.Mount()), Shallow: true}, keyturn.GetSecret{Ref: ref},
		keyturn.RevealSecret{Ref: ref}, keyturn.ListVersions{Ref: ref.Secret()}, generated(ref.Secret()),
		keyturn.RollbackSecret{Ref: ref.Secret()}, keyturn.DeleteSecret{Ref: ref.Secret()}, keyturn.RestoreSecret{Ref: ref.Secret()},
		keyturn.DestroySecret{Ref: ref.Secret()}, runs(several...), keyturn.RunCommand{Command: []string{"rm", "-r"}, Env: runs(several...).Env},
		keyturn.RunCommand{Command: []string{"npm", "test"}, Env: runs(several...).Env, Plain: true}, keyturn.UseSecret{Ref: ref},
		keyturn.CopySecret{From: ref, To: copied, Mode: keyturn.Replace, Verify: true}, keyturn.CopySecret{From: web, To: ref.Secret(), Mode: keyturn.Merge},
		keyturn.DiffSecrets{A: ref, B: several[0]}, keyturn.WriteSecret{Ref: ref}, keyturn.SealValues{Ref: ref.Secret()},
		keyturn.RenderTemplate{Template: "/t", Digest: digest, Secrets: several}, keyturn.TrustProject{Path: "/p"}, keyturn.ListRequests{},
		keyturn.ApproveRequest{ID: "nosuchid"}, keyturn.CreateStore{Store: "s"}, keyturn.ListRecords{}, keyturn.VerifyLog{},
		keyturn.ExportLog{}, keyturn.MakeCheckpoint{}, keyturn.PruneLog{Before: start},
		keyturn.RekeyStore{}, keyturn.BackupStore{To: "/b"}, keyturn.LockStore{},
		keyturn.TakeLease{Ref: ref.Secret(), Show: true}, keyturn.ListLeases{}, making(ref.Secret()), keyturn.PlatformAction{Mount: "local", Action: "make id", Uses: making(ref).Uses, Args: making(ref).Args, On: keyturn.MustRef("local/a"), Out: "/x"},
		keyturn.Login{Mount: ref.Mount(), Method: "token"}, keyturn.Logout{Mount: ref.Mount()},
	}).Draw(t, "op")
}

var names = []keyturn.Ref{dynPass, db, dbPass, web, old, api, absent, keyturn.MustRef("prod/api#key"), keyturn.MustRef("nosuch/a")}

// P1: nothing reaches a platform, and no value leaves, without a durable intent
// for exactly that operation before it; however the log fails.
func TestNoRecordNoAccess(t *testing.T) {
	done, failed, calls, values := 0, 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, withRules(t, may("agents", "list describe use reveal write delete destroy", "local/**", run("npm test"))))
		how := rapid.SampledFrom([]string{"never", "first", "second", "always", "some", "after", "after some", "cancelled"}).Draw(rt, "how")
		n := 0
		w.logFail = func() (before, after error) {
			n++
			disk := errors.New("disk full")
			switch {
			case how == "first" && n == 1, how == "second" && n == 2, how == "always":
				return disk, nil
			case how == "some" && rapid.Bool().Draw(rt, "fails"):
				return disk, nil
			case how == "after", how == "after some" && rapid.Bool().Draw(rt, "fails after"):
				return nil, disk
			}
			return nil, nil
		}
		for range 50 {
			op := drawOp(rt, names)
			w.as(rapid.SampledFrom([]keyturn.Actor{anna, coder}).Draw(rt, "actor"))
			ctx, cancel := context.WithCancel(context.Background())
			if how == "cancelled" {
				cancel()
			}
			from := w.mark()
			res, err := w.Do(ctx, op)
			if err == nil {
				if l, ok := res.(*keyturn.Listing); ok {
					for range l.Secrets {
					}
				}
			}
			cancel()
			values += checkIntents(rt, w, op, from, res)
			calls += len(w.since(from))
			if err != nil {
				failed++
				if res != nil {
					rt.Fatalf("%s: an error with an answer", op.Kind())
				}
			}
			done++
		}
		w.logFail = nil
		if err := w.Flush(); err != nil {
			rt.Fatal(err)
		}
		if _, _, err := w.Log.Verify(context.Background()); err != nil {
			rt.Fatalf("%s: the log afterwards: %v", how, err)
		}
	})
	t.Logf("%d operations, %d failed, %d calls of a platform, %d values out", done, failed, calls, values)
	if done < 4000 && !testing.Short() || failed == 0 || calls == 0 || values == 0 {
		t.Error("too little was tried")
	}
}

// checkIntents looks at what happened from an event on, all of it by op, and
// returns how many values came out.
func checkIntents(t *rapid.T, w *world, op keyturn.Op, from int, res keyturn.Result) (values int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	form, _ := keyturn.EncodeOp(op)
	announced, parent := false, ""
	used := map[keyturn.Ref]bool{}
	for _, e := range w.events[from:] {
		for _, r := range e.written {
			if r.Phase != keyturn.Intent {
				continue
			}
			if string(r.Op) == string(form) && r.Parent == "" {
				announced, parent = true, r.ID
			} else if child, err := keyturn.DecodeOp(r.Op); err == nil && r.Parent != "" && r.Parent == parent {
				for _, ref := range child.Refs() {
					used[ref] = true
				}
			}
		}
		if e.call == "" {
			continue
		}
		if !announced {
			t.Fatalf("%s: %s %s before its intent was durable", op.Kind(), e.call, e.ref)
		}
		if _, ok := op.(keyturn.Composite); ok && e.call == "Get" {
			if !slices.ContainsFunc(op.Refs(), func(r keyturn.Ref) bool { return r.Secret() == e.ref.Secret() && used[r] }) {
				t.Fatalf("%s: %s was read without a child's intent", op.Kind(), e.ref)
			}
		}
	}
	switch res := res.(type) {
	case *keyturn.Revealed:
		values = len(res.Secret.Values)
	case *keyturn.Delivery:
		values = len(res.Env)
	case *keyturn.Filling:
		values = len(res.Values)
	case *keyturn.Performed:
		values = len(res.Secret)
	case *keyturn.Copied, *keyturn.Differences:
		values = 1
	}
	if values > 0 && !announced {
		t.Fatalf("%s: a value came out without a durable intent", op.Kind())
	}
	return values
}

// P4: what the rules do not allow does not reach a platform.
func TestNoRuleNoAccess(t *testing.T) {
	actors := []keyturn.Actor{anna, bob, cleo, coder, other, ci, {}}
	allowed, denied := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		var sources []rules.Source
		for range rapid.IntRange(0, 5).Draw(rt, "rules") {
			s := rules.Source{
				Who: rapid.SliceOfN(rapid.SampledFrom([]string{"agents", "services", "everyone", "user:anna", "agent:coder", "sre", "oidc:group:platform-sre"}), 1, 2).Draw(rt, "who"),
				On:  rapid.SliceOfN(rapid.SampledFrom([]string{"**", "local/**", "local/app/*", "local/app/db", "prod/**", "*/api", "local/*/web"}), 1, 2).Draw(rt, "on"),
			}
			var verbs []string
			for _, v := range rapid.SliceOfNDistinct(rapid.SampledFrom(keyturn.Verbs()), 1, 5, rapid.ID[keyturn.Verb]).Draw(rt, "verbs") {
				verbs = append(verbs, string(v))
			}
			if rapid.IntRange(0, 3).Draw(rt, "never") == 0 {
				s.Never = verbs
			} else {
				s.May = verbs
				if slices.Contains(verbs, "use") {
					s.Run, s.Mounts = []string{"npm *"}, []string{"local", "prod"}
				}
				if rapid.IntRange(0, 3).Draw(rt, "needs") == 0 {
					s.Needs, s.Approvals, s.From = true, rapid.IntRange(1, 3).Draw(rt, "k"), rapid.SampledFrom([]string{"", "sre", "dba"}).Draw(rt, "from")
				}
			}
			sources = append(sources, s)
		}
		far := rapid.Bool().Draw(rt, "remote")
		w := newWorld(t, withRules(t, sources...), func(c *broker.Config) { c.Remote = far })
		for range 50 {
			actor, op := rapid.SampledFrom(actors).Draw(rt, "actor"), drawOp(rt, names)
			decide := func(verb keyturn.Verb, path string) rules.Decision {
				q := rules.Request{Actor: actor, Verb: verb, Path: path, Remote: far}
				switch op := op.(type) {
				case keyturn.RunCommand:
					q.Sink.Run = op.Command
				case keyturn.CopySecret:
					q.Sink.Mount, q.Sink.To = op.To.Mount(), op.To.Path()
				case keyturn.DiffSecrets:
					q.Sink.Within = true
				case keyturn.PlatformAction:
					q.Sink.Mount, q.Sink.To = op.Mount, op.Path()
				}
				return w.Rules.Decide(q)
			}
			ok := actor.Principal() != ""
			neverSaid := false
			parts := []keyturn.Op{op}
			if comp, is := op.(keyturn.Composite); is {
				parts = comp.Plan()
			}
			if cp, is := op.(keyturn.CopySecret); is {
				_, opens := w.Rules.Launders(actor, cp.From.Path(), cp.To.Path(), far)
				ok = ok && !opens
			}
			if act, is := op.(keyturn.PlatformAction); is && !act.To.IsZero() {
				_, opens := w.Rules.Launders(actor, act.Path(), act.To.Path(), far)
				ok = ok && !opens
			}
			for _, d := range ofAction(op, decide) {
				ok, neverSaid = ok && d.Effect == rules.Allow, neverSaid || d.Never
			}
			for _, part := range parts {
				r := part.Refs()
				if len(r) == 0 {
					continue
				}
				d := decide(part.Verb(), r[0].Path())
				ok = ok && d.Effect == rules.Allow
				neverSaid = neverSaid || d.Never
				if run, is := op.(keyturn.RunCommand); is && run.Plain {
					d := decide(keyturn.Reveal, r[0].Path())
					ok, neverSaid = ok && d.Effect == rules.Allow && actor.Kind == keyturn.Person, neverSaid || d.Never
				}
			}
			n := w.mark()
			res, yielded, err := w.as(actor).do(op)
			calls := w.since(n)
			switch o := op.(type) {
			case keyturn.ListSecrets:
				for _, y := range yielded {
					info := y.(keyturn.Info)
					if !info.Ref.IsZero() && decide(keyturn.List, info.Ref.Path()).Effect != rules.Allow {
						rt.Fatalf("%s sees %s", actor.Principal(), info.Ref)
					}
					if !info.Ref.IsZero() && info.Version != "" && decide(keyturn.Describe, info.Ref.Path()).Effect != rules.Allow {
						rt.Fatalf("%s sees more of %s than its name", actor.Principal(), info.Ref)
					}
				}
				if !w.Rules.MayAny(actor, o.Under.Mount(), far) && (len(calls) > 0 || !errors.Is(err, keyturn.Denied)) {
					rt.Fatalf("%s lists in %s: %v", actor.Principal(), o.Under, err)
				}
				continue
			case keyturn.ListMounts:
				for _, c := range calls {
					if c.call != "Status" {
						rt.Fatalf("a list of mounts calls %s", c.call)
					}
				}
				continue
			}
			if ok || len(op.Refs()) == 0 {
				allowed++
				continue
			}
			denied++
			e := keyturn.AsError(err)
			if len(calls) > 0 || res != nil || e == nil || e.Code != keyturn.Denied && e.Code != keyturn.Pending && e.Code != keyturn.Invalid {
				rt.Fatalf("%s by %s: %v, %s", op.Kind(), actor.Principal(), calls, say(err))
			}
			if neverSaid && e.Approval != nil {
				rt.Fatalf("%s by %s: a never rule can be asked to give way", op.Kind(), actor.Principal())
			}
		}
	})
	t.Logf("%d allowed, %d denied", allowed, denied)
	if allowed == 0 || denied == 0 {
		t.Error("too little was tried")
	}
}

func TestOneDeniedDeniesAll(t *testing.T) {
	w := newWorld(t, withRules(t, may("agents", "use reveal list", "local/app/db local/app/web", run("npm test"))))
	w.as(coder)
	for _, op := range []keyturn.Op{runs(dbPass, api, web, old), keyturn.RenderTemplate{Template: "/t", Digest: digest, Secrets: []keyturn.Ref{dbPass, api, web, old}}} {
		n := w.mark()
		e := w.no(keyturn.Denied, op)
		if calls := w.since(n); len(calls) > 0 {
			t.Errorf("%s reached the platform: %v", op.Kind(), calls)
		}
		if !strings.Contains(e.Message, "prod/api") || !strings.Contains(e.Message, "local/app/old") || strings.Contains(e.Message, "local/app/web") {
			t.Errorf("%s does not tell all that is refused: %s", op.Kind(), e.Message)
		}
	}
	// Fields of one secret are named once.
	if e := w.no(keyturn.Denied, runs(api, keyturn.MustRef("prod/api#key"))); strings.Count(e.Message, "prod/api") != 1 {
		t.Errorf("%s", e.Message)
	}
	w.must(runs(dbPass, web))
}

func TestChildren(t *testing.T) {
	w := newWorld(t)
	res := w.must(runs(dbPass, web, dbPass)).(*keyturn.Delivery)
	if len(res.Env) != 3 || string(res.Env[0].Value.Reveal()) != secret(1) || res.Env[1].Label != "local/app/web#value" {
		t.Errorf("delivered %v", res.Env)
	}
	var parent string
	children, outcomes := map[string]string{}, 0
	for _, r := range w.records() {
		switch {
		case r.Phase == keyturn.Intent && r.Parent == "":
			parent = r.ID
		case r.Phase == keyturn.Intent:
			op, err := keyturn.DecodeOp(r.Op)
			if err != nil || r.Parent != parent || r.Actor.Principal() != "user:anna" {
				t.Errorf("child %+v, %v", r, err)
			}
			children[r.ID] = op.Refs()[0].Short()
		case r.Status == "success":
			outcomes++
			if children[r.ID] != "" && r.Version != "1" {
				t.Errorf("the version of %s is not on record", children[r.ID])
			}
		}
	}
	if len(children) != 2 || outcomes != 3 || parent != res.Audit() {
		t.Errorf("children %v, %d outcomes", children, outcomes)
	}
}

func TestAllFailuresAreToldAtOnce(t *testing.T) {
	w := newWorld(t)
	op := runs(absent, keyturn.MustRef("local/app/db#nofield"), old, web, db, keyturn.MustRef("nosuch/x"))
	op.Env = append(op.Env, keyturn.Binding{Name: "OPT", Ref: keyturn.MustRef("local/none"), Optional: true})
	e := w.no(keyturn.NotFound, op)
	if len(e.Each) != 5 {
		t.Errorf("%d failures are told: %s", len(e.Each), full(e))
	}
	w.must(runs(web))
	if _, _, err := w.Log.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	op = runs(web)
	op.Env = append(op.Env, keyturn.Binding{Name: "OPT", Ref: keyturn.MustRef("local/none"), Optional: true})
	op.From = []keyturn.Source{{Ref: db, Prefix: "P_"}}
	res := w.must(op).(*keyturn.Delivery)
	if !slices.Equal(res.Missing, []string{"OPT"}) || len(res.Env) != 3 || res.Env[0].Name != "P_password" {
		t.Errorf("delivered %v, missing %v", res.Env, res.Missing)
	}
	// Every child that was announced has an outcome, also when its turn never came.
	open := map[string]bool{}
	for _, r := range w.records() {
		open[r.ID] = r.Phase == keyturn.Intent
	}
	for id, still := range open {
		if still {
			t.Errorf("%s has no outcome", id)
		}
	}
}

// A platform may hold a secret without any field.
func TestSecretWithoutFields(t *testing.T) {
	w := newWorld(t)
	w.store(keyturn.MustRef("local/empty"), nil)
	if e := w.no(keyturn.NotFound, runs(keyturn.MustRef("local/empty"))); strings.Contains(full(e), "panic") {
		t.Error(full(e))
	}
	w.no(keyturn.NotFound, keyturn.RenderTemplate{Template: "/t", Digest: digest, Secrets: []keyturn.Ref{keyturn.MustRef("local/empty")}})
}
