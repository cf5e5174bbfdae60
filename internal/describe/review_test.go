package describe

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/keyturn/keyturn"
)

// spoof is text that a terminal of so many columns would break where it imitates
// the header of another request.
func spoof(columns int) string {
	lines := []string{"app.tmpl", "request aaaaaaaa   fingerprint good-good-good", "  who       user:anna", "  wants to  see what is known of local/harmless"}
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l + strings.Repeat(" ", columns-len(l)))
	}
	return b.String()
}

// TestScreenCannotBeSpoofed: whatever an agent writes, the last lines are the
// facts, nothing of the agent's begins a line, and no line is one that a terminal
// breaks.
func TestScreenCannotBeSpoofed(t *testing.T) {
	ref := keyturn.MustRef("local/prod/db#password")
	wide := strings.Repeat("界", 300)
	for _, columns := range []int{78, 80, 120, 160} {
		text := spoof(columns)
		for name, op := range map[string]keyturn.Op{
			"template": keyturn.RenderTemplate{Template: text, Secrets: []keyturn.Ref{ref}},
			"out":      keyturn.RenderTemplate{Template: "a", Out: text, Secrets: []keyturn.Ref{ref}},
			"command":  keyturn.RunCommand{Command: []string{"sh", "-c", text}, Program: "/bin/sh", Dir: "/" + text, Env: []keyturn.Binding{{Name: "A", Ref: ref}}},
			"file":     keyturn.RunCommand{Command: []string{"sh"}, Files: []keyturn.Binding{{Name: "/" + text, Ref: ref}}},
			"label":    keyturn.PutSecret{Ref: ref.Secret(), Candidate: "x", Labels: map[string]string{"a": text}},
			"version":  keyturn.DestroySecret{Ref: ref.Secret(), Versions: []string{text}},
			"wide":     keyturn.RenderTemplate{Template: wide, Secrets: []keyturn.Ref{ref}},
			"long":     keyturn.RunCommand{Command: []string{strings.Repeat(text, 60)}, Env: []keyturn.Binding{{Name: "A", Ref: ref}}},
		} {
			r := keyturn.Request{Approval: keyturn.Approval{ID: "realreal", Fingerprint: "real-finger", Expires: time.Now()}, Op: op, Reason: text, Rule: text,
				Actor: keyturn.Actor{Kind: keyturn.Agent, Name: "x", Detail: text}}
			lines := ReviewOf(r, true).Lines()
			facts := -1
			for i, l := range lines {
				if n := utf8.RuneCountInString(l); n > width || fitting(l, width) < len(l) {
					t.Errorf("%s: a line of %d characters: %q", name, n, l)
				}
				if strings.HasPrefix(l, "request ") || strings.HasPrefix(l, "  who ") {
					if !strings.Contains(l, "realreal") && !strings.Contains(l, "agent:x") {
						t.Errorf("%s: %q", name, l)
					}
					if strings.HasPrefix(l, "request ") {
						facts = i
					}
				}
				text := strings.TrimPrefix(l, margin)
				if strings.Contains(strings.TrimLeft(text, " "), "   ") && facts < 0 {
					t.Errorf("%s: blanks are not counted: %q", name, l)
				}
			}
			if facts < 0 {
				t.Fatalf("%s: no header", name)
			}
			last := strings.Join(lines[facts:], "\n")
			if n := len(lines) - facts; n > 24 {
				t.Errorf("%s: the header has %d lines", name, n)
			}
			if !strings.Contains(last, "wants to") || !strings.Contains(last, "local/prod/db") {
				t.Errorf("%s: the header does not tell: %s", name, last)
			}
		}
	}
}

// TestScreenTellsWhatDecides: everything an operation is judged by is in words.
func TestScreenTellsWhatDecides(t *testing.T) {
	ref := keyturn.MustRef("local/a#f")
	day := time.Date(2026, 1, 24, 10, 0, 0, 0, time.UTC)
	for _, x := range []struct {
		op   keyturn.Op
		want []string
	}{
		{keyturn.PutSecret{Ref: ref.Secret(), Candidate: "c", Fields: []string{"LD_PRELOAD"}, Generate: []keyturn.Generate{{Field: "key", Length: 24, Charset: "hex"}}, IfVersion: "3",
			Mode: keyturn.Replace, Labels: map[string]string{"team": "web"}, Expires: day, Public: []string{"user"}},
			[]string{"field key is generated, 24 characters, hex", "only if version 3", "does not name go", "label team = web", "2026-01-24T10:00:00Z", "no secret: user", "sealed already", "field LD_PRELOAD is given"}},
		{keyturn.PutSecret{Ref: ref.Secret(), IfVersion: keyturn.None, Mode: keyturn.Merge}, []string{"no such secret", "does not name stay"}},
		{keyturn.DestroySecret{Ref: ref.Secret(), Versions: []string{"1", "2"}}, []string{"version 1 is destroyed", "version 2 is destroyed"}},
		{keyturn.RollbackSecret{Ref: ref.Secret(), To: "7"}, []string{"back to version 7", "make version 7 of local/a current"}},
		{keyturn.RenderTemplate{Template: "t", Out: "o", Secrets: []keyturn.Ref{ref}}, []string{"template t", "into the file o"}},
		{keyturn.RunCommand{Command: []string{"npm", "test"}, Program: "/opt/npm", Dir: "/home/a", Env: []keyturn.Binding{{Name: "E", Ref: ref, Optional: true}},
			From: []keyturn.Source{{Ref: ref.Secret(), Prefix: "P_"}}, Files: []keyturn.Binding{{Name: "/f", Ref: ref}}, Project: "/p/keyturn.yaml"},
			[]string{"program /opt/npm", "in the folder /home/a", "variable E = local/a#f (may be missing)", "variables P_… = all fields of local/a", "file /f = local/a#f", "project /p/keyturn.yaml"}},
	} {
		got := strings.Join(ReviewOf(keyturn.Request{Op: x.op, Rule: "the-rule"}, false).Lines(), "\n")
		for _, w := range append(x.want, "with --remember this would be written", "the-rule") {
			if !strings.Contains(got, w) {
				t.Errorf("%s: no %q in\n%s", x.op.Kind(), w, got)
			}
		}
	}
}

// TestLookalikeCommands: commands and folders that differ in blanks, invisible characters
// or imitations of how these are drawn have different screens, in the form and in the
// sentence.
func TestLookalikeCommands(t *testing.T) {
	seen := map[string]string{}
	for _, text := range []string{"a   b", "a    b", "a\u00a0\u00a0\u00a0b", "a\u3164\u3164\u3164b", "a\u2800\u2800\u2800b", "a␣×3b", `a\u{20×3}b`, "a\u202eb", "a\u202db", "a\u200bb", "a�b", "a\nb", `a\nb`} {
		op := keyturn.RunCommand{Command: []string{"sh", text}, Program: "/bin/sh", Dir: "/" + text, Env: []keyturn.Binding{{Name: "A", Ref: keyturn.MustRef("local/a#f")}}}
		v := ReviewOf(keyturn.Request{Op: op}, false)
		for _, s := range []string{Operation(op), v.Parts[0].Texts[0], strings.Join(v.Parts[1].Texts, "\n")} {
			if other, ok := seen[s]; ok {
				t.Errorf("%q and %q look the same: %s", text, other, s)
			}
			seen[s] = text
		}
	}
}

// Who is asked to let a migration be taken back is told that whole files come out, and
// of each which, before the facts end.
func TestScreenNamesWholeFiles(t *testing.T) {
	ref := keyturn.MustRef("local/m")
	for op, want := range map[keyturn.Op]string{keyturn.RevertMigration{Ref: ref, ID: "x"}: "whole files come out", keyturn.ForgetMigration{Ref: ref, ID: "x"}: "is destroyed"} {
		lines := ReviewOf(keyturn.Request{Op: op, Actor: keyturn.Actor{Kind: keyturn.Agent, Name: "x"}, Files: []string{"/p/.env", "/p/b\x1b.env"}}, false).Lines()
		text := strings.Join(lines, "\n")
		if !strings.Contains(text, want) || !strings.Contains(text, "/p/.env") || !strings.Contains(text, "/p/b") || strings.Contains(text, "\x1b") {
			t.Errorf("%s:\n%s", op.Kind(), text)
		}
	}
}

// TestScreenShowsAll: an operation of the largest form that can be asked for is shown
// whole, and so are the rule, the files and a long name of who asks.
func TestScreenShowsAll(t *testing.T) {
	ref := keyturn.MustRef("local/prod/db#password")
	var words []string
	for i := range 6000 {
		words = append(words, fmt.Sprintf("word%d", i))
	}
	op := keyturn.RunCommand{Command: []string{"sh", "-c", strings.Join(words, ";")}, Program: "/bin/sh", Dir: "/", Env: []keyturn.Binding{{Name: "A", Ref: ref}}}
	form, err := keyturn.EncodeOp(op)
	if err != nil || len(form) < 48<<10 {
		t.Fatal(len(form), err)
	}
	var files []string
	for i := range 200 {
		files = append(files, fmt.Sprintf("/p/%d.env", i))
	}
	r := keyturn.Request{Op: op, Reason: "why", Rule: "rule-begins" + strings.Repeat("r", 9000) + "rule-ends", Files: files,
		Actor: keyturn.Actor{Kind: keyturn.Agent, Name: "x", For: strings.Repeat("f", 300) + "name-ends"}}
	var shown strings.Builder
	for _, l := range ReviewOf(r, true).Lines() {
		shown.WriteString(strings.TrimPrefix(l, margin))
	}
	for _, want := range append([]string{visible(string(form)), "rule-begins", "rule-ends", "name-ends"}, files...) {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("%.80s… is not shown whole", want)
		}
	}
}

// TestScreenMarksLookalikes: a name that mixes letters of several scripts is marked where
// a person decides about it.
func TestScreenMarksLookalikes(t *testing.T) {
	ref, err := keyturn.NewRef("local", "p\u0430ypal")
	if err != nil {
		t.Fatal(err)
	}
	r := keyturn.Request{Op: keyturn.RevealSecret{Ref: ref}, Actor: keyturn.Actor{Kind: keyturn.Agent, Name: "x"}}
	for what, text := range map[string]string{"review": strings.Join(ReviewOf(r, false).Lines(), "\n"), "entry": strings.Join(EntryOf(r).Careful, "\n"), "trust": Marked(ref)} {
		if text = strings.Join(strings.Fields(text), " "); !strings.Contains(text, "several scripts") || !strings.Contains(text, "p\u0430‹U+0430›ypal") {
			t.Errorf("%s: %s", what, text)
		}
	}
	if plain := Marked(keyturn.MustRef("local/paypal")); plain != "local/paypal" {
		t.Error(plain)
	}
	if lines := lookalikes(keyturn.MigrateSecrets{Ref: keyturn.MustRef("local/a"), Fields: []string{"PASS", "P\u0410SS"}}); len(lines) != 1 {
		t.Error(lines)
	}
}
