package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// What each action asks of a server, and what it makes of the answers, without one. The
// answers are those of https://developer.hashicorp.com/vault/api-docs; that a real Vault
// gives them is shown by the scripts in cli/testdata/script/vault.

const canary = "kt-canary-of-the-wire"

// common is what several actions ask first, by "METHOD path".
var common = map[string]string{
	"GET sys/mounts":                               `{"data":{"secret/":{"type":"kv","options":{"version":"2"},"config":{"default_lease_ttl":60}},"old/":{"type":"kv"},"database/":{"type":"database"}}}`,
	"GET sys/auth":                                 `{"data":{"approle/":{"type":"approle","config":{"max_lease_ttl":120}}}}`,
	"GET secret/config":                            `{"data":{"max_versions":9,"cas_required":true,"delete_version_after":"1h0m0s"}}`,
	"GET sys/internal/ui/mounts/secret/app":        `{"data":{"path":"secret/","type":"kv","options":{"version":"2"}}}`,
	"GET secret/metadata/app":                      `{"data":{"max_versions":5,"current_version":7,"delete_version_after":"2h0m0s"}}`,
	"GET sys/internal/ui/mounts/auth/approle":      `{"data":{"path":"approle/","type":"approle"}}`,
	"LIST sys/policies/acl":                        `{"data":{"keys":["root","app","default"]}}`,
	"GET sys/policies/acl/app":                     `{"data":{"policy":"path \"secret/data/other\" { capabilities = [\"read\"] }"}}`,
	"POST sys/capabilities-self":                   `{"sys/policies/acl/app":["root"],"data":{"sys/policies/acl/app":["update"],"auth/approle/role/app":["update"]}}`,
	"POST auth/token/create":                       `{"auth":{"client_token":"hvs.fake","accessor":"acc"}}`,
	"POST sys/capabilities-accessor":               `{"data":{"secret/data/app":["read"]}}`,
	"GET auth/approle/role/app":                    `{"data":{"token_policies":["app"],"token_ttl":60}}`,
	"LIST auth/approle/role":                       `{"data":{"keys":["app"]}}`,
	"GET auth/approle/role/app/role-id":            `{"data":{"role_id":"the-role-id"}}`,
	"LIST auth/approle/role/app/secret-id":         `{"data":{"keys":["acc-1"]}}`,
	"POST auth/approle/role/app/secret-id":         `{"wrap_info":{"token":"hvs.wrapping","accessor":"acc-w","ttl":60,"wrapped_accessor":"acc-1"}}`,
	"POST sys/wrapping/unwrap":                     `{"data":{"secret_id":"the-secret-id","secret_id_accessor":"acc-1","secret_id_ttl":60}}`,
	"GET sys/internal/ui/mounts/database":          `{"data":{"path":"database/","type":"database"}}`,
	"LIST database/config":                         `{"data":{"keys":["shop"]}}`,
	"GET database/config/shop":                     `{"data":{"plugin_name":"postgresql-database-plugin","allowed_roles":["app"],"connection_details":{"connection_url":"postgresql://{{username}}:{{password}}@db/x","username":"admin"}}}`,
	"LIST database/roles":                          `{"data":{"keys":["app"]}}`,
	"GET database/roles/app":                       `{"data":{"db_name":"shop","creation_statements":["CREATE"],"default_ttl":60}}`,
	"LIST sys/leases/lookup/database/":             `{"data":{"keys":["creds/"]}}`,
	"LIST sys/leases/lookup/database/creds/":       `{"data":{"keys":["app/"]}}`,
	"LIST sys/leases/lookup/database/creds/app/":   `{"data":{"keys":["id-1"]}}`,
	"PUT sys/leases/lookup":                        `{"data":{"id":"database/creds/app/id-1","issue_time":"2026-01-24T10:00:00Z","expire_time":"2026-01-24T11:00:00Z","renewable":true}}`,
	"GET sys/seal-status":                          `{"initialized":true,"sealed":true,"t":2,"n":3,"progress":0,"version":"1.21.1","storage_type":"raft","type":"shamir"}`,
	"PUT sys/unseal":                               `{"initialized":true,"sealed":true,"t":2,"n":3,"progress":1}`,
	"GET sys/internal/ui/mounts/secret/dir/secret": `{"data":{"path":"secret/","type":"kv","options":{"version":"2"}}}`,
}

// wire answers from a map, and notes what it was asked: "METHOD path body".
type wire struct {
	mu      sync.Mutex
	answers map[string]string
	asked   []string
	status  int // of the answer to request number fail, from 1; 0 for none
	fail    int
	token   int            // requests with one
	refuse  map[string]int // statuses of answers, by "METHOD path"
}

func (w *wire) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.mu.Lock()
	defer w.mu.Unlock()
	what := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/v1/")
	w.asked = append(w.asked, strings.TrimSpace(what+" "+string(body)))
	if r.Header.Get("X-Vault-Token") != "" {
		w.token++
	}
	answer, known := w.answers[what]
	if again, ok := w.answers[what+" again"]; ok && slices.ContainsFunc(w.asked[:len(w.asked)-1], func(a string) bool { return a == what }) {
		answer = again
	}
	if !known {
		answer, known = common[what]
	}
	switch {
	case w.fail == len(w.asked), w.refuse[what] > 0:
		status := max(w.refuse[what], w.status)
		out.WriteHeader(status)
		said := canary
		if status == http.StatusServiceUnavailable {
			said = "Vault is sealed " + canary
		}
		_, _ = fmt.Fprintf(out, `{"errors":[%q],"data":%q}`, said, canary)
	case known && answer != "":
		_, _ = io.WriteString(out, answer)
	case r.Method == http.MethodGet || r.Method == "LIST" || known:
		out.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(out, `{"errors":[]}`)
	default:
		out.WriteHeader(http.StatusNoContent)
	}
}

// row is one action as it is asked for, and what it asks for.
type row struct {
	action  string
	args    platform.Args
	on      string
	typed   string // what a person types
	wrapped bool
	answers map[string]string // beside common; "" for 404
	want    []string          // of the server, in this order but for questions asked together
	says    string            // in the answer: its line, its items or its text
	// survives are the requests, by their number from 1, that the action does without
	// where they are refused: with these statuses, or with any.
	survives map[int][]int
}

func (x row) run(t *testing.T, w *wire) (platform.Acted, error) {
	t.Helper()
	s := httptest.NewServer(w)
	defer s.Close()
	c, err := api.New(api.Config{Address: s.URL, Token: func(context.Context) (keyturn.Value, error) { return keyturn.NewValue([]byte("hvs.fake")), nil }})
	if err != nil {
		t.Fatal(err)
	}
	w.answers = x.answers
	a := platform.Act{Action: x.action, Args: x.args, Taken: !x.wrapped, Ask: func(context.Context, string) (keyturn.Value, error) {
		return keyturn.NewValue([]byte(x.typed)), nil
	}}
	if x.on != "" {
		a.On = keyturn.MustRef(x.on)
	}
	if x.wrapped {
		a.Wrap = time.Minute
	}
	return Perform(t.Context(), c, "vault", a)
}

func TestWire(t *testing.T) {
	covered := map[string]bool{}
	for _, x := range rows {
		covered[x.action] = true
		name := x.action + " " + fmt.Sprint(x.args)
		w := &wire{}
		out, err := x.run(t, w)
		if err != nil {
			t.Errorf("%s: %v\nasked %s", name, err, strings.Join(w.asked, "\n"))
			continue
		}
		if !slices.Equal(w.asked, x.want) {
			t.Errorf("%s asked\n\t%s\nwant\n\t%s", name, strings.Join(w.asked, "\n\t"), strings.Join(x.want, "\n\t"))
		}
		if told := fmt.Sprint(out.Says, out.Items, out.Text, out.Notices); x.says == "" || !strings.Contains(told, x.says) {
			t.Errorf("%s says %s", name, told)
		}
		for n := range x.want {
			x.broken(t, n+1)
		}
	}
	for _, a := range List().Actions {
		if !covered[a.Name] {
			t.Errorf("no row tries '%s'", a.Name)
		}
	}
}

// broken runs x with one of its requests refused in each way, and checks what is said.
func (x row) broken(t *testing.T, n int) {
	t.Helper()
	reads := slices.ContainsFunc(List().Actions, func(a keyturn.Action) bool { return a.Name == x.action && a.Reads })
	request := x.want[n-1]
	without, any := x.survives[n]
	// Whether something is mounted at a path the list of mounts tells, too.
	listed := request == "GET sys/internal/ui/mounts/auth/approle" || request == "GET sys/internal/ui/mounts/database"
	for status, codes := range map[int][]keyturn.Code{
		http.StatusBadRequest:          {keyturn.Invalid, keyturn.NotFound, keyturn.Conflict, keyturn.Unavailable},
		http.StatusForbidden:           {keyturn.Denied},
		http.StatusNotFound:            {keyturn.NotFound},
		http.StatusInternalServerError: {keyturn.Unavailable},
		http.StatusServiceUnavailable:  {keyturn.Sealed},
	} {
		w := &wire{status: status, fail: n}
		out, err := x.run(t, w)
		name := fmt.Sprintf("%s, %d to %s", x.action, status, request)
		e := keyturn.AsError(err)
		if strings.Contains(fmt.Sprint(out.Told, err, errors.Unwrap(err)), canary) || e != nil && strings.Contains(e.Hint, canary) {
			t.Errorf("%s: the server is quoted: %v %v", name, out.Told, err)
		}
		lives := any && (without == nil || slices.Contains(without, status)) || listed && status == http.StatusForbidden
		switch {
		case e == nil && (lives || status == http.StatusNotFound && strings.HasPrefix(request, "LIST")):
		case e == nil:
			t.Errorf("%s: no error: %s", name, out.Says)
		case lives:
			t.Errorf("%s: %v, want it done without", name, err)
		case !slices.Contains(codes, e.Code) || e.Message == "" || strings.ContainsAny(e.Message, "\n"):
			t.Errorf("%s: %+v", name, e)
		case status == http.StatusForbidden && (e.By != "platform" || e.Hint == ""):
			t.Errorf("%s: by %q, hint %q", name, e.By, e.Hint)
		case status == http.StatusInternalServerError && reads && e.Unknown && !strings.HasPrefix(request, "POST"):
			t.Errorf("%s: it reads, and its outcome is open", name)
		}
	}
}

func TestWireUnknown(t *testing.T) {
	w := &wire{}
	_, err := row{action: "no such thing"}.run(t, w)
	if !errors.Is(err, keyturn.Unsupported) || len(w.asked) > 0 {
		t.Errorf("%v, asked %v", err, w.asked)
	}
}
