package broker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker"
	"github.com/keyturn/keyturn/internal/platform"
)

var (
	dyn     = keyturn.MustRef("prod/dyn/app")
	dynUser = keyturn.MustRef("prod/dyn/app#user")
	dynPass = keyturn.MustRef("prod/dyn/app#password")
)

// issued are the leases of a world's platforms that are good, by the platform's name
// of each.
var issued = map[*world]map[string]bool{}

// Issues implements platform.Issuer: what lies below dyn/ is made for each asking.
func (s *spy) Issues(_ context.Context, ref keyturn.Ref) (bool, error) {
	return strings.HasPrefix(ref.Name(), "dyn/"), s.note("Issues", ref)
}

func (s *spy) Lease(_ context.Context, ref keyturn.Ref) (platform.Leased, error) {
	if err := s.note("Lease", ref); err != nil {
		return platform.Leased{}, err
	}
	id := ref.Name() + "/" + fmt.Sprint(len(issued[s.w])+1)
	if issued[s.w] == nil {
		issued[s.w] = map[string]bool{}
		s.w.t.Cleanup(func() { delete(issued, s.w) })
	}
	issued[s.w][id] = true
	return platform.Leased{ID: id, Term: platform.Term{For: time.Hour, Renewable: true},
		Values: map[string]keyturn.Value{"user": keyturn.NewValue([]byte(secret(1))), "password": keyturn.NewValue([]byte(secret(2)))}}, nil
}

func (s *spy) Renew(_ context.Context, ref keyturn.Ref, id string, term time.Duration) (platform.Term, error) {
	if err := s.note("Renew", ref); err != nil {
		return platform.Term{}, err
	}
	if !issued[s.w][id] {
		return platform.Term{}, keyturn.E(keyturn.NotFound, "no such lease", "")
	}
	return platform.Term{For: min(term, 2*time.Hour), Renewable: true}, nil
}

func (s *spy) Revoke(_ context.Context, ref keyturn.Ref, id string) error {
	if err := s.note("Revoke", ref); err != nil {
		return err
	}
	issued[s.w][id] = false
	return nil
}

// Ended implements platform.Issuer.
func (s *spy) Ended(_ context.Context, ref keyturn.Ref, id string) (bool, error) {
	return !issued[s.w][id], s.note("Ended", ref)
}

func (w *world) good() (list []string) {
	for id, good := range issued[w] {
		if good {
			list = append(list, id)
		}
	}
	slices.Sort(list)
	return list
}

// process is a broker.Holders of which one process lives or not.
type process struct{ lives bool }

func (p *process) Hold() (string, error) { return "me", nil }
func (p *process) Holds(string) bool     { return p.lives }

func newLeaseWorld(t testing.TB, change ...func(*broker.Config)) (*world, *process) {
	p := &process{lives: true}
	return newWorld(t, append(change, func(c *broker.Config) { c.Holders = p })...), p
}

// down makes the platforms fail at one thing.
func (w *world) down(at string, err error) {
	w.fail = func(doing string, _ keyturn.Ref) error {
		if doing == at {
			return err
		}
		return nil
	}
}

func (w *world) listed() []keyturn.LeaseInfo {
	return w.must(keyturn.ListLeases{}).(*keyturn.Leases).Leases
}

// One lease for all fields, on record before the platform is asked, and in the
// journal before the values leave.
func TestRunTakesOneLease(t *testing.T) {
	w, _ := newLeaseWorld(t)
	n := w.mark()
	res := w.must(runs(dynUser, dynPass, dbPass)).(*keyturn.Delivery)
	if len(w.good()) != 1 || len(res.Leases) != 1 || len(res.Env) != 3 || string(res.Env[0].Value.Reveal()) != secret(1) || string(res.Env[1].Value.Reveal()) != secret(2) {
		t.Fatalf("leases %v, %+v", w.good(), res)
	}
	if res.Env[0].Label != "prod/dyn/app#user" || res.Env[0].Public {
		t.Errorf("delivered %+v", res.Env[0])
	}
	announced := false
	for _, e := range w.events[n:] {
		for _, r := range e.written {
			announced = announced || r.Phase == keyturn.Intent && strings.Contains(string(r.Op), `"create-lease"`)
		}
		if e.call == "Lease" && !announced {
			t.Error("the platform was asked before that was on record")
		}
		if e.call == "Get" && e.ref.Secret() == dyn {
			t.Error("it was read as what is kept")
		}
	}
	list := w.listed()
	if len(list) != 1 || list[0].ID != res.Leases[0].ID || list[0].State != keyturn.LeaseActive || !list[0].Run || !slices.Equal(list[0].Fields, []string{"password", "user"}) ||
		!list[0].Expires.Equal(start.Add(time.Hour)) || list[0].By != "user:anna" {
		t.Errorf("%+v", list)
	}
	w.must(keyturn.RenewLease{Ref: dyn, ID: list[0].ID})
	w.must(keyturn.RevokeLease{Ref: dyn, ID: list[0].ID})
	if len(w.good()) != 0 || len(w.listed()) != 0 {
		t.Errorf("after: %v, %v", w.good(), w.listed())
	}
	w.no(keyturn.NotFound, keyturn.RevokeLease{Ref: dyn, ID: list[0].ID})
	open := map[string]bool{}
	for _, r := range w.records() {
		open[r.ID] = r.Phase == keyturn.Intent
		if strings.Contains(string(r.Op), "create-lease") && r.Parent == "" {
			t.Error("a part of a run has no parent")
		}
	}
	for id, still := range open {
		if still {
			t.Errorf("%s has no outcome", id)
		}
	}
}

// Whatever fails beside it, nothing is left taken.
func TestRunGivesBack(t *testing.T) {
	two := keyturn.MustRef("prod/dyn/two")
	for name, c := range map[string]struct {
		op   keyturn.Op
		code keyturn.Code
		at   string
		err  error
	}{
		"a static reference fails": {runs(dynUser, absent), keyturn.NotFound, "", nil},
		"no such field":            {runs(dynUser, keyturn.MustRef("prod/dyn/app#nofield")), keyturn.NotFound, "", nil},
		"several fields":           {runs(dyn), keyturn.Invalid, "", nil},
		"the platform fails":       {runs(dynUser, two), keyturn.Unavailable, "Lease", keyturn.E(keyturn.Unavailable, "down", "")},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := newLeaseWorld(t)
			if c.at != "" {
				w.down(c.at, c.err)
			}
			w.no(c.code, c.op)
			w.fail = nil
			if len(w.good()) != 0 || len(w.listed()) != 0 {
				t.Errorf("left: %v, %+v", w.good(), w.listed())
			}
		})
	}
	// One of two fails at the platform: the other is given back.
	w, _ := newLeaseWorld(t)
	calls := 0
	w.fail = func(doing string, _ keyturn.Ref) error {
		if doing == "Lease" {
			if calls++; calls == 2 {
				return keyturn.E(keyturn.Denied, "no", "")
			}
		}
		return nil
	}
	w.no(keyturn.Denied, runs(dynUser, keyturn.MustRef("prod/dyn/two#user")))
	if calls != 2 || len(w.good()) != 0 {
		t.Errorf("%d calls, left %v", calls, w.good())
	}
}

// Where the platform's answer is lost, so is the name of the lease: it is listed
// until a person forgets it.
func TestLeaseAnswerLost(t *testing.T) {
	w, _ := newLeaseWorld(t)
	w.down("Lease", &keyturn.Error{Code: keyturn.Unavailable, Unknown: true, Message: "cut off"})
	w.no(keyturn.Unavailable, keyturn.TakeLease{Ref: dyn})
	list := w.listed()
	if len(list) != 1 || list[0].State != keyturn.LeaseUnknown {
		t.Fatalf("%+v", list)
	}
	w.no(keyturn.Unsupported, keyturn.RevokeLease{Ref: dyn, ID: list[0].ID})
	w.no(keyturn.Conflict, keyturn.RenewLease{Ref: dyn, ID: list[0].ID})
	w.as(coder).no(keyturn.Denied, keyturn.RevokeLease{Ref: dyn, ID: list[0].ID, Forget: true})
	w.as(anna).must(keyturn.RevokeLease{Ref: dyn, ID: list[0].ID, Forget: true})
	if list := w.listed(); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

// P7: what the platform refuses stays visible, and is tried again, not too often.
func TestRevocationIsTriedAgain(t *testing.T) {
	w, p := newLeaseWorld(t)
	l := w.must(keyturn.TakeLease{Ref: dyn}).(*keyturn.Leased)
	if l.Values != nil {
		t.Error("values came out")
	}
	w.down("Revoke", keyturn.E(keyturn.Sealed, "sealed", ""))
	p.lives = false
	if told := w.Tidy(t.Context()); len(told) != 0 || len(w.good()) != 1 {
		t.Errorf("a lease that was taken by hand is nobody's to end: %v", told)
	}
	e := w.no(keyturn.Sealed, keyturn.RevokeLease{Ref: dyn, ID: l.Lease.ID})
	if !strings.Contains(e.Hint, "keyturn lease list") {
		t.Errorf("hint %q", e.Hint)
	}
	if list := w.listed(); len(list) != 1 || list[0].State != keyturn.LeaseRevoking || list[0].Problem != keyturn.Sealed {
		t.Errorf("%+v", list)
	}
	w.add(24 * time.Hour) // its time is over, and nobody knows whether it has ended
	n := w.mark()
	if told := w.Tidy(t.Context()); len(told) != 1 || !strings.Contains(told[0], "cannot be revoked yet (sealed)") || len(w.since(n)) != 2 {
		t.Errorf("told %v, %v", told, w.since(n))
	}
	n = w.mark()
	if told := w.Tidy(t.Context()); len(told) != 0 || len(w.since(n)) != 0 {
		t.Errorf("at once again: %v", told)
	}
	w.fail = nil
	w.add(2 * time.Hour)
	if told := w.Tidy(t.Context()); len(told) != 1 || !strings.Contains(told[0], "could not be revoked before") || len(w.good()) != 0 || len(w.listed()) != 0 {
		t.Errorf("told %v, left %v", told, w.good())
	}
}

// What a killed run leaves is revoked by the next start, whoever's it is, and told in
// words that the caller may know.
func TestTidy(t *testing.T) {
	w, p := newLeaseWorld(t)
	w.must(runs(dynUser))
	if told := w.Tidy(t.Context()); len(told) != 0 || len(w.good()) != 1 {
		t.Errorf("of a run that lives: %v", told)
	}
	p.lives = false
	told := w.as(coder).Tidy(t.Context())
	if len(told) != 1 || strings.Contains(told[0], "dyn") || len(w.good()) != 0 {
		t.Errorf("told %v, left %v", told, w.good())
	}
	if told := w.Tidy(t.Context()); len(told) != 0 {
		t.Errorf("again: %v", told)
	}
	last := w.records()
	if a := last[len(last)-2].Actor; a == nil || a.Principal() != "service:keyturn" {
		t.Errorf("%+v", last[len(last)-2])
	}
	// Killed while the platform was being asked.
	p.lives = true
	w.fail = func(doing string, _ keyturn.Ref) error {
		if doing == "Lease" {
			panic("killed")
		}
		return nil
	}
	_, _, err := w.as(anna).do(runs(dynUser))
	w.fail = nil
	p.lives = false
	if told := w.Tidy(t.Context()); err == nil || len(told) != 1 || !strings.Contains(told[0], "prod/dyn/app") || !strings.Contains(told[0], "nobody knows") {
		t.Errorf("%v, told %v", err, told)
	}
	if list := w.listed(); len(list) != 1 || list[0].State != keyturn.LeaseUnknown {
		t.Errorf("%+v", list)
	}
	w.add(800 * time.Hour)
	if list := w.listed(); len(list) != 0 {
		t.Errorf("for ever: %+v", list)
	}
	// A real service of that name has no more rights than others.
	l := w.must(keyturn.TakeLease{Ref: dyn}).(*keyturn.Leased).Lease
	w.as(keyturn.Actor{Kind: keyturn.ServiceKind, Name: "keyturn", Proof: "token"}).no(keyturn.NotFound, keyturn.RevokeLease{Ref: dyn, ID: l.ID})
}

// Use and lease are both needed, before anything is read or taken.
func TestLeaseRules(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	use, lease := may("agents", "use list", "prod/dyn/** local/app/db", run("npm test")), may("agents", "lease", "prod/dyn/**")
	w, _ := newLeaseWorld(t, withRules(t, use))
	n := w.mark()
	e := w.as(coder).no(keyturn.Denied, runs(dynUser, dbPass))
	for _, c := range w.since(n) {
		if c.call != "Issues" {
			t.Errorf("%s %s was called", c.call, c.ref)
		}
	}
	if !strings.Contains(e.Message, "may not lease prod/dyn/app") || e.Approval == nil {
		t.Fatalf("%s", full(e))
	}
	// A yes to that half is for one lease.
	w.yes(bob, e.Approval.ID)
	w.as(coder).must(runs(dynUser, dbPass))
	if len(w.good()) != 1 {
		t.Errorf("leases %v", w.good())
	}
	if e := w.no(keyturn.Denied, runs(dynUser, dbPass)); e.Approval == nil {
		t.Error("one yes is good for two")
	}

	w, _ = newLeaseWorld(t, withRules(t, lease))
	e = w.as(coder).no(keyturn.Denied, runs(dynUser))
	if !strings.Contains(e.Message, "may not use prod/dyn/app") {
		t.Errorf("%s", full(e))
	}
	w.yes(bob, e.Approval.ID) // to the whole command
	w.as(coder).must(runs(dynUser))
	e = w.no(keyturn.Denied, keyturn.TakeLease{Ref: dyn, Show: true})
	if !strings.Contains(e.Message, "may not reveal prod/dyn/app") {
		t.Errorf("%s", full(e))
	}

	// A yes to the whole command is one to its lease, but for what a rule forbids.
	w, _ = newLeaseWorld(t, withRules(t))
	e = w.as(coder).no(keyturn.Denied, runs(dynUser))
	w.yes(bob, e.Approval.ID)
	l := w.as(coder).must(runs(dynUser)).(*keyturn.Delivery).Leases[0]
	w.must(keyturn.RenewLease{Ref: dyn, ID: l.ID})
	w.as(other).no(keyturn.NotFound, keyturn.RevokeLease{Ref: dyn, ID: l.ID})
	w.as(ci).no(keyturn.NotFound, keyturn.RenewLease{Ref: dyn, ID: l.ID})
	if list := w.as(other).listed(); len(list) != 0 {
		t.Errorf("somebody else's lease is listed: %v", list)
	}
	w.as(bob).must(keyturn.RevokeLease{Ref: dyn, ID: l.ID})

	w, _ = newLeaseWorld(t, withRules(t, use, never("everyone", "lease", "prod/dyn/**")))
	if e := w.as(coder).no(keyturn.Denied, runs(dynUser)); e.Approval != nil {
		t.Errorf("a never rule can be asked to give way: %s", full(e))
	}
	w.as(anna).no(keyturn.Denied, keyturn.TakeLease{Ref: dyn})
	if len(w.good()) != 0 {
		t.Errorf("leases %v", w.good())
	}
}

// A rule that forbids leases ends renewals at once, and hinders no revocation.
func TestNeverEndsRenewals(t *testing.T) {
	w, _ := newLeaseWorld(t)
	l := w.must(keyturn.TakeLease{Ref: dyn, Show: true}).(*keyturn.Leased)
	if string(l.Values["user"].Reveal()) != secret(1) {
		t.Error("nothing was revealed")
	}
	w.Rules = ruleSet(t, never("everyone", "lease", "prod/**"))
	w.no(keyturn.Denied, keyturn.RenewLease{Ref: dyn, ID: l.Lease.ID})
	w.must(keyturn.RevokeLease{Ref: dyn, ID: l.Lease.ID})
	if len(w.good()) != 0 {
		t.Errorf("left %v", w.good())
	}
}

// One that has ended at the platform is no more here either.
func TestRenewEnded(t *testing.T) {
	w, _ := newLeaseWorld(t)
	l := w.must(keyturn.TakeLease{Ref: dyn}).(*keyturn.Leased).Lease
	issued[w][l.Native] = false
	w.no(keyturn.NotFound, keyturn.RenewLease{Ref: dyn, ID: l.ID})
	if list := w.listed(); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	for _, op := range []keyturn.Op{keyturn.TakeLease{Ref: dynUser}, keyturn.RenewLease{Ref: dyn, ID: "x", Seconds: -1}, keyturn.RevokeLease{Ref: dynUser, ID: "x"}} {
		w.no(keyturn.Invalid, op)
	}
	w.no(keyturn.NotFound, keyturn.RevokeLease{Ref: dyn})
	w.no(keyturn.NotFound, keyturn.RevokeLease{Ref: dyn, ID: "nosuch"})
}

// P1: where the log cannot be written nothing is taken, or it is given back.
func TestNoRecordNoLease(t *testing.T) {
	for _, fails := range []int{2, 3, 4} { // the run's intent is the first
		w, _ := newLeaseWorld(t)
		n := 0
		w.logFail = func() (before, after error) {
			if n++; n >= fails && n < fails+1 {
				return errors.New("disk full"), nil
			}
			return nil, nil
		}
		res, _, err := w.do(runs(dynUser))
		w.logFail = nil
		if err != nil && len(w.good()) != 0 {
			t.Errorf("write %d fails: left %v", fails, w.good())
		}
		if err == nil && fails < 4 {
			t.Errorf("write %d fails, and values came out: %v", fails, res)
		}
	}
}

// A mount that is at another server by now: nothing is asked there, which would say of
// a lease that it does not know that it has ended.
func TestLeaseElsewhere(t *testing.T) {
	w, p := newLeaseWorld(t)
	run := w.must(runs(dynUser)).(*keyturn.Delivery).Leases[0]
	hand := w.must(keyturn.TakeLease{Ref: dyn}).(*keyturn.Leased).Lease
	if run.Target != "→ memory prod" || hand.Target != run.Target {
		t.Errorf("taken at %q and %q", run.Target, hand.Target)
	}
	was := w.mounts["prod"]
	w.mounts["prod"] = platform.NewMount("prod", &spy{w: w, Memory: w.mem["prod"]}, was.Spec(), "another server")
	p.lives = false
	n := w.mark()
	if told := w.Tidy(t.Context()); len(told) != 0 {
		t.Errorf("told %v", told)
	}
	for _, op := range []keyturn.Op{keyturn.RevokeLease{Ref: dyn, ID: hand.ID}, keyturn.RenewLease{Ref: dyn, ID: hand.ID}, keyturn.RevokeLease{Ref: dyn, ID: run.ID}} {
		if e := w.no(keyturn.Conflict, op); !strings.Contains(e.Message, "→ memory prod") || !strings.Contains(e.Message, "another server") {
			t.Errorf("%s", full(e))
		}
	}
	for _, e := range w.since(n) {
		if e.call != "" {
			t.Errorf("%s was called", e.call)
		}
	}
	if len(w.good()) != 2 || len(w.listed()) != 2 {
		t.Errorf("good %v, %+v", w.good(), w.listed())
	}
	w.mounts["prod"] = was
	if told := w.Tidy(t.Context()); len(told) != 1 || len(w.good()) != 1 {
		t.Errorf("back where it was: told %v, left %v", told, w.good())
	}
	w.must(keyturn.RevokeLease{Ref: dyn, ID: hand.ID})
}

// A renewal whose answer is lost may have been granted: the lease is revoked all the
// same, by its run or by who comes after it was killed, however long that takes.
func TestRenewalLost(t *testing.T) {
	w, p := newLeaseWorld(t)
	run := w.must(runs(dynUser)).(*keyturn.Delivery).Leases[0]
	hand := w.must(keyturn.TakeLease{Ref: dyn}).(*keyturn.Leased).Lease
	w.add(50 * time.Minute)
	w.down("Renew", keyturn.E(keyturn.Unavailable, "cut off", ""))
	w.no(keyturn.Unavailable, keyturn.RenewLease{Ref: dyn, ID: run.ID})
	w.no(keyturn.Unavailable, keyturn.RenewLease{Ref: dyn, ID: hand.ID})
	w.fail = nil
	w.add(50 * time.Minute)
	if list := w.listed(); len(list) != 2 || !list[1].Expires.Equal(start.Add(110*time.Minute)) {
		t.Errorf("after its first term: %+v", list)
	}
	w.must(keyturn.RevokeLease{Ref: dyn, ID: hand.ID})
	w.add(100 * time.Hour)
	p.lives = false
	if told := w.Tidy(t.Context()); len(told) != 1 || len(w.good()) != 0 || len(w.listed()) != 0 {
		t.Errorf("told %v, left %v", told, w.good())
	}
}

// Who may not revoke is not told of it for ever: once its time is over the platform is
// asked whether there is anything to revoke.
func TestRevokeDenied(t *testing.T) {
	w, p := newLeaseWorld(t)
	l := w.must(runs(dynUser)).(*keyturn.Delivery).Leases[0]
	p.lives = false
	w.down("Revoke", keyturn.E(keyturn.Denied, "no", ""))
	if told := w.Tidy(t.Context()); len(told) != 1 || !strings.Contains(told[0], "denied") || len(w.listed()) != 1 {
		t.Errorf("told %v", told)
	}
	w.add(2 * time.Hour) // its time is over, and the platform has not ended it
	if told := w.Tidy(t.Context()); len(told) != 1 || !strings.Contains(told[0], "denied") || len(w.listed()) != 1 {
		t.Errorf("told %v", told)
	}
	issued[w][l.Native] = false
	w.add(2 * time.Hour)
	if told := w.Tidy(t.Context()); len(told) != 1 || len(w.listed()) != 0 {
		t.Errorf("told %v, %+v", told, w.listed())
	}
	// Nobody answers: it is asked once, not twice.
	l = w.must(runs(dynUser)).(*keyturn.Delivery).Leases[0]
	w.add(2 * time.Hour)
	w.down("Ended", keyturn.E(keyturn.Unavailable, "down", ""))
	w.no(keyturn.Unavailable, keyturn.RevokeLease{Ref: dyn, ID: l.ID})
	if len(w.good()) != 1 || len(w.listed()) != 1 {
		t.Errorf("%v, %+v", w.good(), w.listed())
	}
}

// A platform that does not answer is asked about one lease, and about the others not
// before that one is due again.
func TestTidySilent(t *testing.T) {
	w, p := newLeaseWorld(t)
	for range 3 {
		w.must(runs(dynUser))
	}
	hand := w.must(keyturn.TakeLease{Ref: dyn}).(*keyturn.Leased).Lease
	p.lives = false
	w.down("Revoke", keyturn.E(keyturn.Unavailable, "hangs", ""))
	tidy := func(want int) {
		t.Helper()
		n := w.mark()
		told, asked := w.Tidy(t.Context()), 0
		for _, e := range w.since(n) {
			if e.call == "Revoke" {
				asked++
			}
		}
		if asked != want || len(told) != want {
			t.Errorf("asked %d times, want %d; told %v", asked, want, told)
		}
	}
	tidy(1)
	tidy(0)
	w.add(2 * time.Minute)
	tidy(1)
	tidy(0)
	w.must(keyturn.RenewLease{Ref: dyn, ID: hand.ID})
	// Who asks for it now is not put off.
	w.no(keyturn.Unavailable, keyturn.RevokeLease{Ref: dyn, ID: hand.ID})
	w.fail = nil
	w.add(20 * time.Minute)
	tidy(4)
	if len(w.good()) != 0 || len(w.listed()) != 0 {
		t.Errorf("left %v", w.good())
	}
}
