package broker

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"pgregory.net/rapid"
)

var day = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

func drawSecret(t *rapid.T, what string) keyturn.Secret {
	s := keyturn.Secret{Values: map[string]keyturn.Value{}}
	for f, v := range rapid.MapOfN(rapid.SampledFrom([]string{"value", "a", "b", "c.d"}), rapid.OneOf(rapid.String(), rapid.Just("\xff\x00")), 1, 4).Draw(t, what) {
		s.Values[f] = keyturn.NewValue([]byte(v))
		if rapid.Bool().Draw(t, "public") {
			s.Public = append(s.Public, f)
		}
	}
	s.Fields = slices.Sorted(maps.Keys(s.Values))
	slices.Sort(s.Public)
	s.Labels = rapid.MapOfN(rapid.SampledFrom([]string{"team", "env", strings.Repeat("k", 20)}), rapid.SampledFrom([]string{"x", strings.Repeat("v", 20), "\u202e"}), 0, 3).Draw(t, what+" labels")
	if rapid.Bool().Draw(t, "expires") {
		s.Expires = day
	}
	return s
}

func drawSpec(t *rapid.T) platform.Spec {
	yes := func(what string) bool { return rapid.Bool().Draw(t, what) }
	s := platform.Spec{Platform: "p", Fields: yes("fields"), Public: yes("marks"), Expires: yes("expiry")}
	if yes("labels") {
		s.Labels = platform.LabelLimits{Max: rapid.IntRange(1, 3).Draw(t, "max"), Key: 10, Value: 10}
	}
	return s
}

// What Left does not tell of is in the write, and what it tells of is not; a write
// holds nothing that the platform has said it cannot keep.
func TestWholeKeepsAllThatLeftDoesNotTell(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		from, spec, mode := drawSecret(t, "from"), drawSpec(t), rapid.SampledFrom([]string{"", keyturn.Merge, keyturn.Replace}).Draw(t, "mode")
		var now keyturn.Info
		if rapid.Bool().Draw(t, "there") {
			now = drawSecret(t, "now").Info
			if !spec.Public {
				now.Public = nil
			}
			now.Labels = nil
		}
		left := strings.Join(lost(from.Info, spec), "\n")
		put, err := wholeSecret(from, now, spec, mode)
		if err != nil {
			ok := spec.Fields
			for _, v := range from.Values {
				ok = ok || !utf8.Valid(v.Reveal())
			}
			if !ok || spec.Fields {
				t.Fatalf("%v", err)
			}
			seen["refused"]++
			return
		}
		tells := func(word string, lost bool) {
			if strings.Contains(left, word) != lost {
				t.Fatalf("%q is lost: %v; told: %q", word, lost, left)
			}
			if lost {
				seen[word]++
			}
		}
		tells("labels", len(put.Labels) < len(from.Labels))
		for k, v := range put.Labels {
			if from.Labels[k] != v || len(k) > spec.Labels.Key || len(v) > spec.Labels.Value || len(put.Labels) > spec.Labels.Max {
				t.Fatalf("label %q", k)
			}
		}
		tells("replaced", !from.Expires.IsZero() && !put.Expires.Equal(from.Expires))
		public := false
		for _, f := range from.Public {
			public = public || !slices.Contains(put.Public, f)
		}
		tells("public", public)
		for _, f := range put.Public {
			if _, new := from.Values[f]; new && !slices.Contains(from.Public, f) || !spec.Public {
				t.Fatalf("%q has become public", f)
			}
		}
		packed := !spec.Fields && !slices.Equal(from.Fields, []string{"value"})
		tells("JSON", packed)
		switch {
		case packed:
			members := map[string]string{}
			if err := json.Unmarshal(put.Values["value"].Reveal(), &members); err != nil || len(put.Values) != 1 || len(members) != len(from.Values) {
				t.Fatalf("packed as %d values, %d members: %v", len(put.Values), len(members), err)
			}
			for f, v := range from.Values {
				if members[f] != string(v.Reveal()) {
					t.Fatalf("field %q is packed as something else", f)
				}
			}
		case !maps.EqualFunc(put.Values, from.Values, keyturn.Value.Equal):
			t.Fatal("the values are not the same")
		}
	})
	for _, word := range []string{"labels", "public", "replaced", "JSON", "refused"} {
		if seen[word] == 0 && !testing.Short() { // -short makes a few tries only
			t.Errorf("%s was never seen: %v", word, seen)
		}
	}
}

func TestMergeKeepsWhatIsThere(t *testing.T) {
	from := keyturn.Secret{Values: map[string]keyturn.Value{"a": {}, "b": {}}}
	from.Public = []string{"a"}
	from.Labels = map[string]string{"team": "web"}
	now := keyturn.Info{Public: []string{"b", "c"}, Labels: map[string]string{"env": "prod", "team": "old"}, Expires: day}
	spec := platform.Spec{Platform: "p", Fields: true, Public: true, Expires: true, Labels: platform.LabelLimits{Max: 8, Key: 64, Value: 64}}
	put, err := wholeSecret(from, now, spec, keyturn.Merge)
	if err != nil || !slices.Equal(put.Public, []string{"a", "c"}) || len(put.Labels) != 1 || put.Labels["team"] != "web" || !put.Expires.Equal(day) {
		t.Errorf("%+v, %v", put, err)
	}
	put, err = wholeSecret(from, now, spec, keyturn.Replace)
	if err != nil || !slices.Equal(put.Public, []string{"a"}) || put.Labels["env"] != "" || !put.Expires.IsZero() {
		t.Errorf("%+v, %v", put, err)
	}
	if put = oneField(keyturn.Value{}, "x", now, spec); put.Mode != keyturn.Merge || !put.Expires.Equal(day) || put.Labels != nil || put.Public != nil {
		t.Errorf("%+v", put)
	}
}

func TestFits(t *testing.T) {
	spec := platform.Spec{Platform: "p", Fields: true, MaxFields: 2, FieldNames: platform.Rule{Allowed: "small letters", Check: func(n string) string {
		if n != strings.ToLower(n) {
			return "it has capital letters"
		}
		return ""
	}}}
	ref := keyturn.MustRef("p/x")
	for what, c := range map[string]struct {
		fields []string
		ok     bool
	}{
		"legal names": {[]string{"a", "b"}, true}, "an illegal name": {[]string{"a", "SeCrEtNaMe"}, false}, "too many": {[]string{"a", "b", "c"}, false}, "not known": {nil, true},
	} {
		err := fits(keyturn.Info{Fields: c.fields}, ref, spec)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", what, err)
		}
		if err != nil && strings.Contains(err.Error()+keyturn.AsError(err).Hint, "SeCrEtNaMe") {
			t.Errorf("%s: a name is told to whoever may use it", what)
		}
	}
	if err := fits(keyturn.Info{Fields: []string{"A", "B", "C"}}, ref, platform.Spec{Platform: "p"}); err != nil {
		t.Errorf("one value takes all: %v", err)
	}
}

func TestCompare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawSecret(t, "a").Values, drawSecret(t, "b").Values
		names := map[string]bool{}
		for _, d := range compareFields(a, b) {
			v, inA := a[d.Field]
			w, inB := b[d.Field]
			want := keyturn.Different
			switch {
			case !inB:
				want = keyturn.OnlyA
			case !inA:
				want = keyturn.OnlyB
			case string(v.Reveal()) == string(w.Reveal()):
				want = keyturn.Same
			}
			if d.Is != want || names[d.Field] || !inA && !inB {
				t.Fatalf("%+v, want %s", d, want)
			}
			names[d.Field] = true
		}
		for f := range a {
			if !names[f] {
				t.Fatalf("%q is not told of", f)
			}
		}
	})
}

// TestTypes: what is no string goes along as what it is, to fields and into the one
// value of a platform without any.
func TestTypes(t *testing.T) {
	from := keyturn.Secret{Info: keyturn.Info{Typed: []string{"port"}},
		Values: map[string]keyturn.Value{"port": keyturn.NewValue([]byte("5432")), "text": keyturn.NewValue([]byte("5432"))}}
	put, err := wholeSecret(from, keyturn.Info{}, platform.Spec{Fields: true}, "")
	if err != nil || len(put.Typed) != 1 || put.Typed[0] != "port" {
		t.Errorf("to fields: %v, %v", put.Typed, err)
	}
	put, err = wholeSecret(from, keyturn.Info{}, platform.Spec{}, "")
	if err != nil || put.Typed != nil || !put.Values[platform.Blob].Equal(keyturn.NewValue([]byte(`{"port":5432,"text":"5432"}`))) {
		t.Errorf("to one value: %v", err)
	}
}
