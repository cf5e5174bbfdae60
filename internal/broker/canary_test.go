package broker_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/broker"
)

// P5: marked values go along every route, on platforms that fail and panic with
// the values in their hands; then all that came out is searched for them.
func TestNoValueComesOut(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	var marks []string
	for i := range 8 {
		marks = append(marks, secret(i))
	}
	marks = append(marks, "the passphrase of anna")
	routes, texts := 0, 0
	modes := map[string]func(doing string, ref keyturn.Ref) error{
		"well":                            nil,
		"failing":                         func(string, keyturn.Ref) error { return keyturn.E(keyturn.Unavailable, "down", "") },
		"denying":                         func(string, keyturn.Ref) error { return keyturn.E(keyturn.Denied, "no", "").Because(errors.New("403")) },
		"missing":                         func(string, keyturn.Ref) error { return keyturn.E(keyturn.NotFound, "no such secret", "") },
		"panicking with a string":         func(string, keyturn.Ref) error { panic(secret(1)) },
		"panicking with bytes":            func(string, keyturn.Ref) error { panic([]byte(secret(1))) },
		"panicking with an error":         func(string, keyturn.Ref) error { panic(fmt.Errorf("value %s", secret(1))) },
		"panicking with an error of ours": func(string, keyturn.Ref) error { panic(keyturn.E(keyturn.Internal, secret(1), secret(1))) },
		"panicking with arguments":        func(string, keyturn.Ref) error { return passed([8]byte([]byte(secret(1)))) },
		"panicking with a value":          func(string, keyturn.Ref) error { panic(keyturn.NewValue([]byte(secret(1)))) },
		"panicking late": func(doing string, _ keyturn.Ref) error {
			if doing == "Get" || doing == "Put" || doing == "Delete" || doing == "Destroy" {
				panic(secret(1))
			}
			return nil
		},
	}
	for mode, fail := range modes {
		for _, actor := range []keyturn.Actor{anna, coder} {
			for kind, op := range ops() {
				w := newWorld(t, withRules(t, may("agents", "list describe use reveal write delete destroy administer", "**", run("npm *"))))
				put := func() keyturn.Op {
					id, err := w.as(actor).Seal(t.Context(), db, map[string]keyturn.Value{"password": keyturn.NewValue([]byte(secret(6)))})
					if err != nil {
						t.Fatal(err)
					}
					return keyturn.PutSecret{Ref: db, Candidate: id}
				}
				if kind == "put-secret" {
					op = put() // refused: a field would vanish
				}
				if kind == "migrate-secrets" {
					op = w.as(actor).migrating(db, "/p/.env", map[string]string{"A": secret(6), "B": secret(7)})
				}
				if kind == "approve-request" {
					w.Rules = ruleSet(t)
					op = keyturn.ApproveRequest{ID: w.ask(put(), keyturn.Denied), Remember: true}
				}
				w.fail = fail
				var out strings.Builder
				search := func(where, text string) {
					t.Helper()
					texts++
					for _, m := range marks {
						for _, f := range forms(m) {
							if strings.Contains(text, f) {
								t.Errorf("%s by %s on a platform that is %s: a value is in %s", kind, actor.Principal(), mode, where)
								return
							}
						}
					}
				}
				func() {
					defer func() {
						if p := recover(); p != nil {
							t.Errorf("%s by %s on a platform that is %s: a panic came out", kind, actor.Principal(), mode)
						}
					}()
					res, yielded, err := w.as(actor).do(op)
					search("the error", full(err))
					if strings.HasPrefix(mode, "panicking") && err != nil && errors.Is(err, keyturn.Internal) {
						if e := keyturn.AsError(err); e.Unknown && (kind == "get-secret" || kind == "reveal-secret" || kind == "list-secrets") {
							t.Errorf("%s: a read is said to have changed something", kind)
						}
					}
					data, _ := json.Marshal(res)
					search("the result", fmt.Sprintf("%v %+v %#v %s %v %+v", res, res, res, data, yielded, yielded))
				}()
				w.fail = nil
				for _, r := range w.records() {
					data, err := keyturn.EncodeRecord(r)
					if err != nil {
						t.Fatal(err)
					}
					out.Write(data)
				}
				search("the log", out.String())
				search("what was asked", fmt.Sprint(w.asked))
				search("what was remembered", fmt.Sprintf("%+v", w.rules))
				if _, _, err := w.Log.Verify(t.Context()); err != nil {
					t.Errorf("%s on a platform that is %s: the log: %v", kind, mode, err)
				}
				routes++
			}
		}
	}
	t.Logf("%d routes, %d texts searched", routes, texts)
}

// passed panics in a function with a value among its arguments, which a usual
// trace of the stack prints.
//
//go:noinline
func passed(b [8]byte) error {
	if b[0] == 'C' {
		panic(b[1])
	}
	return nil
}

func TestTraceHasNoArguments(t *testing.T) {
	w := newWorld(t)
	w.fail = func(string, keyturn.Ref) error { return passed([8]byte([]byte(secret(1)))) }
	e := w.no(keyturn.Internal, keyturn.RevealSecret{Ref: dbPass})
	text := e.Err.Error()
	if !strings.Contains(text, "broker_test.passed canary_test.go") || strings.Contains(text, "0x") {
		t.Errorf("the trace is %s", text)
	}
}

// A caller's own panic while it ranges over a listing is its own.
func TestPanicOfTheCaller(t *testing.T) {
	w := newWorld(t)
	res, err := w.Do(t.Context(), keyturn.ListSecrets{Under: prefix("local")})
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if p := recover(); p != "mine" {
				t.Errorf("the caller's panic came back as %v", p)
			}
		}()
		for range res.(*keyturn.Listing).Secrets {
			panic("mine")
		}
	}()
	if got := w.records(); got[len(got)-1].Phase != keyturn.Outcome {
		t.Error("its outcome is not on record")
	}
}

func TestListingsAreRangedOverOnce(t *testing.T) {
	w := newWorld(t)
	for _, op := range []keyturn.Op{keyturn.ListSecrets{Under: prefix("local")}, keyturn.ListSecrets{Under: prefix("local"), Shallow: true}} {
		res, _, err := w.do(op)
		if err != nil {
			t.Fatal(err)
		}
		n := w.mark()
		for _, err := range res.(*keyturn.Listing).Secrets {
			if !errors.Is(err, keyturn.Internal) {
				t.Errorf("ranged over twice: %v", err)
			}
		}
		if len(w.since(n)) > 0 {
			t.Error("the platform was reached twice by one intent")
		}
	}
	// Stopped early, it is over too, and on record.
	res, err := w.Do(t.Context(), keyturn.ListSecrets{Under: prefix("local")})
	if err != nil {
		t.Fatal(err)
	}
	for range res.(*keyturn.Listing).Secrets {
		break
	}
	if got := w.records(); got[len(got)-1].ID != res.Audit() || got[len(got)-1].Status != "success" {
		t.Errorf("the last record is %+v", got[len(got)-1])
	}
}

// A change whose outcome cannot be recorded was made: that is said, and the
// record follows when the log is well again.
func TestOutcomeCannotBeRecorded(t *testing.T) {
	for what, after := range map[string]bool{"not written": false, "written after all": true} {
		for kind, op := range ops() {
			w := newWorld(t)
			switch kind {
			case "put-secret", "rollback-secret", "delete-secret", "restore-secret", "destroy-secret", "trust-project":
			default:
				continue
			}
			w.store(db, map[string]string{"value": "x"}) // something to roll back from
			n := 0
			w.logFail = func() (error, error) {
				if n++; n != 2 {
					return nil, nil
				}
				if after {
					return nil, errors.New("lost the answer")
				}
				return errors.New("disk full"), nil
			}
			if e := w.no(keyturn.Unavailable, op); !e.Unknown || e.AuditID == "" {
				t.Errorf("%s, %s: %s", kind, what, full(e))
			}
			w.logFail = nil
			w.must(keyturn.GetSecret{Ref: web})
			if got := w.records(); got[1].Phase != keyturn.Outcome || got[1].ID != got[0].ID || got[1].Status != "success" {
				t.Errorf("%s, %s: the outcome does not follow: %+v", kind, what, got[1])
			}
			if _, _, err := w.Log.Verify(t.Context()); err != nil {
				t.Errorf("%s, %s: %v", kind, what, err)
			}
		}
	}
}

// A change that the platform may have made is said to be so, in the answer and
// on record.
func TestUnknownOutcome(t *testing.T) {
	w := newWorld(t)
	w.fail = func(doing string, _ keyturn.Ref) error {
		if doing == "Delete" {
			e := keyturn.E(keyturn.Unavailable, "timed out", "")
			e.Unknown = true
			return e
		}
		return nil
	}
	if e := w.no(keyturn.Unavailable, keyturn.DeleteSecret{Ref: db}); !e.Unknown {
		t.Error(full(e))
	}
	if got := w.records(); !got[1].Unknown || got[1].Code != keyturn.Unavailable {
		t.Errorf("on record: %+v", got[1])
	}
	w.fail = func(string, keyturn.Ref) error { panic("x") }
	if e := w.no(keyturn.Internal, keyturn.DeleteSecret{Ref: db}); !e.Unknown {
		t.Error("a crash in a change is said to have changed nothing")
	}
}

// Two processes share one log.
func TestTwoBrokers(t *testing.T) {
	w := newWorld(t)
	second := broker.New(w.Config)
	second.Log = audit.New((*logStore)(w), w.Now)
	for range 5 {
		w.must(keyturn.GetSecret{Ref: db})
		if _, err := second.Do(t.Context(), keyturn.RevealSecret{Ref: web}); err != nil {
			t.Fatal(err)
		}
		w.add(-time.Minute)
	}
	if err := second.Flush(); err != nil {
		t.Fatal(err)
	}
	got := w.must(keyturn.VerifyLog{}).(*keyturn.Verified)
	if got.Size < 20 || len(got.Head) != 64 {
		t.Errorf("verified %+v", got)
	}
}
