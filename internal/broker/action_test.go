package broker_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/rules"
)

// granted are the inputs of a grant.
var granted = []keyturn.Input{{Name: "principal", Kind: keyturn.InputText, Required: true}, {Name: "can", Kind: keyturn.InputList, Required: true},
	{Name: "ref", Kind: keyturn.InputOn, Required: true}}

// undone counts what the platforms of a world were asked to take back.
var undone = map[*world]int{}

// Administration implements platform.Administrator.
func (s *spy) Administration() keyturn.Administration {
	return keyturn.Administration{Platform: "memory", Actions: []keyturn.Action{
		{Name: "look", Reads: true},
		{Name: "make id", Secret: "an id", Inputs: []keyturn.Input{
			{Name: "name", Kind: keyturn.InputText, Required: true}, {Name: "password", Kind: keyturn.InputSecret}, {Name: "about", Kind: keyturn.InputOn}}},
		{Name: keyturn.ActionGrant, Inputs: granted}, {Name: keyturn.ActionCheckGrant, Inputs: granted, Reads: true},
	}}
}

// Perform implements platform.Administrator: it answers with a secret that it made,
// and one that it was given.
func (s *spy) Perform(ctx context.Context, a platform.Act) (platform.Acted, error) {
	if err := s.note("Perform", keyturn.Ref{}); err != nil {
		return platform.Acted{}, err
	}
	if a.Action == "look" {
		return platform.Acted{Told: keyturn.Told{Says: "looked"}}, nil
	}
	if a.Action == keyturn.ActionGrant || a.Action == keyturn.ActionCheckGrant {
		if err := s.note(a.Action, a.On); err != nil {
			return platform.Acted{}, err
		}
		ch := &keyturn.TextChange{Name: "p", Before: "old", After: "new " + a.Args.Text("principal")}
		return platform.Acted{Told: keyturn.Told{Says: "granted", Change: ch, Policy: &keyturn.PolicyTold{Name: "p", Applied: a.Action == keyturn.ActionGrant}}}, nil
	}
	if a.Wrap > 0 {
		return platform.Acted{Wrapped: &keyturn.Wrapped{Token: keyturn.NewValue([]byte(secret(6))), Seconds: int64(a.Wrap / time.Second)}}, nil
	}
	given, err := a.Secret(ctx, "password", "The password")
	if err != nil {
		return platform.Acted{}, err
	}
	return platform.Acted{Told: keyturn.Told{Says: "made " + a.Args.Text("name")}, Main: "id",
		Secret: map[string]keyturn.Value{"id": keyturn.NewValue([]byte(secret(7))), "given": given},
		Undo:   func(context.Context) error { undone[s.w]++; return nil }}, nil
}

func making(to keyturn.Ref) keyturn.PlatformAction {
	return keyturn.PlatformAction{Mount: "prod", Action: "make id", Args: map[string][]string{"name": {"a"}},
		Uses: []keyturn.Binding{{Name: "password", Ref: dbPass}}, To: to}
}

func TestActionDelivers(t *testing.T) {
	w := newWorld(t)
	res := w.must(making(copied)).(*keyturn.Performed)
	if res.Stored.Ref != copied || res.Stored.Version == "" || res.Secret != nil || res.Wrapped != nil {
		t.Errorf("%+v", res)
	}
	got, err := w.mem["prod"].Get(t.Context(), copied)
	if err != nil || string(got.Values["id"].Reveal()) != secret(7) || string(got.Values["given"].Reveal()) != secret(1) {
		t.Errorf("stored %v, %v", got.Fields, err)
	}
	// A field gets what is meant, and the others stay.
	w.must(making(keyturn.MustRef("local/app/db#id")))
	if got, _ := w.mem["local"].Get(t.Context(), db); string(got.Values["id"].Reveal()) != secret(7) || len(got.Values) != 3 {
		t.Errorf("stored %d fields", len(got.Values))
	}
	file := making(keyturn.Ref{})
	file.Out = "/home/a/id"
	if res := w.must(file).(*keyturn.Performed); string(res.Secret[res.Main].Reveal()) != secret(7) || res.Wrapped != nil {
		t.Errorf("%+v", res)
	}
	wrap := making(keyturn.Ref{})
	wrap.Wrap = 60
	if res := w.must(wrap).(*keyturn.Performed); res.Secret != nil || res.Wrapped == nil || res.Wrapped.Seconds != 60 {
		t.Errorf("%+v", res)
	}
	// Without a place for it nothing is made, nor where there is nothing for a place.
	n := w.mark()
	w.no(keyturn.Invalid, making(keyturn.Ref{}))
	w.no(keyturn.Invalid, keyturn.PlatformAction{Mount: "prod", Action: "look", To: copied})
	if calls := w.since(n); slices.ContainsFunc(calls, func(e event) bool { return e.call == "Perform" }) {
		t.Errorf("%v", calls)
	}
	// Each reference has a record of its own.
	var used, written int
	for _, r := range w.records() {
		op, _ := keyturn.DecodeOp(r.Op)
		switch op.(type) {
		case keyturn.UseSecret:
			used++
		case keyturn.WriteSecret:
			written++
		}
	}
	if used != 5 || written != 3 {
		t.Errorf("%d uses and %d writes on record", used, written)
	}
}

// What cannot be stored is taken back, and where nothing can be stored nothing is
// made.
func TestActionTakesBack(t *testing.T) {
	w := newWorld(t)
	w.fail = func(doing string, ref keyturn.Ref) error {
		if doing == "Put" {
			return keyturn.E(keyturn.Denied, "no", "")
		}
		return nil
	}
	if e := w.no(keyturn.Denied, making(copied)); !strings.Contains(e.Message, "was taken back") || undone[w] != 1 || e.Unknown {
		t.Errorf("%s, taken back %d times", say(e), undone[w])
	}
	w.fail = nil
	n := w.mark()
	w.no(keyturn.NotFound, making(keyturn.MustRef("nosuch/a")))
	if calls := w.since(n); len(calls) > 0 {
		t.Errorf("%v", calls)
	}
	if undone[w] != 1 {
		t.Errorf("taken back %d times", undone[w])
	}
}

// What is typed is asked for once the action is on record, and nobody else is asked.
func TestActionAsks(t *testing.T) {
	d := &desk{}
	w := newWorld(t, func(c *broker.Config) { c.Entrance = d })
	op := making(copied)
	op.Uses = nil
	w.must(op)
	if got, _ := w.mem["prod"].Get(t.Context(), copied); string(got.Values["given"].Reveal()) != secret(9) || d.asked != 1 {
		t.Errorf("asked %d times", d.asked)
	}
	w.as(coder).no(keyturn.Denied, op)
	w.as(anna).logFail = func() (error, error) { return errors.New("full"), nil }
	if _, err := w.Do(t.Context(), op); err == nil || d.asked != 1 {
		t.Errorf("asked %d times", d.asked)
	}
	w.logFail = nil
	alone := newWorld(t) // with nobody beside it
	if e := alone.no(keyturn.Invalid, op); !strings.Contains(e.Hint, "at a terminal") {
		t.Errorf("%s", say(e))
	}
}

// Rules decide about the action, what it is about, what it uses and where its secret
// goes, each by its own verb.
func TestActionRules(t *testing.T) {
	about := making(copied)
	about.On = api
	file, wrap, look := making(keyturn.Ref{}), making(keyturn.Ref{}), keyturn.PlatformAction{Mount: "prod", Action: "look"}
	file.Out, wrap.Wrap = "/x", 5
	into := func(to string) func(*rules.Source) { return func(s *rules.Source) { s.Mounts = []string{to} } }
	all := []rules.Source{may("agents", "administer", "prod/make/id prod/api"), may("agents", "use", "local/app/db", into("prod/**")), may("agents", "write", "prod/copied"), may("agents", "reveal", "prod/make/id")}
	for what, c := range map[string]struct {
		op  keyturn.PlatformAction
		not int // the rule that is left out; -1 for none
		ok  bool
	}{
		"all":                 {about, -1, true},
		"no action":           {making(copied), 0, false},
		"no use":              {making(copied), 1, false},
		"no write":            {making(copied), 2, false},
		"no reveal":           {making(copied), 3, true},
		"file":                {file, -1, true},
		"file, no reveal":     {file, 3, false},
		"wrapped":             {wrap, -1, true},
		"wrapped, no reveal":  {wrap, 3, false},
		"another action":      {look, -1, false},
		"about, no action":    {about, 0, false},
		"about, all the rest": {about, 3, true},
	} {
		list := slices.Clone(all)
		if c.not >= 0 {
			list = slices.Delete(list, c.not, c.not+1)
		}
		w := newWorld(t, withRules(t, list...))
		n := w.mark()
		_, _, err := w.as(coder).do(c.op)
		if (err == nil) != c.ok {
			t.Errorf("%s: %s", what, say(err))
		}
		if calls := w.since(n); !c.ok && (len(calls) > 0 || !errors.Is(err, keyturn.Denied)) {
			t.Errorf("%s: %v, %s", what, calls, say(err))
		}
	}
	w := newWorld(t, withRules(t, append(all, never("agents", "administer", "prod/api"))...))
	if e := w.as(coder).no(keyturn.Denied, about); e.Approval != nil {
		t.Errorf("%s", say(e))
	}
}

// A secret that an action makes is not stored where somebody could see it who may not
// have it of the action itself.
func TestActionLaunders(t *testing.T) {
	into := func(to string) func(*rules.Source) { return func(s *rules.Source) { s.Mounts = []string{to} } }
	all := []rules.Source{may("agents", "administer", "prod/make/id"), may("agents", "use", "local/app/db", into("prod/**")),
		may("agents", "write reveal", "prod/copied")}
	w := newWorld(t, withRules(t, all...))
	n := w.mark()
	e := w.as(coder).no(keyturn.Denied, making(copied))
	if e.Approval == nil || len(w.since(n)) > 0 || !strings.Contains(e.Message, "store prod/make/id to prod/copied") || !strings.Contains(e.Message, "any agent could then reveal it at prod/copied") {
		t.Errorf("%s", full(e))
	}
	// So is it for a person, and who says yes is told.
	w.as(anna).no(keyturn.Denied, making(copied))
	reqs := w.as(bob).must(keyturn.ListRequests{}).(*keyturn.Requests).Requests
	if len(reqs) != 2 || !strings.Contains(reqs[0].Opens, "any agent could then reveal it") {
		t.Errorf("who says yes is not told: %+v", reqs)
	}
	w.yes(bob, e.Approval.ID)
	w.as(coder).must(making(copied))
	// A program that shows it is as good as to reveal it.
	shows := append(slices.Clone(all[:2]), may("agents", "write use", "prod/copied", run("sh **")))
	newWorld(t, withRules(t, shows...)).as(coder).no(keyturn.Denied, making(copied))
	// Who may reveal it there may here; and a rule can say so.
	newWorld(t, withRules(t, append(all, may("agents", "reveal", "prod/make/id"))...)).as(coder).must(making(copied))
	w = newWorld(t, withRules(t, append(all, may("agent:coder", "use", "prod/make/id", into("prod/copied")))...))
	w.as(coder).must(making(copied))
	w.as(other).no(keyturn.Denied, making(copied))
}

// ofAction is what the rules say of an action beside what they say of its parts; none
// for another operation.
func ofAction(op keyturn.Op, decide func(keyturn.Verb, string) rules.Decision) (out []rules.Decision) {
	act, is := op.(keyturn.PlatformAction)
	if !is {
		return nil
	}
	out = append(out, decide(keyturn.Administer, act.Path()))
	if !act.On.IsZero() {
		out = append(out, decide(keyturn.Administer, act.On.Path()))
	}
	if act.Out != "" {
		out = append(out, decide(keyturn.Reveal, act.Path()))
	}
	return out
}

func TestActionMakesSense(t *testing.T) {
	w := newWorld(t)
	with := func(change func(*keyturn.PlatformAction)) keyturn.PlatformAction {
		op := making(copied)
		change(&op)
		return op
	}
	for what, op := range map[string]keyturn.PlatformAction{
		"no mount":        with(func(o *keyturn.PlatformAction) { o.Mount = "" }),
		"a path as mount": with(func(o *keyturn.PlatformAction) { o.Mount = "prod/x" }),
		"no action":       with(func(o *keyturn.PlatformAction) { o.Action = "" }),
		"a path":          with(func(o *keyturn.PlatformAction) { o.Action = "make/id" }),
		"two spaces":      with(func(o *keyturn.PlatformAction) { o.Action = "make  id" }),
		"capitals":        with(func(o *keyturn.PlatformAction) { o.Action = "Make id" }),
		"two places":      with(func(o *keyturn.PlatformAction) { o.Wrap = 60 }),
		"a version":       with(func(o *keyturn.PlatformAction) { o.To = keyturn.MustRef("prod/copied?version=1") }),
		"another mount":   with(func(o *keyturn.PlatformAction) { o.On = db }),
		"a relative file": with(func(o *keyturn.PlatformAction) { o.To, o.Out = keyturn.Ref{}, "id" }),
		"a long wait":     with(func(o *keyturn.PlatformAction) { o.To, o.Wrap = keyturn.Ref{}, 1<<40 }),
		"a negative wait": with(func(o *keyturn.PlatformAction) { o.To, o.Wrap = keyturn.Ref{}, -1 }),
		"twice the same":  with(func(o *keyturn.PlatformAction) { o.Uses = append(o.Uses, o.Uses...) }),
		"no name":         with(func(o *keyturn.PlatformAction) { o.Uses[0].Name = "" }),
		"an unknown one":  with(func(o *keyturn.PlatformAction) { o.Args = map[string][]string{"name": {"a"}, "nmae": {"b"}} }),
		"nothing needed":  with(func(o *keyturn.PlatformAction) { o.Args = nil }),
		"two of one":      with(func(o *keyturn.PlatformAction) { o.Args = map[string][]string{"name": {"a", "b"}} }),
		"an empty one":    with(func(o *keyturn.PlatformAction) { o.Args = map[string][]string{"name": {""}} }),
		"a secret as arg": with(func(o *keyturn.PlatformAction) { o.Args["password"] = []string{"x"} }),
		"an unknown use":  with(func(o *keyturn.PlatformAction) { o.Uses[0].Name = "name" }),
	} {
		n := w.mark()
		w.no(keyturn.Invalid, op)
		if calls := w.since(n); slices.ContainsFunc(calls, func(e event) bool { return e.call == "Perform" || e.call == "Put" }) {
			t.Errorf("%s reached the platform: %v", what, calls)
		}
	}
	w.no(keyturn.Unsupported, keyturn.PlatformAction{Mount: "prod", Action: "frobnicate"})
}
