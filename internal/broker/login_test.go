package broker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/platform"
)

// gated is a platform that one has to log in to.
type gated struct {
	*spy
	got    platform.Login
	holder platform.Holder // zero: nobody is logged in
	fail   error
}

func (g *gated) Holder(context.Context) (platform.Holder, error) {
	if g.holder == (platform.Holder{}) {
		return g.holder, keyturn.E(keyturn.NotFound, "none", "")
	}
	return g.holder, nil
}

func (g *gated) Methods() []platform.Method { return nil }

func (g *gated) Login(ctx context.Context, l platform.Login) (platform.Session, error) {
	if err := g.note("Login", keyturn.Ref{}); err != nil {
		return platform.Session{}, err
	}
	g.got = l
	v, err := l.Ask(ctx, platform.Input{Name: "password", Secret: true})
	if err != nil {
		return platform.Session{}, err
	}
	if v.Len() == 0 {
		return platform.Session{}, keyturn.E(keyturn.Invalid, "no password", "")
	}
	return platform.Session{Identity: "anna\u202e", Accessor: "acc", Policies: []string{"app"}, Expires: start, Renewable: true}, g.fail
}

func (g *gated) Logout(context.Context, platform.Logout) (platform.Ended, error) {
	if err := g.note("Logout", keyturn.Ref{}); err != nil {
		return platform.Ended{}, err
	}
	return platform.Ended{Session: platform.Session{Identity: "anna"}, Err: keyturn.E(keyturn.Unavailable, "away\x1b", "")}, g.fail
}

// desk is beside the caller, and counts what it is asked.
type desk struct{ asked, shown int }

func (d *desk) Ask(_ context.Context, mount string, in platform.Input) (keyturn.Value, error) {
	d.asked++
	return keyturn.NewValue([]byte(secret(9))), nil
}

func (d *desk) Visit(context.Context, string) error { d.shown++; return nil }

func gatedWorld(t *testing.T, change ...func(*broker.Config)) (*world, *gated, *desk) {
	d := &desk{}
	w := newWorld(t, append(change, func(c *broker.Config) { c.Entrance = d })...)
	g := &gated{spy: &spy{w: w, Memory: w.mem["prod"]}}
	w.mounts["prod"] = platform.NewMount("prod", g, platform.Spec{Platform: "memory"}, "→ memory prod")
	return w, g, d
}

var signIn = keyturn.Login{Mount: "prod", Method: "userpass", Path: "p", Username: "anna"}

// A login takes what is secret beside the operation, after it is on record, and
// nothing of it is in any record or answer.
func TestLogin(t *testing.T) {
	w, g, d := gatedWorld(t)
	res := w.must(signIn).(*keyturn.LoggedIn)
	if d.asked != 1 || g.got.Inputs["username"] != "anna" || len(g.got.Inputs) != 1 || g.got.Path != "p" {
		t.Errorf("the platform got %+v", g.got)
	}
	if res.Identity != "anna\ufffd" || res.Mount != "prod" || res.Target != "→ memory prod" || !res.Renewable || !res.Expires.Equal(start) {
		t.Errorf("the answer is %+v", res)
	}
	events := w.events
	at := -1
	for i, e := range events {
		if e.call == "Login" {
			at = i
		}
	}
	if at < 1 || len(events[at-1].written) == 0 || events[at-1].written[0].Phase != keyturn.Intent {
		t.Errorf("the login is not right behind its intent: %+v", events)
	}
	if at+1 >= len(events) || len(events[at+1].written) == 0 || events[at+1].written[0].Status != "success" {
		t.Errorf("the outcome was not written before the answer")
	}
	out := w.must(keyturn.Logout{Mount: "prod"}).(*keyturn.LoggedOut)
	if out.Revoked || out.Err == nil || out.Err.Code != keyturn.Unavailable || out.Err.Message != "away\ufffd" || out.Identity != "anna" {
		t.Errorf("the logout is %+v", out)
	}
	who := ""
	for _, r := range w.records() {
		if r.Phase == keyturn.Outcome && r.Identity != "" {
			who += r.Identity + " " + r.Accessor + ";"
		}
	}
	if who != "anna\ufffd acc;anna ;" {
		t.Errorf("the records say of who logged in and out: %q", who)
	}
	g.fail = errors.New("a token: " + secret(9))
	w.no(keyturn.Internal, signIn)
	w.no(keyturn.Internal, keyturn.Logout{Mount: "prod"})
	all, err := json.Marshal(w.records())
	if err != nil || bytes.Contains(all, []byte(secret(9))) {
		t.Errorf("what is secret of a login is in the records: %v", err)
	}
	if !strings.Contains(string(all), `"method":"userpass"`) {
		t.Errorf("the login is not in the records: %s", all)
	}
}

// Whoever is no person needs a rule, for login and logout each, and is not asked
// before that.
func TestLoginOfAgents(t *testing.T) {
	w, _, d := gatedWorld(t, withRules(t, may("agent:coder", "administer", "prod/login"), may("agent:editor", "use reveal write", "prod/**"), never("user:bob", "administer", "prod/**")))
	for _, c := range []struct {
		actor   keyturn.Actor
		in, out keyturn.Code
	}{
		{anna, "", ""}, {coder, "", keyturn.Denied}, {other, keyturn.Denied, keyturn.Denied}, {ci, keyturn.Denied, keyturn.Denied}, {bob, keyturn.Denied, keyturn.Denied},
	} {
		before, n := d.asked, w.mark()
		w.as(c.actor)
		if c.in == "" {
			w.must(signIn)
		} else {
			w.no(c.in, signIn)
			for _, e := range w.since(n) {
				if e.call != "" || d.asked != before {
					t.Errorf("%s got as far as %q, and was asked %d times", c.actor.Principal(), e.call, d.asked-before)
				}
			}
		}
		if c.out == "" {
			w.must(keyturn.Logout{Mount: "prod"})
		} else {
			w.no(c.out, keyturn.Logout{Mount: "prod"})
		}
	}
	// With a person's yes, once.
	w.as(ci)
	e := w.no(keyturn.Denied, signIn)
	if e.Approval == nil {
		t.Fatalf("no person can say yes to it: %v", e)
	}
	w.yes(anna, e.Approval.ID)
	w.as(ci).must(signIn)
	w.no(keyturn.Denied, signIn)
}

// An agent or a service ends no person's login by a rule: a person says yes to ending
// this one, and to no other.
func TestLoginOfAPersonStays(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	annas, bobs := platform.Holder{Identity: "anna", By: "user:anna", Mark: "a"}, platform.Holder{Identity: "bob", By: "user:bob", Mark: "b"}
	unknown, own := platform.Holder{Identity: "x", Mark: "c"}, platform.Holder{Identity: "ci", By: "service:deploy", Mark: "d"}
	for _, op := range []keyturn.Op{signIn, keyturn.Logout{Mount: "prod"}} {
		w, g, d := gatedWorld(t, withRules(t, may("agents", "administer", "prod/**")))
		for _, c := range []struct {
			actor  keyturn.Actor
			holder platform.Holder
			stays  bool
		}{
			{coder, platform.Holder{}, false}, {coder, own, false}, {coder, annas, true}, {coder, unknown, true}, {anna, bobs, false}, {anna, own, false},
		} {
			g.holder = c.holder
			n, before := w.mark(), d.asked
			w.as(c.actor)
			if !c.stays {
				w.must(op)
				continue
			}
			e := w.no(keyturn.Denied, op)
			for _, ev := range w.since(n) {
				if ev.call != "" || d.asked != before {
					t.Errorf("%s got as far as %q", c.actor.Principal(), ev.call)
				}
			}
			if e.Approval == nil || !strings.Contains(e.Message, "ends the login of prod as "+c.holder.Identity) {
				t.Errorf("%s: %s", op.Kind(), full(e))
			}
		}
		// The yes is for ending the login that is there.
		g.holder = annas
		w.as(coder)
		e := w.no(keyturn.Denied, op)
		list := w.as(anna).must(keyturn.ListRequests{}).(*keyturn.Requests)
		seen := false
		for _, r := range list.Requests {
			seen = seen || r.ID == e.Approval.ID && strings.Contains(r.Ends, "as anna, for all who use this store; user:anna logged in")
		}
		if !seen {
			t.Errorf("%s: who says yes does not see whose login it ends: %+v", op.Kind(), list.Requests)
		}
		w.yes(anna, e.Approval.ID)
		g.holder = bobs
		n := w.mark()
		w.as(coder).no(keyturn.Conflict, op)
		for _, ev := range w.since(n) {
			if ev.call != "" {
				t.Errorf("another login than the one that was approved was ended")
			}
		}
		g.holder = annas
		again := w.no(keyturn.Denied, op)
		w.yes(anna, again.Approval.ID)
		w.as(coder).must(op)
	}
}

// A login leaves the one before it alive where there are leases of its mount, and of no
// other mount.
func TestLoginBesideLeases(t *testing.T) {
	w, g, _ := gatedWorld(t)
	book := journal.New(w.Config.Items, w.Config.Now).Leases
	for i, ref := range []string{"local/creds", "prod/creds"} {
		if w.must(signIn); g.got.Spare {
			t.Errorf("nothing lives by the login of prod")
		}
		if err := book.Ask(t.Context(), keyturn.LeaseInfo{ID: []string{"a", "b"}[i], Ref: keyturn.MustRef(ref), State: keyturn.LeaseActive, Began: w.Config.Now()}, ""); err != nil {
			t.Fatal(err)
		}
	}
	if w.must(signIn); !g.got.Spare {
		t.Errorf("a lease of prod would end with the login")
	}
}

// A login page is for people, whatever the rules say, and nobody is asked for a yes.
func TestLoginPageIsForPeople(t *testing.T) {
	w, g, d := gatedWorld(t, withRules(t, may("agents", "administer", "**"), may("services", "administer", "**")))
	page := keyturn.Login{Mount: "prod", Method: "oidc"}
	for _, who := range []keyturn.Actor{coder, ci} {
		if e := w.as(who).no(keyturn.Denied, page); e.Approval != nil || g.got.Method != "" {
			t.Errorf("%s: %s", who.Principal(), full(e))
		}
		// By no other method either.
		w.must(signIn)
		if g.got.Visit != nil || g.got.By != who.Principal() || d.asked == 0 {
			t.Errorf("%s is shown pages, or is not known by name: %q", who.Principal(), g.got.By)
		}
		g.got = platform.Login{}
	}
	if w.as(anna).must(page); g.got.Visit == nil || g.got.By != "user:anna" {
		t.Errorf("a person gets no page")
	}
}

func TestLoginRefused(t *testing.T) {
	w, g, _ := gatedWorld(t)
	for _, op := range []keyturn.Op{
		keyturn.Login{Method: "token"}, keyturn.Login{Mount: "Prod", Method: "token"}, keyturn.Login{Mount: "prod/", Method: "token"},
		keyturn.Login{Mount: "prod/a", Method: "token"}, keyturn.Login{Mount: "prod"}, keyturn.Logout{}, keyturn.Logout{Mount: "**"},
		keyturn.Login{Mount: "prod", Method: "token", Role: "a\x1b"}, keyturn.Login{Mount: "prod", Method: "token", Username: strings.Repeat("x", 513)},
	} {
		w.no(keyturn.Invalid, op)
	}
	w.no(keyturn.Unsupported, keyturn.Login{Mount: "local", Method: "token"})
	w.no(keyturn.Unsupported, keyturn.Logout{Mount: "local"})
	w.no(keyturn.NotFound, keyturn.Login{Mount: "nosuch", Method: "token"})
	if g.got.Method != "" {
		t.Errorf("the platform was asked for %+v", g.got)
	}
	none, _, _ := gatedWorld(t, func(*broker.Config) {})
	none.Entrance = nil
	none.no(keyturn.Unsupported, signIn)
}

// A rule is about a login where it says administer on MOUNT/login, and nothing
// else makes it one.
func TestLoginRules(t *testing.T) {
	for _, c := range []struct {
		verbs, on string
		in, out   bool
	}{
		{"administer", "prod/login", true, false}, {"administer", "prod/logout", false, true}, {"administer", "prod/*", true, true},
		{"administer", "prod/**", true, true}, {"administer", "**", true, true}, {"administer", "*/login", true, false},
		{"administer", "prod", false, false}, {"administer", "local/**", false, false}, {"administer", "prod/login/**", true, false},
		{"list describe use reveal write delete destroy rotate lease", "**", false, false},
	} {
		w, _, _ := gatedWorld(t, withRules(t, may("agents", c.verbs, c.on)))
		w.as(coder)
		for op, yes := range map[keyturn.Op]bool{signIn: c.in, keyturn.Logout{Mount: "prod"}: c.out} {
			n := w.mark()
			_, _, err := w.do(op)
			called := false
			for _, e := range w.since(n) {
				called = called || e.call != ""
			}
			if yes != (err == nil) || yes != called || err != nil && !errors.Is(err, keyturn.Denied) {
				t.Errorf("%s on %s: %s came to %v", c.verbs, c.on, op.Kind(), err)
			}
		}
	}
}
