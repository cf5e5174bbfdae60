package broker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/platformtest"
	"github.com/keyturn/keyturn/internal/rules"
)

// blobs is a platform that keeps one small value and nothing else.
var blobs = platform.Spec{Platform: "blobs", MaxValue: 64, NumericVersions: true, OrderedVersions: true}

func (w *world) mount(name string, spec platform.Spec) *world {
	w.mem[name] = platformtest.NewMemory(name, spec)
	w.mounts[name] = platform.NewMount(name, &spy{w: w, Memory: w.mem[name]}, spec, "→ memory "+name)
	return w
}

func ref(s string) keyturn.Ref { return keyturn.MustRef(s) }

func to(mounts ...string) func(*rules.Source) {
	return func(s *rules.Source) { s.Mounts = mounts }
}

func calledPut(calls []event) bool {
	return slices.ContainsFunc(calls, func(e event) bool { return e.call == "Put" })
}

func calledGet(calls []event) bool {
	return slices.ContainsFunc(calls, func(e event) bool { return e.call == "Get" })
}

func TestCopyBetweenShapes(t *testing.T) {
	const odd = " { \"a\" : 1,\n\t\"b\":\"\\u00e9\" }\x00\xff\r\n"
	t.Run("fields to one value", func(t *testing.T) {
		w := newWorld(t).mount("blob", blobs)
		op := keyturn.CopySecret{From: db, To: ref("blob/x")}
		n := w.mark()
		e := w.no(keyturn.Conflict, op)
		if e.Reason != keyturn.WouldLose || !strings.Contains(e.Message, "one JSON object") || !strings.HasPrefix(e.Hint, "--yes ") {
			t.Errorf("%s (%s)", e.Message, e.Hint)
		}
		if calls := w.since(n); calledGet(calls) || calledPut(calls) {
			t.Errorf("a value was read to say so: %v", calls)
		}
		op.Lossy, op.Verify = true, true
		res := w.must(op).(*keyturn.Copied)
		if want := `{"password":"` + secret(1) + `","user":"` + secret(2) + `"}`; w.value(op.To, "value") != want {
			t.Errorf("it holds %q", w.value(op.To, "value"))
		}
		if len(res.Left) != 1 || !res.Created || !res.Verified || res.To.Version != "1" || res.From.Version != "1" || res.From.Fields != nil || res.Mount != "blob" {
			t.Errorf("%+v", res)
		}
	})
	t.Run("one field to one value", func(t *testing.T) {
		w := newWorld(t).mount("blob", blobs)
		w.must(keyturn.CopySecret{From: dbPass, To: ref("blob/x#value"), Verify: true})
		if w.value(ref("blob/x"), "value") != secret(1) {
			t.Error("another value")
		}
		w.no(keyturn.Unsupported, keyturn.CopySecret{From: dbPass, To: ref("blob/x#password")})
	})
	t.Run("one value there and back", func(t *testing.T) {
		w := newWorld(t).mount("blob", blobs).mount("blob2", blobs)
		w.store(ref("blob/x"), map[string]string{"value": odd})
		w.must(keyturn.CopySecret{From: ref("blob/x"), To: ref("local/x"), Verify: true})
		w.must(keyturn.CopySecret{From: ref("local/x"), To: ref("blob2/x"), Verify: true})
		w.must(keyturn.CopySecret{From: ref("blob/x"), To: ref("blob2/y"), Verify: true})
		for _, r := range []string{"local/x", "blob2/x", "blob2/y"} {
			if w.value(ref(r), "value") != odd {
				t.Errorf("%s is not byte for byte the same", r)
			}
		}
	})
	t.Run("too large, and not text", func(t *testing.T) {
		w := newWorld(t).mount("blob", blobs)
		w.store(ref("local/large"), map[string]string{"value": strings.Repeat("x", 65)})
		w.store(ref("local/bytes"), map[string]string{"a": "\xff\xfe", "b": "x"})
		for from, want := range map[string]keyturn.Code{"local/large": keyturn.Invalid, "local/bytes": keyturn.Unsupported} {
			n := w.mark()
			w.no(want, keyturn.CopySecret{From: ref(from), To: ref("blob/x"), Lossy: true})
			if calledPut(w.since(n)) {
				t.Errorf("%s was written", from)
			}
		}
	})
	t.Run("what is known of it", func(t *testing.T) {
		w := newWorld(t).mount("blob", blobs)
		w.must(keyturn.PutSecret{Ref: web, Mode: keyturn.Replace, Generate: []keyturn.Generate{{Field: "value"}}, Public: []string{"value"},
			Labels: map[string]string{"team": "web"}, Expires: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)})
		op := keyturn.CopySecret{From: web, To: ref("blob/x")}
		e := w.no(keyturn.Conflict, op)
		for _, part := range []string{"labels", "public", "replaced"} {
			if !strings.Contains(e.Message, part) {
				t.Errorf("nothing tells of %s: %s", part, e.Message)
			}
		}
		if strings.Contains(e.Message, "team") {
			t.Error("a label's name is told to whoever may use it")
		}
		op.Lossy = true
		if res := w.must(op).(*keyturn.Copied); len(res.Left) != 3 {
			t.Errorf("left behind: %q", res.Left)
		}
		res := w.must(keyturn.CopySecret{From: web, To: copied}).(*keyturn.Copied)
		if len(res.Left) > 0 || res.To.Labels["team"] != "web" || !slices.Equal(res.To.Public, []string{"value"}) || res.To.Expires.Year() != 2027 {
			t.Errorf("%+v", res)
		}
	})
	t.Run("where names of fields need the value", func(t *testing.T) {
		w := newWorld(t).mount("blob", blobs)
		spec := w.mounts["local"].Spec()
		spec.FieldNamesNeedValue = true
		w.mount("deaf", spec)
		w.store(ref("deaf/x"), map[string]string{"a": "1", "b": "2"})
		n := w.mark()
		w.no(keyturn.Conflict, keyturn.CopySecret{From: ref("deaf/x"), To: ref("blob/x")})
		if calledPut(w.since(n)) {
			t.Error("it was told too late")
		}
	})
}

func TestCopyOver(t *testing.T) {
	w := newWorld(t)
	w.store(copied, map[string]string{"user": "x", "other": "y"})
	op := keyturn.CopySecret{From: db, To: copied}
	if e := w.no(keyturn.Conflict, op); !strings.Contains(e.Hint, "--merge") || !strings.Contains(e.Message, "other") {
		t.Errorf("%s (%s)", e.Message, e.Hint)
	}
	op.Mode = keyturn.Merge
	if res := w.must(op).(*keyturn.Copied); res.Before != "1" || res.Created || w.value(copied, "other") != "y" || w.value(copied, "user") != secret(2) {
		t.Errorf("%+v", res)
	}
	op.Mode, op.IfVersion = keyturn.Replace, "1"
	w.no(keyturn.Conflict, op)
	op.IfVersion = "2"
	if res := w.must(op).(*keyturn.Copied); len(res.To.Fields) != 2 {
		t.Errorf("%+v", res)
	}
	// An earlier version, and one field into a secret that keeps its others.
	w.store(db, map[string]string{"password": "new"})
	w.must(keyturn.CopySecret{From: ref("local/app/db?version=1#password"), To: ref("prod/copied#old")})
	if w.value(copied, "old") != secret(1) || w.value(copied, "user") != secret(2) {
		t.Error("not that version, or the others went")
	}
	for what, bad := range map[string]keyturn.CopySecret{
		"a version of the target": {From: db, To: ref("prod/copied?version=1")}, "a field to a secret": {From: dbPass, To: copied},
		"a secret to a field": {From: db, To: ref("prod/copied#x")}, "itself": {From: db, To: db}, "an unknown mode": {From: db, To: copied, Mode: "x"},
		"a mode for a field": {From: dbPass, To: ref("prod/copied#x"), Mode: keyturn.Replace}, "no source": {To: copied}, "no target": {From: db},
	} {
		n := w.mark()
		w.no(keyturn.Invalid, bad)
		if len(w.since(n)) > 0 {
			t.Errorf("%s reached a platform", what)
		}
	}
}

// A copy that fails in the middle leaves nothing, and says what it does not know.
func TestCopyFailing(t *testing.T) {
	for what, c := range map[string]struct {
		fail    func(doing string, ref keyturn.Ref) error
		want    keyturn.Code
		unknown bool
		there   bool
	}{
		"the source is down":   {fail: failing("Get", keyturn.E(keyturn.Unavailable, "down", "")), want: keyturn.Unavailable},
		"the target is down":   {fail: failing("Put", keyturn.E(keyturn.Unavailable, "down", "")), want: keyturn.Unavailable},
		"nobody knows":         {fail: failing("Put", &keyturn.Error{Code: keyturn.Unavailable, Message: "time-out", Unknown: true}), want: keyturn.Unavailable, unknown: true},
		"the target says no":   {fail: failing("Put", keyturn.E(keyturn.Denied, "no", "")), want: keyturn.Denied},
		"nothing can be known": {fail: failing("Describe", keyturn.E(keyturn.Denied, "no", "")), want: keyturn.Denied},
	} {
		w := newWorld(t)
		w.fail = c.fail
		e := w.no(c.want, keyturn.CopySecret{From: db, To: copied})
		w.fail = nil
		if e.Unknown != c.unknown {
			t.Errorf("%s: unknown is %v", what, e.Unknown)
		}
		if _, err := w.mem["prod"].Get(t.Context(), copied); !errors.Is(err, keyturn.NotFound) {
			t.Errorf("%s: something was left: %v", what, err)
		}
		open := map[string]bool{}
		for _, r := range w.records() {
			open[r.ID] = r.Phase == keyturn.Intent
			if r.Phase == keyturn.Outcome && r.Parent == "" && c.unknown && r.Status == "success" && r.Version == "" {
				t.Errorf("%s: a success without a version", what)
			}
		}
		for id, still := range open {
			if still {
				t.Errorf("%s: %s has no outcome", what, id)
			}
		}
	}
	// What reads back otherwise is told.
	w := newWorld(t)
	w.fail = func(doing string, r keyturn.Ref) error {
		if doing == "Get" && r.Mount() == "prod" {
			return keyturn.E(keyturn.Unavailable, "down", "")
		}
		return nil
	}
	if e := w.no(keyturn.Unavailable, keyturn.CopySecret{From: db, To: copied, Verify: true}); !strings.Contains(e.Message, "prod/copied version 1 was written, but could not be read back") {
		t.Error(e.Message)
	}
	w = newWorld(t)
	w.mounts["prod"] = platform.NewMount("prod", forgetful{w.mem["prod"]}, w.mounts["prod"].Spec(), "")
	if e := w.no(keyturn.Corrupt, keyturn.CopySecret{From: db, To: copied, Verify: true}); !strings.Contains(e.Message, "does not read back as the same") || strings.Contains(full(e), secret(1)) {
		t.Error(full(e))
	}
}

func failing(doing string, err error) func(string, keyturn.Ref) error {
	return func(d string, _ keyturn.Ref) error {
		if d == doing {
			return err
		}
		return nil
	}
}

// forgetful is a platform that reads back something else.
type forgetful struct{ *platformtest.Memory }

func (f forgetful) Put(ctx context.Context, r keyturn.Ref, n platform.New) (keyturn.Info, error) {
	n.Values = values("password", "else", "user", secret(2))
	return f.Memory.Put(ctx, r, n)
}

func TestCopyIsOnRecord(t *testing.T) {
	w := newWorld(t)
	res := w.must(keyturn.CopySecret{From: db, To: copied}).(*keyturn.Copied)
	kinds, versions := map[string]string{}, map[string]string{}
	for _, r := range w.records() {
		if r.Phase == keyturn.Intent && r.Parent == res.Audit() {
			op, err := keyturn.DecodeOp(r.Op)
			if err != nil {
				t.Fatal(err)
			}
			kinds[r.ID] = op.Kind() + " " + op.Refs()[0].Short()
		}
		if r.Phase == keyturn.Outcome && r.Status == "success" {
			versions[kinds[r.ID]] = r.Version
		}
	}
	if len(kinds) != 2 || versions["use-secret local/app/db"] != "1" || versions["write-secret prod/copied"] != "1" || versions[""] != "1" {
		t.Errorf("children %v, outcomes %v", kinds, versions)
	}
}

// Each child is judged with its own verb: who may use the source and write the
// target may copy, and nobody else.
func TestCopyByRule(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	op := keyturn.CopySecret{From: db, To: copied}
	for what, c := range map[string]struct {
		rules []rules.Source
		no    string // in the refusal; "" where it is done
	}{
		"use and write":               {[]rules.Source{may("agents", "use", "local/**", to("prod")), may("agents", "write", "prod/**")}, ""},
		"only to that secret":         {[]rules.Source{may("agents", "use", "local/**", to("prod/copied")), may("agents", "write", "prod/**")}, ""},
		"to everything below":         {[]rules.Source{may("agents", "use", "local/**", to("prod/**")), may("agents", "write", "prod/**")}, ""},
		"only to another secret":      {[]rules.Source{may("agents", "use", "local/**", to("prod/other")), may("agents", "write", "prod/**")}, "use local/app/db"},
		"only to another mount":       {[]rules.Source{may("agents", "use", "local/**", to("local")), may("agents", "write", "prod/**")}, "use local/app/db"},
		"only by a command":           {[]rules.Source{may("agents", "use", "local/**", run("npm test")), may("agents", "write", "prod/**")}, "use local/app/db"},
		"no write":                    {[]rules.Source{may("agents", "use", "local/**", to("prod"))}, "write prod/copied"},
		"write on the source, use on": {[]rules.Source{may("agents", "use", "prod/**", to("prod")), may("agents", "write", "local/**")}, "use local/app/db and write prod/copied"},
		"a never on the write":        {[]rules.Source{may("agents", "use", "local/**", to("prod")), may("agents", "write", "prod/**"), never("agents", "write", "prod/*")}, "write prod/copied"},
	} {
		w := newWorld(t, withRules(t, c.rules...))
		n := w.mark()
		_, _, err := w.as(coder).do(op)
		if c.no == "" {
			if err != nil {
				t.Errorf("%s: %s", what, say(err))
			}
			continue
		}
		if !errors.Is(err, keyturn.Denied) || !strings.Contains(err.Error(), "may not "+c.no+": ") || len(w.since(n)) > 0 {
			t.Errorf("%s: %s", what, say(err))
		}
	}
	// An approval that a rule asks for one part is for all of it.
	w := newWorld(t, withRules(t, may("agents", "use", "local/**", to("prod")), may("agents", "write", "prod/**", needs(1, "sre"))))
	id := w.ask(op, keyturn.Pending)
	if _, _, err := w.as(anna).do(keyturn.ApproveRequest{ID: id}); !errors.Is(err, keyturn.Denied) {
		t.Errorf("somebody else said yes: %s", say(err))
	}
	w.yes(bob, id)
	w.as(coder).must(op)
	w.no(keyturn.Pending, op)
	if e := w.as(coder).no(keyturn.Pending, op); e.Approval == nil {
		t.Error("no way to ask")
	}
	id = w.ask(op, keyturn.Pending)
	if _, _, err := w.as(bob).do(keyturn.ApproveRequest{ID: id, Remember: true}); !errors.Is(err, keyturn.Invalid) {
		t.Errorf("one rule for two verbs was remembered: %s", say(err))
	}
}

func TestCopyHoldsBothVersions(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	op := keyturn.CopySecret{From: db, To: web, Mode: keyturn.Replace}
	for what, change := range map[string]func(w *world){
		"the source": func(w *world) { w.store(db, map[string]string{"password": "x"}) },
		"the target": func(w *world) { w.store(web, map[string]string{"value": "x"}) },
		"the target is deleted": func(w *world) {
			if _, _, err := w.mem["local"].Delete(t.Context(), web); err != nil {
				t.Fatal(err)
			}
		},
	} {
		w := newWorld(t)
		w.yes(anna, w.ask(op, keyturn.Denied))
		change(w)
		n := w.mark()
		w.as(coder).no(keyturn.Conflict, op)
		if calls := w.since(n); calledGet(calls) || calledPut(calls) {
			t.Errorf("%s has changed, and it was done all the same", what)
		}
	}
	// Between the yes being spent and the read, too.
	w := newWorld(t)
	w.yes(anna, w.ask(op, keyturn.Denied))
	w.fail = func(doing string, r keyturn.Ref) error {
		if doing == "Get" && r == db {
			w.fail = nil
			w.store(db, map[string]string{"password": "x", "user": "y"})
		}
		return nil
	}
	n := w.mark()
	w.as(coder).no(keyturn.Conflict, op)
	if calledPut(w.since(n)) {
		t.Error("a value was copied that nobody said yes to")
	}
}

// I10: a copy does not open what was closed.
func TestLaundering(t *testing.T) {
	scratch := ref("local/scratch/x")
	open := []rules.Source{may("agents", "use", "local/**", to("local")), may("agents", "write reveal", "local/scratch/**")}
	op := keyturn.CopySecret{From: db, To: scratch}
	for _, actor := range []keyturn.Actor{coder, anna} {
		w := newWorld(t, withRules(t, open...))
		n := w.mark()
		e := w.as(actor).no(keyturn.Denied, op)
		if e.By != "rule" || e.Approval == nil || !strings.Contains(e.Message, "any agent could then reveal it at local/scratch/x, by the rule at keyturn.yaml:2") || len(w.since(n)) > 0 {
			t.Errorf("%s: %s, %v", actor.Principal(), full(e), w.since(n))
		}
		// A yes of somebody who was told lets it through, once.
		reqs := w.as(bob).must(keyturn.ListRequests{}).(*keyturn.Requests).Requests
		if len(reqs) != 1 || !strings.Contains(reqs[0].Opens, "any agent could then reveal it") {
			t.Errorf("who says yes is not told: %+v", reqs)
		}
		w.yes(bob, e.Approval.ID)
		w.as(actor).must(op)
		if w.value(scratch, "password") != secret(1) {
			t.Error("it was not copied")
		}
		w.no(keyturn.Denied, op)
		// One field, and an earlier version, too.
		w.no(keyturn.Denied, keyturn.CopySecret{From: dbPass, To: ref("local/scratch/x#f")})
		w.no(keyturn.Denied, keyturn.CopySecret{From: ref("local/app/db?version=1"), To: scratch})
	}
	// So is a command there that shows it, where none at the source does.
	shows := []rules.Source{may("agents", "use", "local/app/**", run("true"), to("local")), may("agents", "write use", "local/scratch/**", run("sh **"))}
	for _, actor := range []keyturn.Actor{coder, anna} {
		if e := newWorld(t, withRules(t, shows...)).as(actor).no(keyturn.Denied, op); !strings.Contains(e.Message, "any agent could then have a command show it at local/scratch/x, by the rule at keyturn.yaml:2") {
			t.Errorf("%s: %s", actor.Principal(), full(e))
		}
	}
	shows[0].Run = []string{"bash **"}
	newWorld(t, withRules(t, shows...)).as(coder).must(op)
	// A rule that names the target says so, for whom it is and for no other.
	w := newWorld(t, withRules(t, append(open, may("agent:coder", "use", "local/app/db", to("local/scratch/x")))...))
	w.as(coder).must(op)
	w.as(other).no(keyturn.Denied, op)
	w.as(coder).no(keyturn.Denied, keyturn.CopySecret{From: db, To: ref("local/scratch/y")})
	// A rule that forbids is not given way to.
	w = newWorld(t, withRules(t, append(open, never("everyone", "write", "local/scratch/**"))...))
	if e := w.as(coder).no(keyturn.Denied, op); e.Approval != nil {
		t.Error("a never can be asked to give way")
	}
}

func TestDiff(t *testing.T) {
	w := newWorld(t)
	w.store(copied, map[string]string{"password": secret(1), "user": "another", "new": "x"})
	res := w.must(keyturn.DiffSecrets{A: db, B: copied}).(*keyturn.Differences)
	want := []keyturn.FieldDifference{{Field: "new", Is: keyturn.OnlyB}, {Field: "password", Is: keyturn.Same}, {Field: "user", Is: keyturn.Different}}
	if !slices.Equal(res.Fields, want) || res.Same() || res.A.Version != "1" || res.A.Fields != nil {
		t.Errorf("%+v", res)
	}
	for op, want := range map[keyturn.DiffSecrets]string{
		{A: db, B: db}: keyturn.Same, {A: dbPass, B: ref("prod/copied#password")}: keyturn.Same, {A: dbPass, B: ref("local/app/db#user")}: keyturn.Different,
		{A: web, B: ref("prod/api#key")}: keyturn.Different, {A: ref("local/app/db?version=1"), B: db}: keyturn.Same,
	} {
		res := w.must(op).(*keyturn.Differences)
		if res.Same() != (want == keyturn.Same) || len(res.Fields) == 0 {
			t.Errorf("%+v: %+v", op, res)
		}
	}
	w.no(keyturn.Invalid, keyturn.DiffSecrets{A: dbPass, B: db})
	w.no(keyturn.NotFound, keyturn.DiffSecrets{A: dbPass, B: absent})
	if e := w.no(keyturn.NotFound, keyturn.DiffSecrets{A: absent, B: ref("prod/none")}); len(e.Each) != 2 {
		t.Errorf("not both are told: %s", full(e))
	}
	w.no(keyturn.Invalid, keyturn.DiffSecrets{A: db})
	// A rule for any use of both.
	w = newWorld(t, withRules(t, may("agents", "use", "local/app/db", run("npm test")), may("agents", "use", "local/app/web", to("prod"))))
	w.as(coder).must(keyturn.DiffSecrets{A: db, B: web})
	w.no(keyturn.Denied, keyturn.DiffSecrets{A: db, B: api})
}

// I9: agents and services share a small budget of compares for each secret,
// however they ask at the same time.
func TestCompareBudget(t *testing.T) {
	w := newWorld(t, withRules(t, may("agents", "use", "**", run("x")), may("services", "use", "**", run("x"))))
	op := keyturn.DiffSecrets{A: db, B: web}
	w.as(anna)
	for range journal.MaxCompares + 5 {
		w.must(op)
	}
	done := make(chan error, 3*journal.MaxCompares)
	w.as(coder)
	var wg sync.WaitGroup
	for range cap(done) {
		wg.Go(func() {
			_, err := w.Do(t.Context(), op)
			done <- err
		})
	}
	wg.Wait()
	close(done)
	ok := 0
	for err := range done {
		if err == nil {
			ok++
		} else if !errors.Is(err, keyturn.Denied) {
			t.Errorf("%s", say(err))
		}
	}
	if ok != journal.MaxCompares {
		t.Errorf("%d compares, want %d", ok, journal.MaxCompares)
	}
	for _, actor := range []keyturn.Actor{coder, other, ci} {
		e := w.as(actor).no(keyturn.Denied, op)
		if e.By != "rule" || !strings.Contains(e.Hint, "2026-01-25T10:00:00Z") || e.Approval == nil || strings.Contains(e.Hint, "--remember") {
			t.Errorf("%s: %s", actor.Principal(), full(e))
		}
	}
	// Of either side, of versions and of fields; and it is on record.
	w.no(keyturn.Denied, keyturn.DiffSecrets{A: api, B: ref("local/app/web?version=1")})
	w.no(keyturn.Denied, keyturn.DiffSecrets{A: dbPass, B: dbPass})
	if r := w.records(); r[len(r)-1].Code != keyturn.Denied {
		t.Errorf("not on record: %+v", r[len(r)-1])
	}
	w.as(anna).must(op)
	// A person says yes to exactly this, once, and both are on record.
	id := w.as(coder).no(keyturn.Denied, op).Approval.ID
	if r := w.records(); r[len(r)-1].Approval != id {
		t.Errorf("the request is not on record: %+v", r[len(r)-1])
	}
	w.yes(anna, id)
	w.as(other).no(keyturn.Denied, op)
	w.as(coder).must(op)
	if r := w.records(); r[len(r)-1].Approval != id || r[len(r)-1].Status != "success" {
		t.Errorf("the yes is not on record: %+v", r[len(r)-1])
	}
	w.no(keyturn.Denied, op)
	w.add(24*time.Hour - time.Second)
	w.as(coder).no(keyturn.Denied, op)
	w.add(time.Second)
	w.must(op)
}

// What is counted is fields: one operation about many, and many secrets, take as much
// as many operations.
func TestCompareBudgetCountsFields(t *testing.T) {
	many, several := map[string]string{}, map[string]string{}
	for i := range journal.MaxCompares + 1 {
		many[fmt.Sprint("F", i)] = "x"
		if i < 4 {
			several[fmt.Sprint("F", i)] = "x"
		}
	}
	w := newWorld(t, withRules(t, may("agents", "use", "**", run("x"))))
	for i := range 20 {
		w.store(ref(fmt.Sprint("local/many/", i)), many)
		w.store(ref(fmt.Sprint("local/several/", i)), several)
	}
	w.as(coder)
	if e := w.no(keyturn.Denied, keyturn.DiffSecrets{A: ref("local/many/0"), B: ref("local/many/1")}); !strings.Contains(e.Hint, "fewer fields") {
		t.Errorf("hint %q", e.Hint)
	}
	// One that was refused has taken nothing, of neither side.
	w.must(keyturn.DiffSecrets{A: ref("local/several/0"), B: ref("local/several/1")})
	w.must(keyturn.DiffSecrets{A: ref("local/several/0"), B: ref("local/several/2")})
	w.no(keyturn.Denied, keyturn.DiffSecrets{A: ref("local/several/0"), B: ref("local/several/3")}) // 4 of 2 that are left
	w.must(keyturn.DiffSecrets{A: ref("local/several/3"), B: ref("local/several/4")})
	w.must(keyturn.DiffSecrets{A: ref("local/several/3"), B: ref("local/several/5")})
	// Copies have budgets of their own; the caller has one for all.
	done := 4 * 4
	for i := 6; ; i += 2 {
		_, _, err := w.do(keyturn.DiffSecrets{A: ref(fmt.Sprint("local/several/", i)), B: ref(fmt.Sprint("local/several/", i+1))})
		if err != nil {
			if !strings.Contains(err.Error(), "agent:coder has compared") {
				t.Error(say(err))
			}
			break
		}
		done += 4
	}
	if done > journal.MaxCallerCompares || done+4 <= journal.MaxCallerCompares {
		t.Errorf("%d fields compared, the budget is %d", done, journal.MaxCallerCompares)
	}
	w.as(other).must(keyturn.DiffSecrets{A: ref("local/several/18"), B: ref("local/several/19")})
}

// Of two puts that name one candidate exactly one gets it.
func TestCandidateOnce(t *testing.T) {
	w := newWorld(t)
	for i := range 20 {
		r := ref(fmt.Sprintf("local/race/%d", i))
		op := keyturn.PutSecret{Ref: r, Candidate: w.seal(r, values("value", "x"))}
		got := make(chan error, 4)
		var wg sync.WaitGroup
		for range cap(got) {
			wg.Go(func() {
				_, err := w.Do(t.Context(), op)
				got <- err
			})
		}
		wg.Wait()
		close(got)
		ok := 0
		for err := range got {
			if err == nil {
				ok++
			} else if !errors.Is(err, keyturn.NotFound) {
				t.Error(say(err))
			}
		}
		if ok != 1 {
			t.Fatalf("%d puts of one candidate", ok)
		}
	}
}

// Whatever the fields hold, a copy holds the same, and a diff says so.
func TestCopyIsTheSame(t *testing.T) {
	copies := 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		fields := rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "value", "ü.x", "A_B"}), rapid.String(), 1, 4).Draw(rt, "fields")
		w.store(ref("local/src"), fields)
		if rapid.Bool().Draw(rt, "over") {
			w.store(copied, rapid.MapOfN(rapid.SampledFrom([]string{"a", "c"}), rapid.String(), 1, 2).Draw(rt, "there"))
		}
		mode := rapid.SampledFrom([]string{keyturn.Merge, keyturn.Replace}).Draw(rt, "mode")
		w.must(keyturn.CopySecret{From: ref("local/src"), To: copied, Mode: mode, Verify: true})
		for f, v := range fields {
			if w.value(copied, f) != v {
				rt.Fatalf("field %q differs", f)
			}
		}
		res := w.must(keyturn.DiffSecrets{A: ref("local/src"), B: copied}).(*keyturn.Differences)
		for _, d := range res.Fields {
			if _, had := fields[d.Field]; had && d.Is != keyturn.Same || !had && (d.Is != keyturn.OnlyB || mode == keyturn.Replace) {
				rt.Fatalf("%+v", d)
			}
		}
		copies++
	})
	if copies == 0 {
		t.Error("too little was tried")
	}
}
