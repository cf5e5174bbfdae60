package broker_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/journal"
)

func values(pairs ...string) map[string]keyturn.Value {
	out := map[string]keyturn.Value{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = keyturn.NewValue([]byte(pairs[i+1]))
	}
	return out
}

func (w *world) seal(ref keyturn.Ref, v map[string]keyturn.Value) string {
	w.t.Helper()
	id, err := w.Seal(w.t.Context(), ref, v)
	if err != nil {
		w.t.Fatal(say(err))
	}
	return id
}

func (w *world) value(ref keyturn.Ref, field string) string {
	s, err := w.mem[ref.Mount()].Get(w.t.Context(), ref)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(s.Values[field].Reveal())
}

func (w *world) candidates() int {
	n := 0
	for range w.items.Items(w.t.Context(), "candidate") {
		n++
	}
	return n
}

func TestCandidates(t *testing.T) {
	w := newWorld(t)
	ref := keyturn.MustRef("local/new")
	id := w.seal(ref, values("a", "1", "b", "2"))
	if again := w.seal(ref, values("b", "2", "a", "1")); again != id {
		t.Error("the same values got another candidate")
	}
	for what, other := range map[string]string{
		"another value":    w.seal(ref, values("a", "1", "b", "3")),
		"another field":    w.seal(ref, values("a", "1", "c", "2")),
		"fewer fields":     w.seal(ref, values("a", "1")),
		"another secret":   w.seal(web, values("a", "1", "b", "2")),
		"another caller":   w.as(coder).seal(ref, values("a", "1", "b", "2")),
		"another person":   w.as(bob).seal(ref, values("a", "1", "b", "2")),
		"one byte of none": w.as(anna).seal(ref, values("a", "1", "b", "2\x00")),
	} {
		if other == id {
			t.Errorf("%s got the same candidate", what)
		}
	}
	w.as(bob).no(keyturn.NotFound, keyturn.PutSecret{Ref: ref, Candidate: id})
	w.as(anna).no(keyturn.NotFound, keyturn.PutSecret{Ref: web, Candidate: id})
	w.no(keyturn.NotFound, keyturn.PutSecret{Ref: ref, Candidate: "-"})
	w.no(keyturn.NotFound, keyturn.PutSecret{Ref: ref, Candidate: strings.ToUpper(id)})
	n := w.candidates()
	w.must(keyturn.PutSecret{Ref: ref, Candidate: id})
	if w.value(ref, "a") != "1" || w.value(ref, "b") != "2" || w.candidates() != n-1 {
		t.Error("it was not put, or is still there")
	}
	w.no(keyturn.NotFound, keyturn.PutSecret{Ref: ref, Candidate: id, Mode: keyturn.Replace})

	// A put that failed takes its candidate along; who tries again seals again.
	id, n = w.seal(ref, values("c", "3")), w.candidates()
	w.no(keyturn.Conflict, keyturn.PutSecret{Ref: ref, Candidate: id})
	w.no(keyturn.NotFound, keyturn.PutSecret{Ref: ref, Candidate: id, Mode: keyturn.Merge})
	if w.candidates() != n-1 {
		t.Error("the candidate of a failed put is still there")
	}
	id = w.seal(ref, values("c", "3"))
	w.must(keyturn.PutSecret{Ref: ref, Candidate: id, Mode: keyturn.Merge})
	if w.value(ref, "a") != "1" || w.value(ref, "c") != "3" {
		t.Error("it was not merged")
	}
	id = w.seal(ref, values("c", "4"))
	w.add(24 * time.Hour)
	w.no(keyturn.NotFound, keyturn.PutSecret{Ref: ref, Candidate: id})
	if again := w.seal(ref, values("c", "4")); again == id {
		t.Error("a candidate lives longer than a day")
	}
}

// An approved put cannot be given another value.
func TestApprovedPut(t *testing.T) {
	w := newWorld(t)
	id := w.as(coder).seal(web, values("value", "approved"))
	op := keyturn.PutSecret{Ref: web, Candidate: id}
	w.yes(anna, w.ask(op, keyturn.Denied))
	swapped := w.as(coder).seal(web, values("value", "swapped"))
	w.no(keyturn.Denied, keyturn.PutSecret{Ref: web, Candidate: swapped})
	w.no(keyturn.Denied, keyturn.PutSecret{Ref: web, Candidate: id, Labels: map[string]string{"a": "b"}})
	w.no(keyturn.Denied, keyturn.PutSecret{Ref: web, Candidate: id, Mode: keyturn.Replace})
	if again := w.seal(web, values("value", "approved")); again != id {
		t.Error("the repeated command means another candidate")
	}
	w.must(op)
	if w.value(web, "value") != "approved" {
		t.Error("another value was put")
	}
}

func TestSealIsBounded(t *testing.T) {
	w := newWorld(t)
	n := w.mark()
	for i := range journal.MaxCandidates {
		w.as(coder).seal(web, values("value", fmt.Sprint(i)))
	}
	_, err := w.Seal(t.Context(), web, values("value", "one more"))
	if !errors.Is(err, keyturn.Denied) {
		t.Errorf("one more: %v", err)
	}
	w.seal(web, values("value", "7")) // is there
	w.as(anna).seal(web, values("value", "one more"))
	many := map[string]keyturn.Value{}
	for i := range 1001 {
		many[fmt.Sprint(i)] = keyturn.NewValue(nil)
	}
	for what, v := range map[string]map[string]keyturn.Value{
		"many fields": many, "no name": values("", "x"), "a name that is not text": values("a\xff", "x"), "a long name": values(strings.Repeat("a", 600), "x"),
		"large values": {"a": keyturn.NewValue(make([]byte, 9<<20)), "b": keyturn.NewValue(make([]byte, 9<<20))},
	} {
		if _, err := w.Seal(t.Context(), web, v); !errors.Is(err, keyturn.Invalid) {
			t.Errorf("%s: %s", what, say(err))
		}
	}
	for _, ref := range []keyturn.Ref{{}, dbPass, keyturn.MustRef("local/a?version=1")} {
		if _, err := w.Seal(t.Context(), ref, values("a", "b")); !errors.Is(err, keyturn.Invalid) {
			t.Errorf("sealed for %q: %v", ref, err)
		}
	}
	if calls := w.since(n); len(calls) > 0 {
		t.Errorf("sealing reached the platform: %v", calls)
	}
	w.Rules = ruleSet(t, never("agents", "write", "local/**"))
	if _, err := w.as(coder).Seal(t.Context(), web, values("value", "x")); !errors.Is(err, keyturn.Denied) {
		t.Errorf("sealed where a rule forbids the put: %v", err)
	}
	if _, err := w.as(keyturn.Actor{}).Seal(t.Context(), web, values("value", "x")); !errors.Is(err, keyturn.Denied) {
		t.Errorf("sealed for nobody: %v", err)
	}
}

func TestGenerate(t *testing.T) {
	w := newWorld(t)
	ref := keyturn.MustRef("local/made")
	all := map[string]string{"": "A-Za-z0-9", "alnum": "A-Za-z0-9", "alpha": "A-Za-z", "lower": "a-z", "upper": "A-Z", "digits": "0-9",
		"hex": "0-9a-f", "base64url": "A-Za-z0-9_-", "symbols": `!#-&(-~`}
	for set, class := range all {
		for _, n := range []int{0, 1, 7, 500} {
			w.must(keyturn.PutSecret{Ref: ref, Mode: keyturn.Replace, Generate: []keyturn.Generate{{Field: "f", Length: n, Charset: set}}})
			got := w.value(ref, "f")
			want := n
			if n == 0 {
				want = 32
			}
			if !regexp.MustCompile(`^[`+class+`]*$`).MatchString(got) || len(got) != want {
				t.Errorf("%q of %d characters gave %d: %q", set, want, len(got), got)
			}
			seen := map[rune]bool{}
			for _, r := range got {
				seen[r] = true
			}
			if n == 500 && len(seen) < 10 {
				t.Errorf("%q uses %d characters only", set, len(seen))
			}
		}
	}
	var made []string
	for range 20 {
		w.must(keyturn.PutSecret{Ref: ref, Mode: keyturn.Replace, Generate: []keyturn.Generate{{Field: "id", Charset: "uuid"}}})
		id := w.value(ref, "id")
		if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) {
			t.Errorf("a UUID is %q", id)
		}
		made = append(made, id)
	}
	if slices.Sort(made); len(slices.Compact(made)) != 20 {
		t.Error("a UUID came twice")
	}
	g := func(gs ...keyturn.Generate) keyturn.PutSecret {
		return keyturn.PutSecret{Ref: ref, Mode: keyturn.Merge, Generate: gs}
	}
	var many []keyturn.Generate
	for i := range 101 {
		many = append(many, keyturn.Generate{Field: fmt.Sprintf("%04d", i)})
	}
	for what, op := range map[string]keyturn.PutSecret{
		"no field": g(keyturn.Generate{}), "unknown set": g(keyturn.Generate{Field: "a", Charset: "x"}), "negative": g(keyturn.Generate{Field: "a", Length: -1}),
		"too long": g(keyturn.Generate{Field: "a", Length: 4097}), "a long UUID": g(keyturn.Generate{Field: "a", Length: 36, Charset: "uuid"}),
		"twice": g(keyturn.Generate{Field: "a"}, keyturn.Generate{Field: "a"}), "unsorted": g(keyturn.Generate{Field: "b"}, keyturn.Generate{Field: "a"}),
		"too many": g(many...), "an unknown mode": {Ref: ref, Mode: "x", Generate: []keyturn.Generate{{Field: "a"}}},
		"a version":              {Ref: keyturn.MustRef("local/made?version=1"), Generate: []keyturn.Generate{{Field: "a"}}},
		"public without a value": {Ref: ref, Mode: keyturn.Replace, Public: []string{"b"}, Generate: []keyturn.Generate{{Field: "a"}}},
		"unsorted public":        {Ref: ref, Public: []string{"b", "a"}, Generate: []keyturn.Generate{{Field: "a"}, {Field: "b"}}},
	} {
		n := w.mark()
		w.no(keyturn.Invalid, op)
		if slices.ContainsFunc(w.since(n), func(e event) bool { return e.call == "Put" }) {
			t.Errorf("%s reached the platform", what)
		}
	}
	id := w.seal(ref, values("a", "given"))
	w.no(keyturn.Invalid, keyturn.PutSecret{Ref: ref, Mode: keyturn.Merge, Candidate: id, Generate: []keyturn.Generate{{Field: "a"}}})
}

// An approved put on a deleted secret is for the version that was deleted.
func TestApprovedPutOverDeleted(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	w := newWorld(t)
	op := generated(old)
	w.yes(anna, w.as(coder).ask(op, keyturn.Denied))
	w.as(coder).must(op)
}

// TestPutNamesItsFields: a put says in its form, for who approves it and in its record,
// which fields its sealed values are of; a form that says others is refused.
func TestPutNamesItsFields(t *testing.T) {
	w := newWorld(t)
	ref := keyturn.MustRef("local/named")
	id, err := w.as(anna).Seal(t.Context(), ref, values("password", "x", "LD_PRELOAD", "y"))
	if err != nil {
		t.Fatal(err)
	}
	w.as(anna).no(keyturn.Invalid, keyturn.PutSecret{Ref: ref, Candidate: id, Fields: []string{"password"}})
	w.as(anna).must(keyturn.PutSecret{Ref: ref, Candidate: id})
	said := 0
	for _, r := range w.records() {
		if strings.Contains(string(r.Op), `"fields":["LD_PRELOAD","password"]`) {
			said++
		}
	}
	if said == 0 {
		t.Errorf("no record names the fields: %+v", w.records())
	}
}
