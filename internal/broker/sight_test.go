package broker

import (
	"context"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/platformtest"
	"github.com/keyturn/keyturn/internal/rules"
)

// levels is a platform that lists one level where that is asked for, and writes down
// what it was asked for. Some folders it refuses to list, and one keeps nothing.
type levels struct {
	*platformtest.Memory
	asked  []string
	denied string
	empty  string
}

// ListSome implements platform.Lister.
func (l *levels) ListSome(ctx context.Context, prefix string, look platform.Look) iter.Seq2[keyturn.Info, error] {
	what := "mem/" + prefix
	if look.Shallow {
		what += " shallow"
	}
	if look.Names {
		what += " names"
	}
	l.asked = append(l.asked, what)
	under, err := keyturn.ParsePrefix("mem/" + prefix)
	if err != nil {
		panic(err)
	}
	all := func(yield func(keyturn.Info, error) bool) {
		told := false
		for info, err := range l.List(ctx, prefix) {
			if err == nil && l.denied != "" && keyturn.Under(l.denied, info.Ref.Name()) && !look.Shallow {
				if !told && !yield(keyturn.Info{Path: "mem/" + l.denied + "/"}, keyturn.E(keyturn.Denied, "mem/"+l.denied+"/ may not be listed", "a hint")) {
					return
				}
				told = true
				continue
			}
			if !yield(info, err) {
				return
			}
		}
		if look.Shallow && prefix == "" && l.empty != "" {
			yield(keyturn.Info{Path: "mem/" + l.empty + "/"}, nil)
		}
	}
	if look.Shallow {
		return keyturn.Fold(under, all)
	}
	return all
}

var coder = keyturn.Actor{Kind: keyturn.Agent, Name: "coder"}

// sightOf is what the agent coder may see of a platform with some names, by rules.
func sightOf(t *testing.T, set []rules.Source) (*levels, sight) {
	t.Helper()
	spec := platform.Spec{Platform: "memory", Fields: true, CompareAndSet: true, NumericVersions: true, Recovery: platform.RecoveryForever}
	l := &levels{Memory: platformtest.NewMemory("mem", spec)}
	m := platform.NewMount("mem", l, spec, "test")
	for _, name := range []string{"top", "web/db", "web/eu/db", "web/eu/api", "web/secret/x", "hidden/a/b"} {
		_, err := m.Put(t.Context(), keyturn.MustRef("mem/"+name), platform.Put{Values: map[string]keyturn.Value{"f": keyturn.NewValue([]byte("fake"))}})
		if err != nil {
			t.Fatal(err)
		}
	}
	r, err := rules.New(rules.Input{Rules: set})
	if err != nil {
		t.Fatal(err)
	}
	return l, sight{b: &Broker{Config: Config{Rules: r}}, c: &call{actor: coder}, m: m}
}

func rule(may, never, on string) rules.Source {
	s := rules.Source{Who: []string{"agents"}, On: []string{on}}
	if may != "" {
		s.May = strings.Fields(may)
	}
	if never != "" {
		s.Never = strings.Fields(never)
	}
	return s
}

// names is what a listing yields: names, folders, and errors in brackets.
func names(s sight, t *testing.T, under string, shallow bool) []string {
	t.Helper()
	p, err := keyturn.ParsePrefix(under)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for info, err := range s.list(t.Context(), keyturn.ListSecrets{Under: p, Shallow: shallow}) {
		word := info.Path
		if !info.Ref.IsZero() {
			word = info.Ref.Short()
		}
		if err != nil {
			e := keyturn.AsError(err)
			word = "(" + word + " " + string(e.Code) + ": " + e.Message + "; " + e.Hint + ")"
		}
		out = append(out, word)
	}
	slices.Sort(out)
	return out
}

// One level is one request where everything below may be listed. Where only parts may
// be, a folder is shown for a name in it that may be listed, and for nothing else.
func TestOneLevel(t *testing.T) {
	for what, c := range map[string]struct {
		rules []rules.Source
		under string
		want  []string
		asked []string
	}{
		"everything":                {[]rules.Source{rule("list", "", "mem/**")}, "mem/", []string{"mem/hidden/", "mem/top", "mem/web/"}, []string{"mem/ shallow"}},
		"everything below a folder": {[]rules.Source{rule("list", "", "mem/web/**")}, "mem/web", []string{"mem/web/db", "mem/web/eu/", "mem/web/secret/"}, []string{"mem/web shallow"}},
		"parts":                     {[]rules.Source{rule("list", "", "mem/web/**")}, "mem/", []string{"mem/web/"}, []string{"mem/ shallow"}},
		"one name":                  {[]rules.Source{rule("list", "", "mem/web/eu/db")}, "mem/web", []string{"mem/web/eu/"}, []string{"mem/web shallow", "mem/web/eu names"}},
		"a name that is not there": {[]rules.Source{rule("list", "", "mem/web/eu/nosuch"), rule("list", "", "mem/web/db")}, "mem/web", []string{"mem/web/db"},
			[]string{"mem/web shallow", "mem/web/eu names"}},
		"a never": {[]rules.Source{rule("list", "", "mem/**"), rule("", "list describe use", "mem/web/secret/**")}, "mem/web", []string{"mem/web/db", "mem/web/eu/"}, []string{"mem/web shallow"}},
		"a never for a part": {[]rules.Source{rule("list", "", "mem/**"), rule("", "list describe use", "mem/web/secret/x")}, "mem/web", []string{"mem/web/db", "mem/web/eu/"},
			[]string{"mem/web shallow", "mem/web/secret names"}},
		"to use is not to list": {[]rules.Source{rule("list", "", "mem/top"), rule("describe", "", "mem/web/**")}, "mem/", []string{"mem/top"}, []string{"mem/ shallow", "mem/web names"}},
	} {
		l, s := sightOf(t, c.rules)
		if got := names(s, t, c.under, true); !cmp.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
		if !cmp.Equal(l.asked, c.asked) {
			t.Errorf("%s: asked for %q, want %q", what, l.asked, c.asked)
		}
	}
}

// A folder that may not be listed is told beside the rest, by its name only to those
// who may list all of it.
func TestPartial(t *testing.T) {
	for what, c := range map[string]struct {
		rules []rules.Source
		want  []string
	}{
		"all of it": {[]rules.Source{rule("list", "", "mem/**")},
			[]string{"(mem/web/eu/ denied: mem/web/eu/ may not be listed; a hint)", "mem/web/db", "mem/web/secret/x"}},
		"a part": {[]rules.Source{rule("list", "", "mem/web/*"), rule("list", "", "mem/web/eu/db")},
			[]string{"(mem/web/ denied: a part of mem/web/ may not be listed; )", "mem/web/db"}},
		"nothing of it": {[]rules.Source{rule("list", "", "mem/web/*"), rule("", "list describe use", "mem/web/eu/**")}, []string{"mem/web/db"}},
	} {
		l, s := sightOf(t, c.rules)
		l.denied = "web/eu"
		if got := names(s, t, "mem/web/", false); !cmp.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
}

// What has nothing in it is there or not; who may not list all of it cannot tell.
func TestNothing(t *testing.T) {
	all, some := []rules.Source{rule("list", "", "mem/**")}, []rules.Source{rule("list", "", "mem/*/x")}
	for what, c := range map[string]struct {
		rules []rules.Source
		under string
		want  []string
	}{
		"an empty part of the platform":  {all, "mem/kv", nil},
		"of which not all may be listed": {some, "mem/kv", []string{"( not_found: there is nothing at mem/kv that you may list; 'keyturn list mem/ --shallow' shows what is there)"}},
		"what is hidden":                 {some, "mem/hidden", []string{"( not_found: there is nothing at mem/hidden that you may list; 'keyturn list mem/ --shallow' shows what is there)"}},
		"what is not there":              {some, "mem/hiddem", []string{"( not_found: there is nothing at mem/hiddem that you may list; 'keyturn list mem/ --shallow' shows what is there)"}},
		"a folder misspelt":              {all, "mem/wev/eu", []string{"( not_found: there is nothing at mem/wev/eu that you may list; did you mean 'mem/web/eu'?)"}},
		"the last one misspelt":          {all, "mem/web/eo", []string{"( not_found: there is nothing at mem/web/eo that you may list; did you mean 'mem/web/eu'?)"}},
		"the whole mount":                {[]rules.Source{rule("list", "", "mem/nosuch")}, "mem/", nil},
	} {
		l, s := sightOf(t, c.rules)
		l.empty = "kv"
		if got := names(s, t, c.under, false); !cmp.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
}

// A name that is near is looked for in the folders on the way to it alone, and names
// what may be listed.
func TestSuggest(t *testing.T) {
	all := []rules.Source{rule("list", "", "mem/**")}
	for what, c := range map[string]struct {
		rules []rules.Source
		ref   string
		want  string
		asked []string
	}{
		"in its folder":          {all, "mem/web/eu/dc", "did you mean 'mem/web/eu/db'?", []string{"mem/ shallow names", "mem/web shallow names", "mem/web/eu shallow names"}},
		"a folder misspelt":      {all, "mem/wed/eu/db", "did you mean 'mem/web/eu/db'?", []string{"mem/ shallow names", "mem/web shallow names", "mem/web/eu shallow names"}},
		"no folder near":         {all, "mem/elsewhere/eu/db", "", []string{"mem/ shallow names"}},
		"the secret itself":      {all, "mem/web/db", "", []string{"mem/ shallow names", "mem/web shallow names"}},
		"what may not be listed": {[]rules.Source{rule("list", "", "mem/web/eu/nosuch")}, "mem/web/eu/dc", "", []string{"mem/ shallow names", "mem/web shallow names", "mem/web/eu shallow names"}},
	} {
		l, s := sightOf(t, c.rules)
		if got := s.suggestion(t.Context(), keyturn.MustRef(c.ref)); got != c.want || !cmp.Equal(l.asked, c.asked) {
			t.Errorf("%s: %q after %q, want %q after %q", what, got, l.asked, c.want, c.asked)
		}
	}
}
