package broker_test

import (
	"slices"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/rules"
)

func readable(reader string) keyturn.PutSecret {
	return keyturn.PutSecret{Ref: keyturn.MustRef("prod/web/new"), Generate: []keyturn.Generate{{Field: "password"}}, Reader: reader}
}

// calls are the names of what the platforms were asked since n.
func (w *world) calls(n int) (names []string) {
	for _, e := range w.since(n) {
		if e.call != "Perform" {
			names = append(names, e.call)
		}
	}
	return names
}

// A put with a reader is looked at as a whole before anything is written, and both
// of its parts are on record.
func TestPutReader(t *testing.T) {
	w := newWorld(t)
	n := w.mark()
	res := w.must(readable("memory:a")).(*keyturn.Changed)
	if res.Secret.Version == "" || res.Failed != nil || res.Granted == nil || res.Granted.Says != "granted" {
		t.Errorf("%+v", res)
	}
	calls := w.calls(n)
	check, put, grant := slices.Index(calls, keyturn.ActionCheckGrant), slices.Index(calls, "Put"), slices.Index(calls, keyturn.ActionGrant)
	if check < 0 || put < check || grant < put {
		t.Errorf("in the order %v", calls)
	}
	var child keyturn.Record
	for _, r := range w.records() {
		if r.Parent != "" {
			child = r
		}
	}
	op, err := keyturn.DecodeOp(child.Op)
	act, ok := op.(keyturn.PlatformAction)
	if err != nil || !ok || act.Action != keyturn.ActionGrant || act.Args["principal"][0] != "memory:a" || !slices.Equal(act.Args["can"], []string{"read"}) {
		t.Errorf("the grant's record: %v, %v", act, err)
	}
	if i := slices.IndexFunc(w.records(), func(r keyturn.Record) bool { return r.ID == child.ID && r.Change != nil && r.Change.Before == "old" }); i < 0 {
		t.Error("what the policy was is not on record")
	}
}

// A reader that cannot be let in is told before anything is written; one that fails
// after that, beside what is there.
func TestPutReaderFails(t *testing.T) {
	w := newWorld(t)
	var failing string
	w.fail = func(doing string, _ keyturn.Ref) error {
		if doing == failing {
			return keyturn.E(keyturn.Denied, "no", "")
		}
		return nil
	}
	failing = keyturn.ActionCheckGrant
	n := w.mark()
	w.no(keyturn.Denied, readable("memory:a"))
	if calls := w.calls(n); slices.Contains(calls, "Put") || slices.Contains(calls, keyturn.ActionGrant) {
		t.Errorf("%v", calls)
	}
	failing = "Put"
	n = w.mark()
	w.no(keyturn.Denied, readable("memory:a"))
	if calls := w.calls(n); slices.Contains(calls, keyturn.ActionGrant) {
		t.Errorf("%v", calls)
	}
	failing = keyturn.ActionGrant
	res := w.must(readable("memory:a")).(*keyturn.Changed)
	if res.Secret.Version == "" || res.Granted != nil || res.Failed == nil || res.Failed.Code != keyturn.Denied {
		t.Errorf("%+v", res)
	}
	var denied int
	for _, r := range w.records() {
		if r.Phase == keyturn.Outcome && r.Code == keyturn.Denied {
			denied++
		}
	}
	if denied != 5 { // parent and child twice, and the last child
		t.Errorf("%d outcomes on record say denied", denied)
	}
}

// Who may write may not grant by that.
func TestPutReaderIsJudged(t *testing.T) {
	may := rules.Source{Who: []string{"agents"}, May: []string{"write"}, On: []string{"prod/web/**"}}
	w := newWorld(t, withRules(t, may)).as(coder)
	w.must(readable(""))
	n := w.mark()
	w.no(keyturn.Denied, readable("memory:a"))
	if calls := w.calls(n); len(calls) > 0 {
		t.Errorf("%v", calls)
	}
	on := rules.Source{Who: []string{"agents"}, May: []string{"administer"}, On: []string{"prod/web/**"}}
	newWorld(t, withRules(t, may, on)).as(coder).no(keyturn.Denied, readable("memory:a"))
	all := rules.Source{Who: []string{"agents"}, May: []string{"administer"}, On: []string{"prod/web/**", "prod/policy/grant"}}
	newWorld(t, withRules(t, may, all)).as(coder).must(readable("memory:a"))
	newWorld(t, withRules(t, all)).as(coder).no(keyturn.Denied, readable("memory:a"))
}
