package journal_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/journal/journaltest"
	"github.com/keyturn/keyturn/internal/rules"
)

// drawn matches what is salted in a row.
var drawn = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`"salt":"[A-Za-z0-9+/=]{44}","lines":\{"PORT":"[0-9a-f]{64}"\}`)
})

// The rows are part of the store's format: another version of keyturn reads them. An
// id that is drawn is written ID here.
func TestRows(t *testing.T) {
	s := journaltest.New(start)
	j := journal.New(s, s.Now)
	ctx, a, v := t.Context(), keyturn.MustRef("local/a"), func(s string) keyturn.Value { return keyturn.NewValue([]byte(s)) }
	ids := map[string]string{}
	draw := func(id, kind string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(kind, err)
		}
		ids[id] = "ID of " + kind
	}
	form, hash := hashOf(t, get)
	r, err := j.Approvals.Ask(ctx, coder, form, hash, "why", rules.Needs{Approvals: 2, From: "sre", Proof: "passkey"}, true)
	draw(r.ID, "request", err)
	_, err = j.Approvals.Approve(ctx, r.ID, yes(bob), at1)
	draw(r.ID, "request", err)
	id, err := j.Candidates.Seal(ctx, anna, a, map[string]keyturn.Value{"f": v("x<")})
	draw(id, "candidate", err)
	_, _, err = j.Trust.PinFile(ctx, keyturn.AskedFile{Path: "/p/keyturn.yaml", Asks: []keyturn.Binding{{Name: "A", Ref: a}}})
	is(t, "pin", err, "")
	_, _, err = j.Trust.PinFile(ctx, keyturn.AskedFile{Path: "/p/.env", Asks: []keyturn.Binding{{Name: "A", Ref: a}}, Steers: []keyturn.Setting{{Name: "CC", Text: "gcc"}}, Kept: []string{"PORT"}})
	is(t, "pin a file", err, "")
	is(t, "keep lines", j.Trust.KeepLines(ctx, "/p/.env", map[string]keyturn.Value{"PORT": v("80")}), "")
	is(t, "machine", j.Machines.Change(ctx, func(m *journal.Machine) error {
		m.Settled = true
		m.Config, m.Env = &journal.ConfigPin{Path: "/k.yaml", Digest: "d", Text: "rules: []\n"}, []string{"HOME=/home/anna"}
		m.Folder = &journal.Folder{Path: "/home/anna/s", Inode: 7}
		return nil
	}), "")
	is(t, "nothing new of the machine", j.Machines.Change(ctx, func(*journal.Machine) error { return nil }), "")
	is(t, "compare", j.Compares.Take(ctx, "agent:coder", []keyturn.Ref{a}, 2), "")
	is(t, "reserve", j.Compares.Reserve(ctx, "r1", "agent:coder", []keyturn.Ref{a, keyturn.MustRef("local/b#f")}), "")
	is(t, "charge", j.Compares.Charge(ctx, "service:ci", []keyturn.Ref{keyturn.MustRef("local/c#f"), a}, journal.MaxCompares), "")
	_, err = j.Refusals.Add(ctx, coder)
	is(t, "refusal", err, "")
	is(t, "lease", j.Leases.Ask(ctx, keyturn.LeaseInfo{ID: "l1", Ref: a, By: "user:anna", Target: "there", Run: true}, "p1"), "")
	_, err = j.Leases.Give(ctx, "l1", "native", time.Hour, true, []string{"f"})
	is(t, "lease", err, "")
	_, err = j.Leases.End(ctx, "l1", false)
	is(t, "lease", err, "")
	m := keyturn.Migration{ID: "m1", By: "user:anna", Ref: a, Fields: []string{"f"}, Phase: keyturn.MigrationBegun, Began: start,
		Files: []keyturn.MigratedFile{{Path: "/p/.env", Mode: "0600"}}}
	is(t, "migration", j.Migrations.Begin(ctx, m, true), "")
	is(t, "migration", j.Migrations.Store(ctx, "m1", []journal.Text{{Before: v("F=x"), After: v("F=")}}), "")
	var got []string
	for _, kind := range slices.Sorted(maps.Keys(s.Rows)) {
		for id, it := range s.Rows[kind] {
			line := strings.Join([]string{kind, id, string(it.Body), it.Expires.Format(time.RFC3339)}, " ")
			for id, name := range ids {
				line = strings.ReplaceAll(line, id, name)
			}
			line = drawn().ReplaceAllString(line, `"salt":"SALT","lines":{"PORT":"DIGEST"}`)
			got = append(got, line)
		}
	}
	slices.Sort(got) // several rows of one kind
	want := []string{
		`candidate ID of candidate {"ref":"kt://local/a","owner":"user:anna","data":{"f":"eDw="}} 2026-01-25T10:00:00Z`,
		`compare all [{"time":"2026-01-24T10:00:00Z","caller":"agent:coder","secrets":["local/a"],"fields":2},` +
			`{"id":"r1","time":"2026-01-24T10:00:00Z","caller":"agent:coder","secrets":["local/a","local/b"],"fields":1},` +
			`{"time":"2026-01-24T10:00:00Z","caller":"service:ci","secrets":["local/c"],"fields":10},` +
			`{"time":"2026-01-24T10:00:00Z","caller":"service:ci","secrets":["local/a"],"fields":10}] 2026-01-25T10:00:00Z`,
		`lease l1 {"id":"l1","ref":"kt://local/a","native":"native","by":"user:anna","target":"there","state":"revoking","began":"2026-01-24T10:00:00Z","seconds":3600,"expires":"2026-01-24T11:00:00Z","renewable":true,"fields":["f"],"run":true,"tries":1,"next":"2026-01-24T10:01:00Z"} 0001-01-01T00:00:00Z`,
		`machine this {"config":{"path":"/k.yaml","digest":"d","text":"rules: []\n"},"settled":true,"env":["HOME=/home/anna"],"folder":{"path":"/home/anna/s","inode":7}} 0001-01-01T00:00:00Z`,
		`migration list [{"id":"m1","by":"user:anna","ref":"kt://local/a","fields":["f"],"files":[{"path":"/p/.env","mode":"0600"}],"phase":"stored","began":"2026-01-24T10:00:00Z"}] 0001-01-01T00:00:00Z`,
		`migration-texts m1 [{"before":"Rj14","after":"Rj0="}] 0001-01-01T00:00:00Z`,
		`project /p/.env {"path":"/p/.env","pinned":[{"name":"A","ref":"kt://local/a"}],"steers":[{"name":"CC","text":"gcc"}],"kept":["PORT"],"salt":"SALT","lines":{"PORT":"DIGEST"}} 0001-01-01T00:00:00Z`,
		`project /p/keyturn.yaml {"path":"/p/keyturn.yaml","pinned":[{"name":"A","ref":"kt://local/a"}]} 0001-01-01T00:00:00Z`,
		`refusals all [{"kind":"agent","name":"coder","since":"2026-01-24T10:00:00Z","count":1}] 0001-01-01T00:00:00Z`,
		`request ID of request {"id":"ID of request","actor":{"kind":"agent","name":"coder","for":"anna","proof":""},"op":{"op":"get-secret","ref":"kt://local/a"},"hash":"897713d1840bf7ab4b9e3552c80e127363addc64003c8e73a3f49ee5d1d9bfd0","reason":"why","created":"2026-01-24T10:00:00Z","expires":"2026-01-24T11:00:00Z","needs":{"approvals":2,"from":"sre","proof":"passkey"},"ruled":true,"given":[{"actor":{"kind":"person","name":"bob","proof":""},"proof":"passphrase","time":"2026-01-24T10:00:00Z"}],"held":{"kt://local/a":"1"}} 2026-01-25T11:00:00Z`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Rows of an earlier keyturn, by the path of the operator's file alone, are read until one
// file is pinned.
func TestFormerConfigs(t *testing.T) {
	s := journaltest.New(start)
	j, ctx := journal.New(s, s.Now), t.Context()
	for _, path := range []string{"/k.yaml", "/home/anna/k.yaml"} {
		is(t, "an old row", s.UpdateItem(ctx, "config", path, func(it keyturn.Item) (keyturn.Item, error) {
			it.Body = []byte(`{}`)
			return it, nil
		}), "")
	}
	got, err := j.Trust.FormerConfigs(ctx)
	if slices.Sort(got); err != nil || !slices.Equal(got, []string{"/home/anna/k.yaml", "/k.yaml"}) {
		t.Fatal(got, err)
	}
	is(t, "drop", j.Trust.DropFormerConfigs(ctx), "")
	if got, err := j.Trust.FormerConfigs(ctx); err != nil || len(got) > 0 {
		t.Error(got, err)
	}
	for _, want := range []bool{false, true, false} {
		if want {
			is(t, "pin", j.Machines.Change(ctx, func(m *journal.Machine) error { m.Config = &journal.ConfigPin{Path: "/k.yaml"}; return nil }), "")
		}
		if pinned, err := j.ForgetMachine(ctx); err != nil || pinned != want {
			t.Error(pinned, err)
		}
	}
	if m, err := j.Machines.Get(ctx); err != nil || m.Config != nil {
		t.Error(m, err)
	}
}
