package broker_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/rules"
)

// TestSteeringNamesBelowTheDoor: whatever door an operation comes by, no agent or service
// has a value in a variable that changes how programs run, by a binding or by a field of a
// secret; a person by a binding alone; and nobody in that of the store's passphrase.
func TestSteeringNamesBelowTheDoor(t *testing.T) {
	w := newWorld(t)
	w.Rules = ruleSet(t, rules.Source{Who: []string{"everyone"}, May: []string{"use", "describe", "write"}, On: []string{"local/**"}, Run: []string{"npm test"}})
	put := func(ref string, field string) keyturn.Ref {
		r := keyturn.MustRef(ref)
		w.store(r, map[string]string{field: "made up"})
		return r
	}
	bound := func(name string) keyturn.RunCommand {
		return keyturn.RunCommand{Command: []string{"npm", "test"}, Env: []keyturn.Binding{{Name: name, Ref: dbPass}}}
	}
	from := func(ref keyturn.Ref, prefix string) keyturn.RunCommand {
		return keyturn.RunCommand{Command: []string{"npm", "test"}, From: []keyturn.Source{{Ref: ref, Prefix: prefix}}}
	}
	preload, options, home, pass := put("local/x/a", "LD_PRELOAD"), put("local/x/b", "OPTIONS"), put("local/x/c", "HOME"), put("local/x/d", "PASSPHRASE_FILE")
	for _, who := range []keyturn.Actor{anna, coder, ci} {
		person := who.Kind == keyturn.Person
		for name, c := range map[string]struct {
			op   keyturn.RunCommand
			may  bool
			code keyturn.Code
		}{
			"bound LD_PRELOAD":     {bound("LD_PRELOAD"), person, keyturn.Denied},
			"bound PATH":           {bound("PATH"), person, keyturn.Denied},
			"bound KEYTURN_CONFIG": {bound("KEYTURN_CONFIG"), person, keyturn.Denied},
			"bound HOME":           {bound("HOME"), person, keyturn.Denied},
			"bound HTTPS_PROXY":    {bound("HTTPS_PROXY"), person, keyturn.Denied},
			"bound ENV":            {bound("ENV"), person, keyturn.Denied},
			"bound PASSPHRASE":     {bound("KEYTURN_PASSPHRASE_FILE"), false, keyturn.Invalid},
			"bound DB":             {bound("DB"), true, ""},
			"field LD_PRELOAD":     {from(preload, ""), false, keyturn.Denied},
			"field by prefix":      {from(options, "NODE_"), false, keyturn.Denied},
			"field HOME":           {from(home, ""), person, keyturn.Denied},
			"field of passphrase":  {from(pass, "KEYTURN_"), false, keyturn.Denied},
			"field with prefix":    {from(preload, "APP_"), true, ""},
		} {
			n := w.mark()
			_, _, err := w.as(who).do(c.op)
			if c.may != (err == nil) || !c.may && keyturn.AsError(err).Code != c.code {
				t.Errorf("%s, %s: %s", who.Kind, name, say(err))
			}
			if strings.HasPrefix(name, "bound") && !c.may && len(w.since(n)) > 0 {
				t.Errorf("%s, %s: the platform was asked: %v", who.Kind, name, w.since(n))
			}
		}
	}
}

// TestPassBelowTheDoor: of an agent's or a service's variables only those pass to its
// command that are harmless or that the rules of all its secrets name, and under an approval
// the harmless alone, whatever the operation says.
func TestPassBelowTheDoor(t *testing.T) {
	w := newWorld(t)
	use := func(on string, approvals int, env ...string) rules.Source {
		return rules.Source{Who: []string{"agents", "services"}, May: []string{"use"}, On: []string{on}, Run: []string{"npm test"}, Env: env, Needs: approvals > 0, Approvals: approvals}
	}
	w.Rules = ruleSet(t, use("local/app/db", 0, "NODE_ENV", "TF_VAR_*"), use("local/app/web", 0, "NODE_ENV", "OTHER"), use("prod/api", 1, "NODE_ENV"))
	op := func(pass string, refs ...keyturn.Ref) keyturn.RunCommand {
		o := runs(refs...)
		o.Pass = strings.Fields(pass)
		return o
	}
	for _, who := range []keyturn.Actor{coder, ci} {
		w.as(who).must(op("CI LANG LC_ALL NODE_ENV TF_VAR_x", dbPass))
		w.as(who).must(op("LANG NODE_ENV", dbPass, web))
		for _, pass := range []string{"OTHER", "LD_PRELOAD", "HOME", "PATH", "NODE_OPTIONS", "AWS_PROFILE"} {
			if e := w.as(who).no(keyturn.Denied, op(pass, dbPass)); !strings.Contains(e.Message, pass) {
				t.Errorf("%s: %s", pass, full(e))
			}
		}
		w.as(who).no(keyturn.Denied, op("TF_VAR_x", dbPass, web))
		w.as(who).no(keyturn.Invalid, op("LANG CI", dbPass))
		w.as(who).no(keyturn.Invalid, op("KEYTURN_CONFIG", dbPass))
	}
	w.as(coder).no(keyturn.Denied, op("NODE_ENV", api))
	id := w.ask(op("LANG", api), keyturn.Pending)
	w.yes(anna, id)
	w.as(coder).must(op("LANG", api))
}

// TestFilesAreTrusted: a person's command or template takes references from a file only
// where a person has accepted what the file asks for, at that very path; what it asks for
// later is shown as the difference. Agents need no trust, and bring no plain variables but
// those that were there when the file was trusted.
func TestFilesAreTrusted(t *testing.T) {
	w := newWorld(t)
	pins := []keyturn.Binding{{Name: "DB", Ref: dbPass}}
	steers := []keyturn.Setting{{Name: "NODE_OPTIONS", Text: "--require=./x.js"}}
	file := keyturn.AskedFile{Path: "/p/.env", Asks: pins, Steers: steers}
	op := keyturn.RunCommand{Command: []string{"npm", "test"}, Env: pins, EnvFiles: []keyturn.AskedFile{file}}
	n := w.mark()
	e := w.as(anna).no(keyturn.Denied, op)
	if e.Reason != keyturn.Untrusted || e.Asks == nil || e.Asks.Path != "/p/.env" || !slices.Equal(e.Asks.Added, pins) || !slices.Equal(e.Asks.SteersAdded, steers) ||
		!strings.Contains(e.Hint, "keyturn trust /p/.env") || len(w.since(n)) > 0 {
		t.Errorf("not trusted: %s", full(e))
	}
	w.must(keyturn.TrustProject{Path: "/p/.env", Pinned: pins, Steers: steers})
	w.must(op)
	for what, change := range map[string]func(f *keyturn.AskedFile){
		"another path":      func(f *keyturn.AskedFile) { f.Path = "/q/.env" },
		"another reference": func(f *keyturn.AskedFile) { f.Asks = []keyturn.Binding{{Name: "DB", Ref: web}} },
		"one more":          func(f *keyturn.AskedFile) { f.Asks = append(slices.Clone(pins), keyturn.Binding{Name: "X", Ref: web}) },
		"another text": func(f *keyturn.AskedFile) {
			f.Steers = []keyturn.Setting{{Name: "NODE_OPTIONS", Text: "--require=./y.js"}}
		},
		"only steering": func(f *keyturn.AskedFile) { f.Path, f.Asks = "/r/.env", nil },
	} {
		changed := op
		f := file
		change(&f)
		changed.EnvFiles = []keyturn.AskedFile{f}
		if e := w.no(keyturn.Denied, changed); e.Reason != keyturn.Untrusted {
			t.Errorf("%s: %s", what, full(e))
		}
	}
	// A file that asks for nothing needs no trust.
	nothing := op
	nothing.EnvFiles = []keyturn.AskedFile{{Path: "/none/.env"}}
	w.must(nothing)
	// A password in a variable that is accepted by its text is in no record.
	secret := keyturn.TrustProject{Path: "/p/.env", Steers: []keyturn.Setting{{Name: "GIT_CONFIG_VALUE_0", Text: "https://u:made-up-pw@h/"}}}
	w.no(keyturn.Invalid, secret)
	if strings.Contains(w.everything(), "made-up-pw") {
		t.Error("the log holds the password")
	}

	// Templates.
	tmpl := keyturn.RenderTemplate{Template: "/p/t", Digest: digest, Found: "/p/t", Secrets: []keyturn.Ref{dbPass}}
	if e := w.no(keyturn.Denied, tmpl); e.Reason != keyturn.Untrusted || !strings.Contains(e.Hint, "keyturn trust /p/t") {
		t.Errorf("a template: %s", full(e))
	}
	w.must(keyturn.TrustProject{Path: "/p/t", Pinned: tmpl.Asks().Asks})
	w.must(tmpl)
	tmpl.Secrets = append(tmpl.Secrets, web)
	w.no(keyturn.Denied, tmpl)

	// Agents: the rules decide, and of plain lines those that a person has seen.
	lines := map[string]keyturn.Value{"PORT": keyturn.NewValue([]byte("3000")), "MODE": keyturn.NewValue([]byte("on"))}
	// Which those are is part of the yes, and on record: no others are kept.
	if err := w.as(anna).KeepLines(t.Context(), "/p/.env", lines); keyturn.AsError(err) == nil || keyturn.AsError(err).Code != keyturn.Conflict {
		t.Errorf("lines are kept that no yes has named: %v", err)
	}
	w.no(keyturn.Invalid, keyturn.TrustProject{Path: "/p/.env", Pinned: pins, Kept: []string{"PORT", "MODE"}})
	w.must(keyturn.TrustProject{Path: "/p/.env", Pinned: pins, Steers: steers, Kept: []string{"MODE", "PORT"}})
	if err := w.KeepLines(t.Context(), "/p/.env", lines); err != nil {
		t.Fatal(err)
	}
	if err := w.as(coder).KeepLines(t.Context(), "/p/.env", map[string]keyturn.Value{"EVIL": lines["PORT"]}); err == nil {
		t.Error("an agent has lines kept")
	}
	lines["MODE"], lines["EVIL"] = keyturn.NewValue([]byte("off")), lines["PORT"]
	same, err := w.SameLines(t.Context(), "/p/.env", lines)
	if err != nil || !slices.Equal(same, []string{"PORT"}) {
		t.Errorf("%q (%v)", same, err)
	}
	w.Rules = ruleSet(t, rules.Source{Who: []string{"agents"}, May: []string{"use"}, On: []string{"local/**"}, Run: []string{"npm test"}})
	agents := func(path string, kept ...string) keyturn.RunCommand {
		o := op
		o.EnvFiles = []keyturn.AskedFile{{Path: path, Asks: pins, Kept: kept}}
		return o
	}
	w.as(coder).must(agents("/p/.env", "MODE", "PORT"))
	w.as(coder).must(agents("/unknown/.env"))
	w.as(coder).no(keyturn.Denied, agents("/p/.env", "EVIL"))
	w.as(coder).no(keyturn.Denied, agents("/unknown/.env", "PORT"))
	// Trusted anew, what was there before is forgotten.
	w.as(anna).must(keyturn.TrustProject{Path: "/p/.env", Pinned: pins})
	w.as(coder).no(keyturn.Denied, agents("/p/.env", "PORT"))
}

// TestChosenBesideForeign: a value that an agent or a service may have chosen stands beside
// one that it may not see only in a variable that the rules of the other name under env, or
// under a person's approval. Where names tell, nothing is looked up.
func TestChosenBesideForeign(t *testing.T) {
	own, theirs := keyturn.MustRef("local/dev/t#o"), keyturn.MustRef("local/app/web#value")
	w := newWorld(t)
	use := func(on string, env ...string) rules.Source {
		return rules.Source{Who: []string{"agents", "services"}, May: []string{"use"}, On: []string{on}, Run: []string{"npm test"}, Env: env}
	}
	w.Rules = ruleSet(t, use("local/app/*", "APP_MODE", "BOTH"), use("prod/*", "BOTH", "PROD"), use("local/dev/*"), use("local/mine/*"),
		may("agents", "write", "local/dev/*"), may("services", "write", "local/dev/*"), may("agents", "write", "local/mine/*"))
	w.store(own.Secret(), map[string]string{"o": "--checkpoint=1", "p": "made up"})
	op := func(name string, refs ...keyturn.Ref) keyturn.RunCommand {
		o := runs(refs...)
		o.Env = append(o.Env, keyturn.Binding{Name: name, Ref: own})
		slices.SortFunc(o.Env, func(a, b keyturn.Binding) int { return strings.Compare(a.Name, b.Name) })
		return o
	}
	for _, who := range []keyturn.Actor{coder, ci} {
		n := w.mark()
		e := w.as(who).no(keyturn.Denied, op("SOME_OPTIONS", dbPass))
		if !strings.Contains(e.Message, "SOME_OPTIONS") || !strings.Contains(e.Hint, "env: [SOME_OPTIONS]") || e.Approval == nil || len(w.since(n)) > 0 {
			t.Errorf("%s: %s, asked %v", who.Kind, full(e), w.since(n))
		}
		w.must(op("APP_MODE", dbPass))
		w.must(op("BOTH", dbPass, api))
		w.no(keyturn.Denied, op("APP_MODE", dbPass, api))
		w.no(keyturn.Denied, op("PROD", dbPass, api))
		w.must(op("SOME_OPTIONS")) // nothing else
		w.must(runs(dbPass, theirs))
	}
	w.as(anna).must(op("SOME_OPTIONS", dbPass))
	id := w.as(coder).no(keyturn.Denied, op("SOME_OPTIONS", dbPass)).Approval.ID
	if _, _, err := w.as(bob).do(keyturn.ApproveRequest{ID: id, Remember: true}); err == nil {
		t.Error("it is remembered, and would be refused again")
	}
	w.yes(bob, id)
	if d := w.as(coder).must(op("SOME_OPTIONS", dbPass)).(*keyturn.Delivery); d.Output != keyturn.OutputStatus {
		t.Errorf("approved, its output is %s", d.Output)
	}
	w.no(keyturn.Denied, op("SOME_OPTIONS", dbPass)) // once

	// The names that fields give are known when they are read.
	from := runs(dbPass)
	from.From = []keyturn.Source{{Ref: own.Secret()}}
	e := w.no(keyturn.Denied, from)
	if e.Approval == nil || strings.Contains(full(e), " o,") {
		t.Errorf("by a field's name: %s", full(e))
	}
	w.yes(bob, e.Approval.ID)
	w.as(coder).must(from)

	// Where the caller may write both, it is who gave them that counts.
	mine, hers := keyturn.MustRef("local/mine/a"), keyturn.MustRef("local/mine/b")
	for _, ref := range []keyturn.Ref{mine, hers} {
		w.as(anna).must(keyturn.PutSecret{Ref: ref, Generate: []keyturn.Generate{{Field: "value"}}})
	}
	w.as(coder).must(runs(hers, mine))
	sealed, err := w.Seal(t.Context(), mine, values("value", "--checkpoint=1"))
	if err != nil {
		t.Fatal(err)
	}
	w.must(keyturn.PutSecret{Ref: mine, Candidate: sealed, Mode: keyturn.Replace})
	if e = w.no(keyturn.Denied, runs(hers, mine)); e.Approval == nil || !strings.Contains(e.Message, "V1") {
		t.Errorf("given by the agent: %s", full(e))
	}
	w.yes(bob, e.Approval.ID)
	w.as(coder).must(runs(hers, mine))
	w.must(runs(mine))
}

// TestGivenFieldsLeadNobody: a field that an agent gave becomes no variable, by its name,
// that leads a person's command elsewhere; a person's own may.
func TestGivenFieldsLeadNobody(t *testing.T) {
	w := newWorld(t)
	w.Rules = ruleSet(t, may("agents", "write", "local/dev/*"))
	from := func(ref keyturn.Ref) keyturn.RunCommand {
		return keyturn.RunCommand{Command: []string{"psql"}, From: []keyturn.Source{{Ref: ref}}}
	}
	for _, who := range []keyturn.Actor{anna, coder} {
		ref := keyturn.MustRef("local/dev/" + who.Name)
		id, err := w.as(who).Seal(t.Context(), ref, values("PGHOST", "db.example.com"))
		if err != nil {
			t.Fatal(err)
		}
		w.must(keyturn.PutSecret{Ref: ref, Candidate: id})
	}
	w.as(anna).must(from(keyturn.MustRef("local/dev/anna")))
	if e := w.no(keyturn.Denied, from(keyturn.MustRef("local/dev/coder"))); !strings.Contains(e.Message, "PGHOST") {
		t.Errorf("%s", full(e))
	}
}
