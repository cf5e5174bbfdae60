package admin

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// TestSecretIDLost: a secret id that could not be opened here is destroyed; where that
// cannot be done, the error says by which command.
func TestSecretIDLost(t *testing.T) {
	t.Parallel()
	const unwrap, gone = "POST sys/wrapping/unwrap", "POST auth/people/role/app/secret-id-accessor/destroy"
	answers := map[string]string{
		"GET sys/internal/ui/mounts/auth/people": `{"data":{"path":"people/","type":"approle"}}`,
		"GET auth/people/role/app":               common["GET auth/approle/role/app"],
		"GET auth/people/role/app/role-id":       common["GET auth/approle/role/app/role-id"],
		"POST auth/people/role/app/secret-id":    common["POST auth/approle/role/app/secret-id"],
	}
	for status, code := range map[int]keyturn.Code{400: keyturn.Conflict, 403: keyturn.Denied, 500: keyturn.Unavailable, 503: keyturn.Sealed} {
		for _, kept := range []int{0, http.StatusForbidden} {
			w := &wire{refuse: map[string]int{unwrap: status, gone: kept}}
			_, err := row{action: "approle secret-id", args: platform.Args{"role": {"app"}, "path": {"people"}}, answers: answers}.run(t, w)
			e := keyturn.AsError(err)
			if e == nil || e.Code != code || e.Unknown != (kept > 0) {
				t.Errorf("%d, %d: %+v", status, kept, e)
				continue
			}
			if !slices.Contains(w.asked, gone+` {"secret_id_accessor":"acc-1"}`) {
				t.Errorf("%d: asked %v", status, w.asked)
			}
			want := "the secret id acc-1 was made, and destroyed again"
			if kept > 0 {
				want = "keyturn vault approle destroy-secret-id app acc-1 --path people --yes"
			}
			if !strings.Contains(e.Message, want) {
				t.Errorf("%d, %d: %s", status, kept, e.Message)
			}
		}
	}
	// A server that does not tell the accessor: what is wrapped can no longer be opened.
	answers["POST auth/people/role/app/secret-id"] = `{"wrap_info":{"token":"hvs.wrapping","accessor":"acc-w","ttl":60}}`
	w := &wire{refuse: map[string]int{unwrap: 403}}
	_, err := row{action: "approle secret-id", args: platform.Args{"role": {"app"}, "path": {"people"}}, answers: answers}.run(t, w)
	if e := keyturn.AsError(err); e == nil || !strings.Contains(e.Message, "cannot be opened any more") || !slices.Contains(w.asked, `POST auth/token/revoke {"token":"hvs.wrapping"}`) {
		t.Errorf("%v, asked %v", err, w.asked)
	}
}
