package migrate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/rules"
	"github.com/keyturn/keyturn/internal/session"
)

// service is a Service that keeps migrations and trust in memory, and allows all.
type service struct {
	t      *testing.T
	sealed map[string]map[string]keyturn.Value
	all    []keyturn.Migration
	texts  map[string]keyturn.Value // of the last migration
	trust  map[string][]keyturn.Binding
	did    []string            // kinds of the operations, but for those that only look
	before func(op keyturn.Op) // called before each operation
}

func (s *service) Seal(_ context.Context, _ keyturn.Ref, values map[string]keyturn.Value) (string, error) {
	id := "sealed-" + strconv.Itoa(len(s.sealed))
	s.sealed[id] = values
	return id, nil
}

func (s *service) Do(_ context.Context, op keyturn.Op) (keyturn.Result, error) {
	if s.before != nil {
		s.before(op)
	}
	switch op.(type) {
	case keyturn.ListMigrations, keyturn.ShowTrust:
	default:
		s.did = append(s.did, op.Kind())
	}
	last := len(s.all) - 1
	files := func() (out []keyturn.MigrationFile) {
		for i, f := range s.all[last].Files {
			n := strconv.Itoa(i)
			out = append(out, keyturn.MigrationFile{MigratedFile: f, Before: s.texts["before-"+n], After: s.texts["after-"+n]})
		}
		return out
	}
	switch op := op.(type) {
	case keyturn.ListMigrations:
		return &keyturn.Migrations{Migrations: slices.Clone(s.all)}, nil
	case keyturn.MigrateSecrets:
		s.texts = s.sealed[op.Texts]
		m := keyturn.Migration{ID: "m" + strconv.Itoa(len(s.all)), By: "user:anna", Ref: op.Ref, Fields: op.Fields, Files: op.Files, Phase: keyturn.MigrationStored}
		s.all = append(s.all, m)
		return &keyturn.Migrated{Migration: m, Written: true}, nil
	case keyturn.ResumeMigration:
		return &keyturn.MigrationFiles{Migration: s.all[last], Files: files()}, nil
	case keyturn.RevertMigration:
		if op.Out == "" {
			s.all[last].Phase = keyturn.MigrationReverting
		}
		return &keyturn.MigrationFiles{Migration: s.all[last], Files: files()}, nil
	case keyturn.FinishMigration:
		m := &s.all[last]
		if m.Phase = keyturn.MigrationEnded; slices.Contains(s.did, "revert-migration") {
			m.Phase = keyturn.MigrationReverted
		}
		return &keyturn.Migrated{Migration: *m}, nil
	case keyturn.ShowTrust:
		pins, known := s.trust[op.Path]
		return &keyturn.Trusted{Known: known, Before: pins}, nil
	case keyturn.TrustProject:
		s.trust[op.Path] = op.Pinned
		return &keyturn.Trusted{}, nil
	}
	s.t.Errorf("an operation that a migration does not need: %s", op.Kind())
	return nil, keyturn.E(keyturn.Unsupported, op.Kind(), "")
}

// desk is a person who says yes or no, and what the person was told.
type desk struct {
	session.Nobody
	answer bool
	told   []string
}

func (d *desk) Possible() bool { return true }

func (d *desk) Say(format string, args ...any) { d.told = append(d.told, fmt.Sprintf(format, args...)) }

func (d *desk) Confirm(_ context.Context, question string) (bool, error) {
	d.told = append(d.told, question)
	return d.answer, nil
}

var (
	anna  = keyturn.Actor{Kind: keyturn.Person, Name: "anna", Proof: "os-user"}
	coder = keyturn.Actor{Kind: keyturn.Agent, Name: "coder", For: "anna", Proof: "environment"}
	shop  = keyturn.MustRef("local/shop")
)

const compose = "services:\n  db:\n    environment:\n      DB_PASSWORD: made-up-db-password\n"

// project is a folder with a compose file, and a caller in it.
func project(t *testing.T, actor keyturn.Actor, d session.Desk) (*Migrator, *service) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &service{t: t, sealed: map[string]map[string]keyturn.Value{}, trust: map[string][]keyturn.Binding{}}
	set, err := rules.New(rules.Input{})
	if err != nil {
		t.Fatal(err)
	}
	m := &Migrator{Dir: filepath.Join(dir, "shop"), Env: func(string) string { return "" }, Session: &session.Session{
		Service: s, How: session.How{Desk: d}, Facts: session.Facts{Actor: actor, Home: filepath.Join(dir, "keyturn"), Rules: set, Mounts: []string{"local"}}}}
	for _, folder := range []string{m.Dir, m.Session.Home} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	put(t, filepath.Join(m.Dir, "compose.yaml"), compose)
	return m, s
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// contents are the files of a folder.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(data)
	}
	return out
}

// migrated migrates the compose file, as a door does.
func migrated(t *testing.T, m *Migrator) *Outcome {
	t.Helper()
	p, err := m.Plan(t.Context(), Options{Files: []string{"compose.yaml"}, To: shop})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Confirm(t.Context()); err != nil {
		t.Fatal(err)
	}
	out, err := p.Apply(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestTrustGoesBack: no door has to think of it: what a person trusted along with a
// migration is trusted no more once the migration is taken back, before a file is
// written; what was trusted before stays trusted.
func TestTrustGoesBack(t *testing.T) {
	d := &desk{answer: true}
	m, s := project(t, anna, d)
	file := filepath.Join(m.Dir, config.FileName)
	earlier := keyturn.Binding{Name: "TOKEN", Ref: keyturn.MustRef("local/other#token")}
	put(t, file, "env:\n  TOKEN: kt://local/other#token\n")
	s.trust[file] = []keyturn.Binding{earlier}
	before := contents(t, m.Dir)

	out := migrated(t, m)
	added := keyturn.Binding{Name: "DB_PASSWORD", Ref: keyturn.MustRef("local/shop#DB_PASSWORD")}
	if want := []keyturn.Binding{added, earlier}; !slices.Equal(s.trust[file], want) || len(out.Notices) != 0 {
		t.Fatalf("trusted are %v, not %v; notices %q", s.trust[file], want, out.Notices)
	}
	env := filepath.Join(m.Dir, ".env") // written just now, and asks for what was stored just now
	if want := []keyturn.Binding{added}; !slices.Equal(s.trust[env], want) {
		t.Errorf("of .env trusted are %v, not %v", s.trust[env], want)
	}
	if !slices.ContainsFunc(d.told, func(s string) bool { return strings.HasPrefix(s, "trusts ") }) {
		t.Errorf("the person was not shown what is trusted: %q", d.told)
	}
	after := contents(t, m.Dir)
	s.before = func(op keyturn.Op) {
		if op.Kind() == "trust-project" && !cmp.Equal(contents(t, m.Dir), after) {
			t.Error("a file was written back before the trust was taken back")
		}
	}
	if _, err := m.TakeBack(t.Context(), "compose.yaml"); err != nil {
		t.Fatal(err)
	}
	if want := []keyturn.Binding{earlier}; !slices.Equal(s.trust[file], want) {
		t.Errorf("trusted are %v, not %v", s.trust[file], want)
	}
	if len(s.trust[env]) > 0 {
		t.Errorf("of .env trusted are %v", s.trust[env])
	}
	if diff := cmp.Diff(before, contents(t, m.Dir)); diff != "" {
		t.Errorf("the files are not as before:\n%s", diff)
	}
	if want := []string{"migrate-secrets", "finish-migration", "trust-project", "trust-project", "revert-migration", "trust-project", "trust-project", "finish-migration"}; !slices.Equal(s.did, want) {
		t.Errorf("done was %q, not %q", s.did, want)
	}
}

// Trust that was given by hand goes back as well; an agent takes files back, and no
// trust: it may give none.
func TestTrustGivenByHandGoesBack(t *testing.T) {
	for _, c := range []struct {
		who  keyturn.Actor
		kept bool
	}{{anna, false}, {coder, true}} {
		m, s := project(t, anna, session.Nobody{})
		if out := migrated(t, m); len(out.Notices) != 1 || !strings.Contains(out.Notices[0], "say: keyturn trust") {
			t.Errorf("notices %q", out.Notices)
		}
		file := filepath.Join(m.Dir, config.FileName)
		if len(s.trust[file]) != 0 {
			t.Fatalf("nobody said yes, and trusted are %v", s.trust)
		}
		s.trust[file] = []keyturn.Binding{{Name: "DB_PASSWORD", Ref: keyturn.MustRef("local/shop#DB_PASSWORD")}}
		m.Session.Actor = c.who
		if _, err := m.TakeBack(t.Context(), "compose.yaml"); err != nil {
			t.Fatal(err)
		}
		if kept := len(s.trust[file]) == 1; kept != c.kept {
			t.Errorf("%s: trusted are %v", c.who.Kind, s.trust[file])
		}
		if got := contents(t, m.Dir); !cmp.Equal(got, map[string]string{"compose.yaml": compose}) {
			t.Errorf("%s: the files are %v", c.who.Kind, got)
		}
	}
}

// TestOnlyOwnReferencesAreTrusted: a file that asks for anything but what was stored just
// now from that line, or that changes how programs run, is not trusted by a migration.
func TestOnlyOwnReferencesAreTrusted(t *testing.T) {
	for text, trusted := range map[string]bool{
		"DB_PASSWORD=made-up-and-long-enough\n":                                        true,
		"DB_PASSWORD=made-up-and-long-enough\nX=kt://local/prod#root\n":                false,
		"DB_PASSWORD=made-up-and-long-enough\nLD_PRELOAD=./x.so\n":                     false,
		"LD_PRELOAD=./x.so\nDB_PASSWORD=made-up-and-long-enough\nPORT=3000\nMODE=on\n": false,
	} {
		m, s := project(t, anna, session.Nobody{})
		file := filepath.Join(m.Dir, "own.env")
		put(t, file, text)
		p, err := m.Plan(t.Context(), Options{Files: []string{"own.env"}, To: shop})
		if err == nil {
			_, err = p.Apply(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		p.Close()
		if got := len(s.trust[file]) == 1; got != trusted {
			t.Errorf("%q: trusted are %v", text, s.trust[file])
		}
	}
}

// A no leaves everything as it is; a caller who agreed beforehand is not asked, and
// pins no trust that nobody has seen.
func TestConfirm(t *testing.T) {
	d := &desk{}
	m, s := project(t, anna, d)
	p, err := m.Plan(t.Context(), Options{Files: []string{"compose.yaml"}, To: shop})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Confirm(t.Context()); !errors.Is(err, keyturn.Denied) {
		t.Errorf("said no: %v", err)
	}
	p.Close()
	if len(s.did) != 0 || !cmp.Equal(contents(t, m.Dir), map[string]string{"compose.yaml": compose}) {
		t.Errorf("done was %q", s.did)
	}
	m.Yes, d.told = true, nil
	migrated(t, m)
	if len(d.told) != 0 || len(s.trust[filepath.Join(m.Dir, config.FileName)]) != 0 {
		t.Errorf("asked was %q, trusted are %v", d.told, s.trust)
	}
}

// TestPlanHoldsNoValue: a door may hand a plan to a program as it is.
func TestPlanHoldsNoValue(t *testing.T) {
	m, _ := project(t, coder, session.Nobody{})
	p, err := m.Plan(t.Context(), Options{Files: []string{"compose.yaml"}, To: shop, DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	text, err := json.Marshal(p)
	if err != nil || strings.Contains(string(text), "made-up") || !strings.Contains(string(text), "DB_PASSWORD") {
		t.Errorf("%v: %s", err, text)
	}
	if len(p.Values) != 1 || p.Values[0].Ref != keyturn.MustRef("local/shop#DB_PASSWORD") || len(p.Files) != 3 || p.Empty() {
		t.Errorf("planned: %+v", p.Values)
	}
}

// A migration that was interrupted between two files goes on with the same plan.
func TestInterrupted(t *testing.T) {
	m, s := project(t, anna, session.Nobody{})
	ctx, cancel := context.WithCancel(t.Context())
	s.before = func(op keyturn.Op) {
		if op.Kind() == "migrate-secrets" {
			cancel()
		}
	}
	p, err := m.Plan(ctx, Options{Files: []string{"compose.yaml"}, To: shop})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Apply(ctx)
	p.Close()
	var half *Interrupted
	if !errors.As(err, &half) || half.ID != "m0" || !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted: %v", err)
	}
	if left, err := Unfinished(t.Context(), m.Session); err != nil || len(left) != 1 || !strings.Contains(left[0].Next, "--resume m0") {
		t.Errorf("unfinished: %+v (%v)", left, err)
	}
	if _, err := m.Plan(t.Context(), Options{Files: []string{"compose.yaml"}, To: keyturn.MustRef("local/else")}); !errors.Is(err, keyturn.Conflict) {
		t.Errorf("into another secret: %v", err)
	}
	if out := migrated(t, m); out.Found.ID != "m0" || out.Migration.Phase != keyturn.MigrationEnded || len(out.Notices) != 1 {
		t.Errorf("went on: %+v", out)
	}
	if got := contents(t, m.Dir); len(got) != 3 || strings.Contains(got["compose.yaml"], "made-up") {
		t.Errorf("the files are %v", got)
	}
}

// Nothing of keyturn's own folder is read as a project's file, nor written into it.
func TestOwnFolder(t *testing.T) {
	m, s := project(t, anna, session.Nobody{})
	put(t, filepath.Join(m.Session.Home, ".env"), "A_TOKEN=made-up-token-0123456789\n")
	if _, err := m.Plan(t.Context(), Options{Files: []string{"../keyturn/.env"}, To: shop}); !errors.Is(err, keyturn.Invalid) {
		t.Errorf("planned: %v", err)
	}
	migrated(t, m)
	s.did = nil
	if _, err := m.Extract(t.Context(), "m0", "../keyturn"); !errors.Is(err, keyturn.Invalid) || len(s.did) != 0 {
		t.Errorf("extracted: %v, done was %q", err, s.did)
	}
	if err := os.Mkdir(filepath.Join(m.Dir, "out"), 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := m.Extract(t.Context(), "m0", "out")
	if err != nil || !slices.Equal(out.Wrote, []string{filepath.Join(m.Dir, "out", "compose.yaml")}) {
		t.Fatalf("extracted: %+v (%v)", out, err)
	}
	if got := contents(t, filepath.Join(m.Dir, "out")); !cmp.Equal(got, map[string]string{"compose.yaml": compose}) {
		t.Errorf("extracted: %v", got)
	}
}

// Where no migration is named, it is the caller's own last one here, after a yes.
func TestUnnamed(t *testing.T) {
	m, s := project(t, anna, session.Nobody{})
	if _, err := m.TakeBack(t.Context(), ""); !errors.Is(err, keyturn.NotFound) {
		t.Errorf("none: %v", err)
	}
	migrated(t, m)
	e := keyturn.E(keyturn.Internal, "", "")
	if _, err := m.TakeBack(t.Context(), ""); !errors.As(err, &e) || e.Code != keyturn.Invalid || !strings.Contains(e.Hint, "keyturn migrate --rollback m0") {
		t.Errorf("nobody to ask: %v", err)
	}
	d := &desk{}
	m.Session.How.Desk = d
	if _, err := m.TakeBack(t.Context(), ""); !errors.Is(err, keyturn.Denied) || len(d.told) != 2 {
		t.Errorf("said no: %v; told %q", err, d.told)
	}
	elsewhere := *m
	elsewhere.Dir, elsewhere.Yes = t.TempDir(), true
	if _, err := elsewhere.TakeBack(t.Context(), ""); !errors.Is(err, keyturn.NotFound) {
		t.Errorf("elsewhere: %v", err)
	}
	if slices.Contains(s.did, "revert-migration") {
		t.Error("taken back")
	}
	d.answer = true
	if _, err := m.TakeBack(t.Context(), ""); err != nil {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	good := Options{Files: []string{".env"}, To: shop}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Options){
		"no file":          func(o *Options) { o.Files = nil },
		"no secret":        func(o *Options) { o.To = keyturn.Ref{} },
		"a field":          func(o *Options) { o.To = keyturn.MustRef("local/shop#a") },
		"a version":        func(o *Options) { o.To = keyturn.MustRef("local/shop?version=1") },
		"keep and only":    func(o *Options) { o.Keep, o.Only = []string{"A"}, []string{"B"} },
		"all and only":     func(o *Options) { o.All, o.Only = true, []string{"B"} },
		"an unknown form":  func(o *Options) { o.As = "paper" },
		"a later form":     func(o *Options) { o.As = "sealed" },
		"an unknown tool":  func(o *Options) { o.From = "paper" },
		"a tool of others": func(o *Options) { o.From = "vals" },
	} {
		o := good
		change(&o)
		if err := o.Check(); !errors.Is(err, keyturn.Invalid) && !errors.Is(err, keyturn.Unsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
