package broker_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/rules"
)

func listed(t *testing.T, w *world, op keyturn.ListSecrets) []string {
	t.Helper()
	_, yielded, err := w.do(op)
	if err != nil {
		t.Fatalf("%s: %s", w.actor.Principal(), say(err))
	}
	var out []string
	for _, y := range yielded {
		info := y.(keyturn.Info)
		name := info.Ref.Short()
		if name == "" {
			name = info.Path
		}
		if info.Version != "" || len(info.Fields)+len(info.Labels) > 0 || !info.Created.IsZero() {
			name += " and more"
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func TestListingsAreFiltered(t *testing.T) {
	w := newWorld(t, withRules(t, may("agents", "list", "local/app/db"), may("agents", "list describe", "local/app/web"),
		may("services", "use", "local/**", run("x")), never("agent:editor", "list", "local/app/web"), never("everyone", "list describe use", "prod/**")))
	w.store(keyturn.MustRef("local/hidden/deep/x"), map[string]string{"value": "x"})
	for what, c := range map[string]struct {
		actor keyturn.Actor
		op    keyturn.ListSecrets
		want  []string
	}{
		"an agent":        {coder, keyturn.ListSecrets{Under: prefix("local")}, []string{"local/app/db", "local/app/web and more"}},
		"below a folder":  {coder, keyturn.ListSecrets{Under: prefix("local/app")}, []string{"local/app/db", "local/app/web and more"}},
		"a never":         {other, keyturn.ListSecrets{Under: prefix("local")}, []string{"local/app/db"}},
		"folders":         {coder, keyturn.ListSecrets{Under: prefix("local"), Shallow: true}, []string{"local/app/"}},
		"use is not list": {ci, keyturn.ListSecrets{Under: prefix("local")}, nil},
		"a person":        {anna, keyturn.ListSecrets{Under: prefix("local"), Shallow: true}, []string{"local/app/", "local/hidden/"}},
	} {
		if got := listed(t, w.as(c.actor), c.op); !cmp.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", what, got, c.want)
		}
	}
	// What is not there and what may not be seen are the same to somebody who may list
	// something: hidden is of the agent's own prefix.
	w.store(keyturn.MustRef("local/app/hidden/x"), map[string]string{"value": "x"})
	for name, hint := range map[string]string{"local/app/hidden": "", "local/app/hiddem": "", "local/app/we": "'local/app/web'?"} {
		w.Rules = ruleSet(t, may("agents", "list", "local/app/*"), may("agents", "use", name+"/**", run("x")))
		_, yielded, err := w.as(coder).do(keyturn.ListSecrets{Under: prefix(name)})
		if e := keyturn.AsError(err); e == nil || e.Code != keyturn.NotFound || e.Message != "there is nothing at "+name+" that you may list" || !strings.Contains(e.Hint, hint) || strings.Contains(e.Hint, "hidde") || len(yielded) > 0 {
			t.Errorf("%s: %v, %s", name, yielded, say(err))
		}
	}
	w.Rules = ruleSet(t, may("agents", "list", "local/app/db"), may("agents", "list describe", "local/app/web"),
		may("services", "use", "local/**", run("x")), never("agent:editor", "list", "local/app/web"), never("everyone", "list describe use", "prod/**"))
	// Where nothing at all may be listed a person can say yes, but not past a never.
	hidden := keyturn.ListSecrets{Under: prefix("local/hidden")}
	if e := w.as(coder).no(keyturn.Denied, hidden); e.Approval == nil {
		t.Errorf("no request: %s", full(e))
	} else {
		w.yes(anna, e.Approval.ID)
		if got := listed(t, w.as(coder), hidden); !cmp.Equal(got, []string{"local/hidden/deep/x"}) {
			t.Errorf("approved, but listed %v", got)
		}
		w.no(keyturn.Denied, hidden)
	}
	for _, actor := range []keyturn.Actor{anna, coder, ci} {
		n := w.mark()
		e := w.as(actor).no(keyturn.Denied, keyturn.ListSecrets{Under: prefix("prod")})
		if e.Approval != nil || len(w.since(n)) > 0 {
			t.Errorf("%s lists prod: %s", actor.Principal(), full(e))
		}
	}
	// Of a mount that does not exist an agent learns no more than of one that does.
	n := w.mark()
	if e := w.as(coder).no(keyturn.Denied, keyturn.ListSecrets{Under: prefix("nosuch")}); e.Approval == nil || len(w.since(n)) > 0 {
		t.Errorf("a mount that is not there: %s", full(e))
	}
	for actor, want := range map[*keyturn.Actor][]string{&anna: {"local"}, &coder: {"local"}, &ci: {"local"}} {
		var got []string
		for _, m := range w.as(*actor).must(keyturn.ListMounts{}).(*keyturn.Mounts).Mounts {
			got = append(got, m.Mount)
		}
		if !cmp.Equal(got, want) {
			t.Errorf("%s sees the mounts %v", actor.Principal(), got)
		}
	}
}

// A denied caller learns nothing of what is there: the answers on what exists and
// on what does not are the same but for the name, ids and times.
func TestDeniedLearnsNothing(t *testing.T) {
	names := map[string]keyturn.Ref{
		"exists": web, "deleted": old, "absent": keyturn.MustRef("local/app/wbe"), "on no mount": keyturn.MustRef("nowhere/wbe"),
	}
	for _, set := range []*rules.Set{ruleSet(t), ruleSet(t, may("agents", "describe reveal write delete destroy use", "**", run("npm test"), needs(1, ""))),
		ruleSet(t, never("agents", "describe reveal write delete destroy use", "**"))} {
		for kind := range ops() {
			answers := map[string]string{}
			for what, ref := range names {
				op := map[string]keyturn.Op{"get-secret": keyturn.GetSecret{Ref: ref}, "reveal-secret": keyturn.RevealSecret{Ref: ref}, "list-versions": keyturn.ListVersions{Ref: ref},
					"put-secret": generated(ref), "rollback-secret": keyturn.RollbackSecret{Ref: ref}, "delete-secret": keyturn.DeleteSecret{Ref: ref},
					"restore-secret": keyturn.RestoreSecret{Ref: ref}, "destroy-secret": keyturn.DestroySecret{Ref: ref}, "run-command": runs(ref),
					"render-template": keyturn.RenderTemplate{Template: "/t", Digest: digest, Secrets: []keyturn.Ref{ref}}}[kind]
				if op == nil {
					continue
				}
				w := newWorld(t)
				w.Rules = set
				n := w.mark()
				_, _, err := w.as(coder).do(op)
				e := keyturn.AsError(err)
				if e == nil || e.Code != keyturn.Denied && e.Code != keyturn.Pending || len(w.since(n)) > 0 {
					t.Fatalf("%s on what %s: %s", kind, what, say(err))
				}
				text := string(e.Code) + e.Message + e.Hint + e.By
				text = strings.ReplaceAll(text, ref.Short(), "NAME")
				if e.Approval != nil {
					text = strings.ReplaceAll(text, e.Approval.ID, "ID")
				}
				answers[what] = text
			}
			for what, text := range answers {
				if text != answers["absent"] {
					t.Errorf("%s on what %s: %q, on what does not exist: %q", kind, what, text, answers["absent"])
				}
			}
		}
	}
}

func TestSuggestionsNameOnlyWhatMayBeListed(t *testing.T) {
	w := newWorld(t, withRules(t, may("agents", "describe use", "local/**", run("npm test")), may("agents", "list", "local/app/web")))
	w.store(keyturn.MustRef("local/app/weba"), map[string]string{"value": "x"})
	for _, op := range []keyturn.Op{keyturn.GetSecret{Ref: keyturn.MustRef("local/app/wea")}, runs(keyturn.MustRef("local/app/wea"))} {
		if e := w.as(anna).no(keyturn.NotFound, op); !strings.Contains(e.Hint, "local/app/weba") && !strings.Contains(e.Hint, "local/app/web") {
			t.Errorf("%s: a person gets the hint %q", op.Kind(), e.Hint)
		}
		if e := w.as(coder).no(keyturn.NotFound, op); !strings.Contains(e.Hint, "'local/app/web'?") {
			t.Errorf("%s: an agent gets the hint %q", op.Kind(), e.Hint)
		}
	}
	w.Rules = ruleSet(t, may("agents", "describe use", "local/**", run("npm test")))
	if e := w.as(coder).no(keyturn.NotFound, keyturn.GetSecret{Ref: keyturn.MustRef("local/app/wea")}); strings.Contains(e.Hint, "web") {
		t.Errorf("the hint %q names what may not be listed", e.Hint)
	}
	// Many failures do not make many listings.
	op := runs()
	for _, s := range strings.Split("abcdefghijklmnopqrst", "") {
		op.Env = append(op.Env, keyturn.Binding{Name: s, Ref: keyturn.MustRef("local/none/" + s)})
	}
	n := w.mark()
	w.as(anna).no(keyturn.NotFound, op)
	lists := 0
	for _, c := range w.since(n) {
		if c.call == "List" {
			lists++
		}
	}
	if lists > 5 {
		t.Errorf("%d listings for suggestions", lists)
	}
}

func TestLabelsOfValues(t *testing.T) {
	w := newWorld(t, withRules(t, may("agents", "use", "local/**", run("npm test")), may("agents", "list", "local/app/web")))
	got := w.as(coder).must(runs(dbPass, web)).(*keyturn.Delivery)
	if got.Env[0].Label != "" || got.Env[1].Label != "local/app/web#value" {
		t.Errorf("labels %q and %q", got.Env[0].Label, got.Env[1].Label)
	}
}

func TestListRecords(t *testing.T) {
	w := newWorld(t)
	w.must(keyturn.GetSecret{Ref: db})
	w.must(keyturn.DeleteSecret{Ref: web})
	w.as(coder).no(keyturn.Denied, keyturn.GetSecret{Ref: api})
	w.as(anna)
	for what, c := range map[string]struct {
		op   keyturn.ListRecords
		want int
	}{
		"all":                 {keyturn.ListRecords{}, 6}, // with its own intent
		"by the agent":        {keyturn.ListRecords{Who: "agent:coder"}, 1},
		"of a kind":           {keyturn.ListRecords{Op: "delete-secret"}, 2},
		"below a prefix":      {keyturn.ListRecords{Under: prefix("local/app")}, 4},
		"from tomorrow on":    {keyturn.ListRecords{Since: start.AddDate(0, 0, 1)}, 0},
		"of nobody in no way": {keyturn.ListRecords{Who: "user:zoe"}, 0},
	} {
		v := newWorld(t)
		v.rows, v.tree = slices.Clone(w.rows), w.tree
		_ = w.Flush()
		v.rows, v.tree = slices.Clone(w.rows), w.tree
		_, yielded, err := v.do(c.op)
		if err != nil || len(yielded) != c.want {
			t.Errorf("%s: %d records, %v; want %d", what, len(yielded), err, c.want)
		}
	}
}

// Over a server nobody may do anything by default.
func TestRemote(t *testing.T) {
	w := newWorld(t, func(c *broker.Config) { c.Remote = true })
	for kind, op := range ops() {
		n := w.mark()
		_, _, err := w.as(anna).do(op)
		if calls := w.since(n); len(calls) > 0 || err == nil && kind != "list-mounts" && kind != "list-migrations" && kind != "list-leases" && kind != "end-command" {
			t.Errorf("%s over a server: %v, %s", kind, calls, say(err))
		}
	}
	if _, err := w.Seal(t.Context(), web, values("value", "x")); err != nil {
		t.Errorf("a value cannot be sealed for a request: %s", say(err))
	}
}

// A refusal that is too large for the log to keep whole is not hidden by filters.
func TestLargeRefusalIsListed(t *testing.T) {
	w := newWorld(t)
	large := keyturn.RunCommand{Command: []string{"npm", strings.Repeat("x", journal.MaxForm)}, Env: runs(dbPass).Env}
	w.as(coder).no(keyturn.Denied, large)
	for _, op := range []keyturn.ListRecords{{Op: "run-command"}, {Under: prefix("local/app")}, {Who: "agent:coder", Op: "run-command"}} {
		_, yielded, err := w.as(anna).do(op)
		if err != nil || len(yielded) != 1 {
			t.Errorf("%+v lists %v, %v", op, yielded, err)
		}
	}
	if _, yielded, err := w.do(keyturn.ListRecords{Who: "user:zoe", Op: "run-command"}); err != nil || len(yielded) != 0 {
		t.Errorf("listed as somebody else's: %v, %v", yielded, err)
	}
}
