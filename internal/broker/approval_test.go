package broker_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/rules"
)

// ask has the agent ask for op and returns the request's id.
func (w *world) ask(op keyturn.Op, want keyturn.Code) string {
	w.t.Helper()
	e := w.as(coder).no(want, op)
	if e.Approval == nil || e.Approval.ID == "" || e.Approval.Fingerprint == "" || !strings.Contains(e.Hint, "keyturn approve "+e.Approval.ID) {
		w.t.Fatalf("nothing says how to ask: %s", full(e))
	}
	if !e.Approval.Expires.Equal(w.Now().Add(journal.Window)) {
		w.t.Errorf("it expires at %s", e.Approval.Expires)
	}
	return e.Approval.ID
}

func TestApprovedOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	w := newWorld(t)
	op := keyturn.RevealSecret{Ref: dbPass}
	n := w.mark()
	id := w.ask(op, keyturn.Denied)
	if again := w.ask(op, keyturn.Denied); again != id {
		t.Error("asking again made another request")
	}
	if calls := w.since(n); len(calls) > 0 {
		t.Errorf("asking reached the platform: %v", calls)
	}
	// The person whose agent it is may say yes.
	got := w.as(anna).must(keyturn.ApproveRequest{ID: id}).(*keyturn.Approved)
	if got.Request.Given != 1 || got.Request.Needs != 1 || got.Request.Op != keyturn.Op(op) || !got.Request.Actor.Same(coder) || got.Rule != "" {
		t.Errorf("approved %+v", got)
	}
	// Not another caller, verb, version or reference.
	for what, x := range map[string]struct {
		actor keyturn.Actor
		op    keyturn.Op
	}{
		"another agent":     {other, op},
		"a service":         {ci, op},
		"the whole secret":  {coder, keyturn.RevealSecret{Ref: db}},
		"another reference": {coder, keyturn.RevealSecret{Ref: api}},
		"another verb":      {coder, runs(dbPass)},
		"a pinned version":  {coder, keyturn.RevealSecret{Ref: keyturn.MustRef("local/app/db?version=1#password")}},
		"inside a template": {coder, keyturn.RenderTemplate{Template: "/t", Digest: digest, Secrets: []keyturn.Ref{dbPass}}},
	} {
		n := w.mark()
		w.as(x.actor).no(keyturn.Denied, x.op)
		if len(w.since(n)) > 0 {
			t.Errorf("%s reached the platform", what)
		}
	}
	res := w.as(coder).must(op).(*keyturn.Revealed)
	if string(res.Secret.Values["password"].Reveal()) != secret(1) {
		t.Error("another value")
	}
	w.ask(op, keyturn.Denied)
	// The intent names the approval that it ran under.
	if !slices.ContainsFunc(w.records(), func(r keyturn.Record) bool { return r.ID == res.Audit() && r.Approval == id }) {
		t.Error("the approval is not on record")
	}
}

func TestApprovedCommand(t *testing.T) {
	w := newWorld(t)
	op := runs(dbPass, web)
	w.yes(anna, w.ask(op, keyturn.Denied))
	for what, x := range map[string]keyturn.RunCommand{
		"another command":  {Command: []string{"npm", "run"}, Env: op.Env},
		"one more word":    {Command: []string{"npm", "test", ""}, Env: op.Env},
		"one word":         {Command: []string{"npm test"}, Env: op.Env},
		"fewer references": runs(dbPass),
		"another order":    runs(web, dbPass),
		"one more":         runs(dbPass, web, api),
		"another name":     {Command: op.Command, Env: []keyturn.Binding{{Name: "V0", Ref: dbPass}, {Name: "LD_PRELOAD", Ref: web}}},
		"to a file":        {Command: op.Command, Files: []keyturn.Binding{{Name: "/V0", Ref: dbPass}, {Name: "/V1", Ref: web}}},
	} {
		n := w.mark()
		w.as(coder).no(keyturn.Denied, x)
		if len(w.since(n)) > 0 {
			t.Errorf("%s reached the platform", what)
		}
	}
	w.as(coder).must(op)
	w.as(coder).no(keyturn.Denied, op)
}

func TestApprovalAndVersions(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	for what, change := range map[string]func(w *world){
		"another version": func(w *world) { w.store(web, map[string]string{"value": "x"}) },
		"deleted":         func(w *world) { _, _, _ = w.mem["local"].Delete(t.Context(), web) },
		"destroyed":       func(w *world) { _ = w.mem["local"].Destroy(t.Context(), web, nil) },
	} {
		w := newWorld(t)
		op := generated(web)
		w.yes(anna, w.ask(op, keyturn.Denied))
		change(w)
		n := w.mark()
		w.as(coder).no(keyturn.Conflict, op)
		if slices.ContainsFunc(w.since(n), func(e event) bool { return e.call == "Put" || e.call == "Get" }) {
			t.Errorf("%s: it was done all the same", what)
		}
		w.ask(op, keyturn.Denied) // anew
	}
	// Of what is deleted the approval is for that version too.
	w := newWorld(t)
	op := keyturn.RestoreSecret{Ref: old}
	w.yes(anna, w.ask(op, keyturn.Denied))
	w.store(old, map[string]string{"value": "another"})
	if _, _, err := w.mem["local"].Delete(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	w.as(coder).no(keyturn.Conflict, op)
}

func TestApprovalRunsOut(t *testing.T) {
	w := newWorld(t)
	op := keyturn.GetSecret{Ref: db}
	id := w.ask(op, keyturn.Denied)
	w.yes(anna, id)
	w.add(journal.Window)
	if next := w.ask(op, keyturn.Denied); next == id {
		t.Error("an approval that ran out is still there")
	}
	w.as(bob).no(keyturn.NotFound, keyturn.ApproveRequest{ID: id})
}

// An approval is used up by the try, whatever comes of it; but not by a log that
// cannot be written.
func TestApprovalAndFailures(t *testing.T) {
	w := newWorld(t)
	op := keyturn.RevealSecret{Ref: web}
	w.yes(anna, w.ask(op, keyturn.Denied))
	w.logFail = func() (error, error) { return errors.New("disk full"), nil }
	n := w.mark()
	w.as(coder).no(keyturn.Unavailable, op)
	if len(w.since(n)) > 0 {
		t.Error("it reached the platform without a record")
	}
	w.logFail = nil
	w.fail = func(doing string, _ keyturn.Ref) error {
		if doing == "Get" {
			return keyturn.E(keyturn.Unavailable, "down", "")
		}
		return nil
	}
	w.as(coder).no(keyturn.Unavailable, op)
	w.fail = nil
	w.as(coder).no(keyturn.Denied, op)
}

func TestUseRacesInTheDoor(t *testing.T) {
	w := newWorld(t)
	op := keyturn.RevealSecret{Ref: web}
	w.yes(anna, w.ask(op, keyturn.Denied))
	w.as(coder)
	var won atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := w.Do(t.Context(), op); err == nil {
				won.Add(1)
			} else if !errors.Is(err, keyturn.Conflict) && !errors.Is(err, keyturn.Denied) {
				t.Errorf("the loser got %s", say(err))
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d went through under one approval", won.Load())
	}
	if _, _, err := w.Log.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAskWhileTheLogIsDown(t *testing.T) {
	w := newWorld(t)
	w.logFail = func() (error, error) { return errors.New("disk full"), nil }
	if e := w.as(coder).no(keyturn.Unavailable, keyturn.GetSecret{Ref: db}); e.Approval != nil {
		t.Error("a request that is not on record was handed out")
	}
}

func TestQuorum(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	w := newWorld(t, withRules(t, may("agents", "reveal", "local/**", needs(2, "sre")), may("everyone", "reveal", "prod/**", needs(1, ""))))
	op := keyturn.RevealSecret{Ref: dbPass}
	id := w.ask(op, keyturn.Pending)
	w.as(anna).no(keyturn.Denied, keyturn.ApproveRequest{ID: id}) // not of sre
	w.yes(bob, id)
	w.as(bob).no(keyturn.Conflict, keyturn.ApproveRequest{ID: id})
	w.as(coder).no(keyturn.Pending, op)
	w.yes(cleo, id)
	w.as(coder).must(op)
	w.as(coder).no(keyturn.Pending, op)

	// People are bound too, and do not approve what they ask for themselves.
	op = keyturn.RevealSecret{Ref: api}
	id = w.as(anna).no(keyturn.Pending, op).Approval.ID
	asked := len(w.asked)
	w.as(anna).no(keyturn.Denied, keyturn.ApproveRequest{ID: id})
	if len(w.asked) != asked {
		t.Error("a passphrase was asked for where no yes can count")
	}
	w.yes(bob, id)
	w.as(anna).must(op)
}

// What needs approvals keeps needing them beside what no rule allows.
func TestQuorumOfAComposite(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	w := newWorld(t, withRules(t, may("agents", "use", "local/**", run("npm test"), needs(2, "sre"))))
	op := runs(dbPass, api)
	id := w.ask(op, keyturn.Denied)
	w.as(anna).no(keyturn.Denied, keyturn.ApproveRequest{ID: id})
	w.as(bob).no(keyturn.Invalid, keyturn.ApproveRequest{ID: id, Remember: true}) // a rule asks each time
	w.yes(bob, id)
	w.as(coder).no(keyturn.Denied, op)
	w.yes(cleo, id)
	w.as(coder).must(op)

	w = newWorld(t, withRules(t, may("agents", "reveal", "local/**", needs(1, "sre")), may("agents", "reveal", "prod/**", needs(1, "dba"))))
	if e := w.as(coder).no(keyturn.Denied, keyturn.RenderTemplate{Template: "/t", Digest: digest, Secrets: []keyturn.Ref{dbPass, api}}); e.Approval != nil {
		t.Error("one group can say yes for another")
	}
}

// Approvals are counted by the rules of now.
func TestRulesChangeAfterAYes(t *testing.T) {
	w := newWorld(t, withRules(t, may("agents", "reveal", "local/**", needs(1, ""))))
	op := keyturn.RevealSecret{Ref: dbPass}
	w.yes(anna, w.ask(op, keyturn.Pending))
	for what, set := range map[string]*rules.Set{
		"more approvals": ruleSet(t, may("agents", "reveal", "local/**", needs(2, ""))),
		"from a group":   ruleSet(t, may("agents", "reveal", "local/**", needs(1, "sre"))),
		"never":          ruleSet(t, may("agents", "reveal", "local/**", needs(1, "")), never("agents", "reveal", "**")),
		"no approver":    ruleSet(t, may("agents", "reveal", "local/**", needs(1, "")), never("user:anna", "approve", "local/**")),
	} {
		w.Rules = set
		n := w.mark()
		if _, _, err := w.as(coder).do(op); err == nil || len(w.since(n)) > 0 {
			t.Errorf("%s: an old approval still holds", what)
		}
	}
	w.Rules = ruleSet(t, may("agents", "reveal", "local/**", needs(1, "")))
	w.as(coder).must(op)
}

func TestProofs(t *testing.T) {
	w := newWorld(t, withRules(t, may("agents", "reveal", "local/**", func(s *rules.Source) { s.Needs, s.Approvals, s.Proof = true, 1, "passkey" })))
	id := w.ask(keyturn.RevealSecret{Ref: dbPass}, keyturn.Pending)
	if e := w.as(anna).no(keyturn.Denied, keyturn.ApproveRequest{ID: id}); len(w.asked) > 0 || !strings.Contains(e.Message, "passkey") {
		t.Errorf("a passphrase was asked for: %v, %s", w.asked, e.Message)
	}
}

func TestNeverCannotBeApproved(t *testing.T) {
	w := newWorld(t, withRules(t, never("everyone", "reveal use", "prod/**"), may("agents", "reveal use", "**", run("npm *"), needs(1, ""))))
	for _, actor := range []keyturn.Actor{anna, coder, ci} {
		for _, op := range []keyturn.Op{keyturn.RevealSecret{Ref: api}, runs(dbPass, api), keyturn.RenderTemplate{Template: "/t", Digest: digest, Secrets: []keyturn.Ref{web, api}}} {
			if e := w.as(actor).no(keyturn.Denied, op); e.Approval != nil || !strings.Contains(e.Message, "prod/api") {
				t.Errorf("%s by %s: %s", op.Kind(), actor.Principal(), full(e))
			}
		}
	}
	if open := w.as(anna).must(keyturn.ListRequests{}).(*keyturn.Requests).Requests; len(open) > 0 {
		t.Errorf("%d requests were made", len(open))
	}
}

func TestOnlyPeopleSayYes(t *testing.T) {
	all := []string{"list", "describe", "use", "reveal", "write", "delete", "destroy", "rotate", "lease", "administer", "approve"}
	w := newWorld(t, withRules(t, may("agents", strings.Join(all, " "), "**", run("npm *")), may("services", strings.Join(all, " "), "**", run("npm *"))))
	w.Rules = ruleSet(t)
	id := w.ask(keyturn.GetSecret{Ref: db}, keyturn.Denied)
	w.Rules = ruleSet(t, may("agents", strings.Join(all, " "), "**", run("npm *")), may("services", strings.Join(all, " "), "**", run("npm *")))
	for _, actor := range []keyturn.Actor{coder, other, ci} {
		for _, op := range []keyturn.Op{
			keyturn.ApproveRequest{ID: id}, keyturn.ApproveRequest{ID: id, Remember: true}, keyturn.ListRequests{},
			keyturn.TrustProject{Path: "/p"}, keyturn.ShowTrust{Path: "/p"},
			keyturn.RunCommand{Command: []string{"npm", "test"}, Env: runs(db).Env, Plain: true},
			keyturn.PutSecret{Ref: web, Generate: []keyturn.Generate{{Field: "value"}}, Public: []string{"value"}},
		} {
			if e := w.as(actor).no(keyturn.Denied, op); e.Approval != nil {
				t.Errorf("%s by %s can be asked for", op.Kind(), actor.Principal())
			}
		}
	}
	if len(w.asked) > 0 {
		t.Error("a machine was asked for a passphrase")
	}
}

func TestWrongPassphrase(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	w := newWorld(t)
	id := w.ask(keyturn.GetSecret{Ref: db}, keyturn.Denied)
	w.pass["user:anna"] = "short"
	w.as(anna).no(keyturn.Invalid, keyturn.ApproveRequest{ID: id})
	delete(w.pass, "user:anna")
	id2 := w.ask(keyturn.GetSecret{Ref: api}, keyturn.Denied)
	w.yes(anna, id2) // sets it
	w.pass["user:anna"] = "something else"
	w.as(anna).no(keyturn.Denied, keyturn.ApproveRequest{ID: id})
	w.as(coder).no(keyturn.Denied, keyturn.GetSecret{Ref: db})
	if !strings.HasSuffix(w.asked[0], "true") || !strings.HasSuffix(w.asked[len(w.asked)-1], "false") ||
		!strings.Contains(w.asked[0], id) {
		t.Errorf("asked %q", w.asked)
	}
}

// What a rule would make broader than what was shown is not remembered, and the
// listing of requests says so before anybody is asked.
func TestTooBroadToRemember(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	version, err := db.WithVersion("1")
	if err != nil {
		t.Fatal(err)
	}
	for what, op := range map[string]keyturn.Op{
		"a field":      keyturn.RevealSecret{Ref: dbPass},
		"a version":    keyturn.RevealSecret{Ref: version},
		"versions":     keyturn.DestroySecret{Ref: db, Versions: []string{"1"}},
		"a template":   keyturn.RenderTemplate{Template: "/t", Digest: digest, Secrets: []keyturn.Ref{web}},
		"a value":      generated(db),
		"a file":       keyturn.RunCommand{Command: []string{"npm", "test"}, Files: []keyturn.Binding{{Name: "/f", Ref: web}}},
		"all the rest": keyturn.ListSecrets{Under: prefix("local/app")},
	} {
		w := newWorld(t)
		id := w.ask(op, keyturn.Denied)
		list := w.as(anna).must(keyturn.ListRequests{}).(*keyturn.Requests).Requests
		if len(list) != 1 || list[0].Rule != "" || list[0].Broad == "" {
			t.Errorf("%s: offered %+v", what, list)
		}
		w.no(keyturn.Invalid, keyturn.ApproveRequest{ID: id, Remember: true})
		if len(w.rules) > 0 {
			t.Errorf("%s: remembered %v", what, w.rules)
		}
	}
}

// A requester that leaves the operator's rules out gets a request, but whoever
// approves knows them.
func TestApproverJudgesAgain(t *testing.T) {
	w := newWorld(t)
	id, run := w.ask(keyturn.RevealSecret{Ref: web}, keyturn.Denied), w.ask(runs(dbPass), keyturn.Denied)
	w.Rules = ruleSet(t, never("everyone", "reveal", "local/**"),
		rules.Source{Who: []string{"agents"}, May: []string{"use"}, On: []string{"local/**"}, Run: []string{"npm test"}, Needs: true, Approvals: 2, Proof: "passphrase"})
	w.as(anna).no(keyturn.Denied, keyturn.ApproveRequest{ID: id})
	w.must(keyturn.ApproveRequest{ID: run})
	w.as(bob).must(keyturn.ApproveRequest{ID: run})
	w.Rules = ruleSet(t) // the requester leaves them out again: what was approved is something else
	w.as(coder).no(keyturn.Denied, keyturn.RevealSecret{Ref: web})
	w.no(keyturn.Denied, runs(dbPass))
}

func TestRemember(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	star := keyturn.MustRef("local/a*b")
	for what, c := range map[string]struct {
		op   keyturn.Op
		want rules.Source
	}{
		"reveal": {keyturn.RevealSecret{Ref: web}, rules.Source{May: []string{"reveal"}, On: []string{"local/app/web"}}},
		"run": {at("/usr/bin/npm", "/p", runs(dbPass, web)), rules.Source{May: []string{"use"}, On: []string{"local/app/db", "local/app/web"},
			Run: []string{"/usr/bin/npm test"}, In: []string{"/p"}}},
		"a file of the folder": {at("/p/deploy.sh", "/p", keyturn.RunCommand{Command: []string{"./deploy.sh"}, Env: runs(web).Env}), rules.Source{May: []string{"use"},
			On: []string{"local/app/web"}, Run: []string{"/p/deploy.sh"}, In: []string{"/p"}}},
		"stars": {at("/opt/my tools/npm", "/p", keyturn.RunCommand{Command: []string{"npm", "*", "**"}, Env: runs(star).Env}),
			rules.Source{May: []string{"use"}, On: []string{"local/a%2Ab"}, Run: []string{"'/opt/my tools/npm' '*' '**'"}, In: []string{"/p"}}},
		"delete": {keyturn.DeleteSecret{Ref: star}, rules.Source{May: []string{"delete"}, On: []string{"local/a%2Ab"}}},
	} {
		w := newWorld(t)
		id := w.ask(c.op, keyturn.Denied)
		res := w.as(anna).must(keyturn.ApproveRequest{ID: id, Remember: true}).(*keyturn.Approved)
		if len(w.rules) != 1 || res.Rule != "keyturn.yaml:9" {
			t.Fatalf("%s: remembered %v, %q", what, w.rules, res.Rule)
		}
		got := w.rules[0].Source()
		if !slices.Equal(got.Who, []string{"agent:coder"}) || !slices.Equal(got.May, c.want.May) || !slices.Equal(got.On, c.want.On) ||
			!slices.Equal(got.Run, c.want.Run) || !slices.Equal(got.In, c.want.In) || len(got.Never)+len(got.HTTP)+len(got.Mounts)+len(got.Hosts) > 0 || got.Needs {
			t.Errorf("%s: remembered %+v", what, got)
		}
		// It lets exactly this through, and nobody else.
		w.Rules = ruleSet(t, got)
		if _, _, err := w.as(coder).do(c.op); errors.Is(err, keyturn.Denied) {
			t.Errorf("%s: the remembered rule does not allow it: %s", what, say(err))
		}
		w.as(other).no(keyturn.Denied, c.op)
		w.as(coder).no(keyturn.Denied, keyturn.RevealSecret{Ref: api})
		w.as(coder).no(keyturn.Denied, keyturn.RunCommand{Command: []string{"npm", "x", "y"}, Env: runs(db).Env})
		if run, ok := c.op.(keyturn.RunCommand); ok {
			w.as(coder).no(keyturn.Denied, at(run.Program, "/q", run))
			w.as(coder).no(keyturn.Denied, at("/tmp/npm", run.Dir, run))
		}
	}
}

// at is a command as it is started: its program, and in which folder.
func at(program, dir string, op keyturn.RunCommand) keyturn.RunCommand {
	op.Program, op.Dir = program, dir
	return op
}

// TestOpenIsNotRemembered: no rule is written by an approval for a command whose words, or
// whose standard input, decide what is shown; the screen shows what is wrong with others.
func TestOpenIsNotRemembered(t *testing.T) {
	w := newWorld(t)
	for _, argv := range []string{"bash", "python3 -", "psql -h db", "env bash"} {
		args := strings.Fields(argv)
		id := w.ask(at("/usr/bin/"+args[0], "/p", keyturn.RunCommand{Command: args, Env: runs(web).Env}), keyturn.Denied)
		if e := w.as(anna).no(keyturn.Invalid, keyturn.ApproveRequest{ID: id, Remember: true}); !strings.Contains(e.Message, "standard input") {
			t.Errorf("%s: %s", argv, full(e))
		}
	}
	w.ask(at("/usr/bin/npm", "/p", runs(web)), keyturn.Denied)
	list := w.as(anna).must(keyturn.ListRequests{}).(*keyturn.Requests).Requests
	i := slices.IndexFunc(list, func(r keyturn.Request) bool { return r.Op.(keyturn.RunCommand).Command[0] == "npm" })
	if r := list[i]; r.Rule == "" || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "files of the folder") {
		t.Errorf("%+v", r)
	}
}

func TestCannotRemember(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	w := newWorld(t)
	id := w.ask(keyturn.VerifyLog{}, keyturn.Denied)
	w.as(anna).no(keyturn.Invalid, keyturn.ApproveRequest{ID: id, Remember: true})
	w.as(coder).no(keyturn.Denied, keyturn.VerifyLog{})
	// No rule where the yes does not count.
	id = w.ask(keyturn.GetSecret{Ref: db}, keyturn.Denied)
	w.yes(anna, id)
	w.as(anna).no(keyturn.Conflict, keyturn.ApproveRequest{ID: id, Remember: true})
	if len(w.rules) > 0 {
		t.Error("a rule was written by a yes that did not count")
	}
	// No yes where the rule cannot be written.
	w = newWorld(t, func(c *broker.Config) {
		c.Remember = func(rules.Rule) (string, error) { return "", keyturn.E(keyturn.Unavailable, "read-only", "") }
	})
	id = w.ask(keyturn.GetSecret{Ref: db}, keyturn.Denied)
	w.as(anna).no(keyturn.Unavailable, keyturn.ApproveRequest{ID: id, Remember: true})
	w.as(coder).no(keyturn.Denied, keyturn.GetSecret{Ref: db})
}

func TestRequestOnAnUnknownMount(t *testing.T) {
	w := newWorld(t)
	op := keyturn.GetSecret{Ref: keyturn.MustRef("nosuch/a")}
	id := w.ask(op, keyturn.Denied)
	w.as(anna).no(keyturn.NotFound, keyturn.ApproveRequest{ID: id})
	w.as(coder).no(keyturn.Denied, op)
}

// Over a server, approvers see only the requests that they have to do with.
func TestListRequests(t *testing.T) {
	w := newWorld(t, remote, withRules(t, may("user:bob", "approve", "**"), never("user:bob", "approve", "prod/**")))
	w.ask(keyturn.GetSecret{Ref: api}, keyturn.Denied)
	id := w.ask(keyturn.GetSecret{Ref: db}, keyturn.Denied)
	got := w.as(bob).must(keyturn.ListRequests{}).(*keyturn.Requests).Requests
	if len(got) != 1 || got[0].ID != id || got[0].Needs != 1 {
		t.Errorf("bob sees %+v", got)
	}
}

func TestReason(t *testing.T) {
	w := newWorld(t)
	ctx := keyturn.WithCall(t.Context(), keyturn.Call{Door: "cli", Reason: "to deploy\x1b[2J\u202e" + strings.Repeat("ü", 600)})
	w.as(coder)
	if _, err := w.Do(ctx, keyturn.GetSecret{Ref: db}); !errors.Is(err, keyturn.Denied) {
		t.Fatal(err)
	}
	got := w.as(anna).must(keyturn.ListRequests{}).(*keyturn.Requests).Requests[0].Reason
	record := w.records()[0]
	if got != record.Reason || strings.ContainsAny(got, "\x1b\u202e") || len([]rune(got)) > 501 || !strings.HasPrefix(got, "to deploy") || record.Door != "cli" {
		t.Errorf("the reason is %q, on record %q", got, record.Reason)
	}
}

func TestConfirmReveal(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	w := newWorld(t, confirm)
	plain := runs(dbPass)
	plain.Plain = true
	file, wrap := making(keyturn.Ref{}), making(keyturn.Ref{})
	file.Out, wrap.Wrap = "/home/a/id", 60
	bare := wrap
	bare.Uses = nil // about no secret of keyturn's
	for _, op := range []keyturn.Op{keyturn.TakeLease{Ref: dyn, Show: true}, file, wrap, bare, keyturn.RevealSecret{Ref: dbPass}, keyturn.RenderTemplate{Template: "/t", Digest: digest, Secrets: []keyturn.Ref{dbPass, web}}, plain} {
		asked := len(w.asked)
		w.as(anna).must(op)
		if len(w.asked) != asked+1 {
			t.Errorf("%s without a proof", op.Kind())
		}
	}
	asked := len(w.asked)
	w.must(keyturn.GetSecret{Ref: db})
	w.must(runs(dbPass))
	w.must(making(copied))
	w.must(keyturn.TakeLease{Ref: dyn})
	w.must(keyturn.RenderTemplate{Template: "/t", Digest: digest}) // of nothing
	if len(w.asked) != asked {
		t.Error("asked for a proof where nothing is revealed")
	}
	w.pass["user:anna"] = "something else"
	n := w.mark()
	w.no(keyturn.Denied, keyturn.RevealSecret{Ref: dbPass})
	if len(w.since(n)) > 0 {
		t.Error("a wrong passphrase reached the platform")
	}
	// Somebody else's yes is not the caller's own proof.
	delete(w.pass, "user:anna")
	w.add(time.Minute)
	w.Rules = ruleSet(t, may("everyone", "reveal", "**", needs(1, "")))
	w.yes(bob, w.as(anna).no(keyturn.Pending, keyturn.RevealSecret{Ref: web}).Approval.ID)
	asked = len(w.asked)
	w.as(anna).must(keyturn.RevealSecret{Ref: web})
	if len(w.asked) != asked+1 {
		t.Error("an approval took the place of the caller's proof")
	}
}

// Output that is not redacted is shown: to run so is to reveal.
func TestPlainReveals(t *testing.T) {
	w := newWorld(t, withRules(t, never("everyone", "reveal", "local/**")))
	w.must(runs(dbPass))
	plain := runs(dbPass)
	plain.Plain = true
	w.no(keyturn.Denied, plain)
}

func TestTrust(t *testing.T) {
	w := newWorld(t)
	pins := []keyturn.Binding{{Name: "DB", Ref: dbPass}}
	op := keyturn.RunCommand{Command: []string{"npm", "test"}, Env: pins, Project: "/p/keyturn.yaml", Pinned: pins}
	n := w.mark()
	if e := w.no(keyturn.Denied, op); e.Reason != keyturn.Untrusted || len(e.Asks.Added) != 1 || e.Asks.Added[0] != pins[0] || !strings.Contains(e.Hint, "+ DB = local/app/db#password") || len(w.since(n)) > 0 {
		t.Errorf("an untrusted project: %s", full(e))
	}
	w.must(keyturn.TrustProject{Path: "/p/keyturn.yaml", Pinned: pins})
	w.must(op)
	for what, change := range map[string]func(*keyturn.RunCommand){
		"another reference": func(o *keyturn.RunCommand) { o.Pinned = []keyturn.Binding{{Name: "DB", Ref: web}}; o.Env = o.Pinned },
		"one more": func(o *keyturn.RunCommand) {
			o.Pinned = append(slices.Clone(pins), keyturn.Binding{Name: "X", Ref: web})
			o.Env = o.Pinned
		},
		"none":            func(o *keyturn.RunCommand) { o.Pinned = nil },
		"another project": func(o *keyturn.RunCommand) { o.Project = "/q/keyturn.yaml" },
	} {
		changed := op
		change(&changed)
		n := w.mark()
		if _, _, err := w.do(changed); !errors.Is(err, keyturn.Denied) || len(w.since(n)) > 0 {
			t.Errorf("%s: %s", what, say(err))
		}
	}
	// The approval of a command is not lost to a project that is not trusted.
	w.yes(anna, w.ask(runs(web), keyturn.Denied))
	evil := "/p/\x1b]0;x\u202e/keyturn.yaml"
	op.Project = evil
	if e := w.as(anna).no(keyturn.Denied, op); strings.ContainsAny(e.Message+e.Hint, "\x1b\u202e") {
		t.Errorf("a path reaches the terminal as it is: %q", e.Message)
	}
}
