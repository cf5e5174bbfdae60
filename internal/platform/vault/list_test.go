package vault

import (
	"slices"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/world/servers"
)

// TestRequestsOfListings: what is not asked for costs no request. It is counted at a
// server of our own; what a real one answers, platformtest and the scripts show.
func TestRequestsOfListings(t *testing.T) {
	t.Parallel()
	w := servers.NewWire(t)
	for _, name := range []string{"team/a/one", "team/a/two", "team/b/deep/one", "team/top", "other/x"} {
		w.Set(name, map[string]any{"f": "v"})
	}
	m := wired(t, w)
	for _, c := range []struct {
		under          string
		shallow, names bool
		want           []string // answers
		asked          []string
	}{
		{"vault/secret/team", true, true, []string{"vault/secret/team/a/", "vault/secret/team/b/", "vault/secret/team/top"},
			[]string{"GET secret/metadata/team", "LIST secret/metadata/team/"}},
		{"vault/secret/team", true, false, []string{"vault/secret/team/a/", "vault/secret/team/b/", "vault/secret/team/top"},
			[]string{"GET secret/metadata/team", "LIST secret/metadata/team/", "GET secret/metadata/team/top"}},
		{"vault/secret", true, true, []string{"vault/secret/other/", "vault/secret/team/"}, []string{"LIST secret/metadata/"}},
		{"vault/", true, true, []string{"vault/secret/"}, nil},
		{"vault/secret/team", false, true, []string{"vault/secret/team/a/one", "vault/secret/team/a/two", "vault/secret/team/b/deep/one", "vault/secret/team/top"},
			[]string{"GET secret/metadata/team", "LIST secret/metadata/team/", "LIST secret/metadata/team/a/", "LIST secret/metadata/team/b/", "LIST secret/metadata/team/b/deep/"}},
	} {
		before, _ := w.Requests("")
		under, err := keyturn.ParsePrefix(c.under)
		if err != nil {
			t.Fatal(err)
		}
		list := m.List(t.Context(), under, c.shallow)
		if c.names {
			list = m.Names(t.Context(), under, c.shallow)
		}
		var got []string
		for info, err := range list {
			if err != nil {
				t.Fatal(err)
			}
			if name := info.Path; info.IsFolder() {
				got = append(got, name)
			} else {
				got = append(got, info.Ref.Short())
			}
		}
		slices.Sort(got)
		all, _ := w.Requests("")
		asked := slices.DeleteFunc(slices.Clone(all[len(before):]), func(r string) bool { return r == "GET sys/internal/ui/mounts" })
		if len(asked) == 0 {
			asked = nil
		}
		if !slices.Equal(got, c.want) || !slices.Equal(asked, c.asked) {
			t.Errorf("%s, shallow %v, names %v: %q by %q; want %q by %q", c.under, c.shallow, c.names, got, asked, c.want, c.asked)
		}
	}
}
