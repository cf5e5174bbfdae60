package vault

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/world/servers"
)

// lists answers every LIST with these keys.
func lists(keys ...string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != "LIST" {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"keys": keys}})
		return true
	}
}

// TestEndlessFolders: a server that has a folder in every folder is listed to a depth,
// and the listing says that it is not complete. No server that keeps to its own
// documentation does so: it is one of our own.
func TestEndlessFolders(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][]string{"short": {"a/"}, "long": {strings.Repeat("n", 100) + "/"}, "illegal": {"\x01/"}, "two": {"name", "a/"}} {
		w := servers.NewWire(t)
		w.Before(lists(keys...))
		m := wired(t, w)
		for _, shallow := range []bool{false, true} {
			under, _ := keyturn.ParsePrefix("vault/")
			var ends []error
			for info, err := range m.Names(t.Context(), under, shallow) {
				if err != nil {
					ends = append(ends, err)
					if !info.IsFolder() || keyturn.AsError(err).Code != keyturn.Unavailable {
						t.Errorf("%s: '%v' beside %+v", name, err, info)
					}
				}
			}
			if want := 1; len(ends) != want && !shallow || len(ends) > 0 && shallow {
				t.Errorf("%s, shallow %v: %d errors: %v", name, shallow, len(ends), ends)
			}
		}
		if asked, _ := w.Requests("LIST"); len(asked) > platform.MaxLevels {
			t.Errorf("%s: %d requests", name, len(asked))
		}
	}
}

// TestOddNamesInAListing: names that no secret can have are neither the caller's fault
// nor a bug of keyturn.
func TestOddNamesInAListing(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "/", "//", ".", "..", "../", "../../x", "a//b", "a/b", "a/b/", "/a", " ", "a ", "\x00", "a\nb", "\u202e", "%2e%2e", "a#b", "a?version=2",
		"*", "+", strings.Repeat("x", 5000), strings.Repeat("x", 5000) + "/", "\xff", "kt://local/a", "vault/secret/a"} {
		for _, at := range []string{"vault/", "vault/secret", "vault/secret/team", "vault/secret/team/a"} {
			for _, shallow := range []bool{false, true} {
				w := servers.NewWire(t)
				w.Before(lists(key, "plain"))
				under, _ := keyturn.ParsePrefix(at)
				for _, err := range wired(t, w).Names(t.Context(), under, shallow) {
					if e := keyturn.AsError(err); e != nil && e.Code != keyturn.Unavailable {
						t.Errorf("%q below %s: %s: %v", key, at, e.Code, e)
					}
				}
			}
		}
	}
}
