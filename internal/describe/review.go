package describe

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
)

// A review is partly written by the caller that asks. None of that text may look like
// something that keyturn says. A terminal breaks long lines where it likes, so every
// line is broken here, below the width of any terminal; the caller's text stands behind
// a mark at the margin, and before the facts; and blanks that could push text to another
// place are counted, and what is not seen is drawn (see visible).
const (
	width  = 76 // columns of a line
	margin = "  | "
)

// Review is what a person reads before approving a request: the whole operation, and
// then the facts. Nothing of the operation is cut: what a fact sums up stands whole in
// the parts. All of its texts are clean. A door shows Parts as the words of the
// caller, apart from its own, and before the facts.
type Review struct {
	Parts       []Part
	ID          string
	Fingerprint string
	Facts       []Fact
}

// Part is one part of a review: a title of keyturn's, and texts that the caller had a
// hand in.
type Part struct {
	Title string
	Texts []string
}

// Fact is one thing that keyturn knows of a request, or warns of.
type Fact struct{ Name, Text string }

// ReviewOf returns the review of a request. remember is set where the person also wants
// the rule to be written that lets the same operation through from now on.
func ReviewOf(r keyturn.Request, remember bool) Review {
	form := "it cannot be shown"
	if f, err := keyturn.EncodeOp(r.Op); err == nil {
		form = string(f)
	}
	v := Review{ID: r.ID, Fingerprint: r.Fingerprint, Facts: facts(r, remember)}
	add := func(title string, texts ...string) {
		p := Part{Title: title}
		for _, t := range texts {
			if t != "" {
				p.Texts = append(p.Texts, visible(t))
			}
		}
		if len(p.Texts) > 0 {
			v.Parts = append(v.Parts, p)
		}
	}
	// The fingerprint is made of the canonical form; "that is" says the same in words.
	add("exactly this, in its canonical form:", form)
	add("they say, in their own words, which nobody checked:", r.Reason)
	add("that is:", details(r.Op)...)
	if who := caller(r.Actor); len([]rune(visible(who))) > maxCaller {
		add("the whole name of who asks:", who)
	}
	add("of these files, whole:", r.Files...)
	if remember {
		add("from now on, by a rule that is written:", r.Rule)
	} else {
		add("with --remember this would be written:", r.Rule)
	}
	return v
}

// maxCaller is how many characters of a caller's name the facts show.
const maxCaller = 200

// caller names a caller, and how it was found out. It is not clean yet.
func caller(a keyturn.Actor) string {
	who := a.Principal()
	if a.For != "" {
		who += ", for " + a.For
	}
	if a.Detail != "" {
		who += " (" + a.Detail + ")"
	}
	return who
}

// facts returns what keyturn itself knows of a request.
func facts(r keyturn.Request, remember bool) []Fact {
	out := []Fact{
		{"who", short(visible(caller(r.Actor)), maxCaller)},
		{"wants to", Operation(r.Op)},
		{"asked", age(time.Since(r.Created)) + " ago; it runs out at " + r.Expires.Local().Format("15:04")},
	}
	add := func(name, text string) { out = append(out, Fact{name, text}) }
	if r.Needs > 1 {
		add("needs", fmt.Sprintf("%d approvals, %d are given", r.Needs, r.Given))
	}
	if r.Opens != "" {
		add("careful", visible(r.Opens))
	}
	if r.Ends != "" {
		add("careful", "this "+visible(r.Ends))
	}
	for _, l := range lookalikes(r.Op) {
		add("careful", l)
	}
	if op, ok := r.Op.(keyturn.Login); ok && op.Method == "token" {
		add("careful", "whose token it will be is not known: they bring whatever they like, and all who use this store are that one then")
	}
	if len(r.Files) > 0 {
		add("careful", wholeFiles(r))
	}
	if remember && r.Rule != "" {
		add("remember", "a rule is written too: the one above. "+allows(r))
		for _, w := range r.Warnings {
			add("careful", "of that rule: "+visible(w))
		}
	}
	return out
}

// maxMixed is how many names that mix letters of several scripts are warned of by
// themselves.
const maxMixed = 3

// lookalikes warns of the names in op that mix letters of several scripts.
func lookalikes(op keyturn.Op) []string {
	var out []string
	more := 0
	add := func(marked string, mixed bool) {
		switch {
		case !mixed:
		case len(out) == maxMixed:
			more++
		default:
			out = append(out, "the name "+short(visible(marked), 120)+" mixes letters of several scripts: it may look like another")
		}
	}
	for _, ref := range op.Refs() {
		add(ref.MixedScripts())
	}
	switch op := op.(type) {
	case keyturn.PutSecret:
		for _, f := range op.Fields {
			add(keyturn.MixedScripts(f))
		}
		for _, g := range op.Generate {
			add(keyturn.MixedScripts(g.Field))
		}
	case keyturn.MigrateSecrets:
		for _, f := range op.Fields {
			add(keyturn.MixedScripts(f))
		}
	}
	if more > 0 {
		out = append(out, fmt.Sprintf("%d more names mix letters of several scripts", more))
	}
	return out
}

// Marked is a reference as a person reads it before saying yes to it: clean, and with a
// warning where its name mixes letters of several scripts.
func Marked(ref keyturn.Ref) string {
	s := keyturn.Clean(ref.Short())
	if marked, mixed := ref.MixedScripts(); mixed {
		s += "   (careful: it mixes letters of several scripts: " + keyturn.Clean(marked) + ")"
	}
	return s
}

// allows says what a remembered rule lets through, where that is more than the operation
// by itself.
func allows(r keyturn.Request) string {
	op, ok := r.Op.(keyturn.RunCommand)
	if !ok {
		return ""
	}
	var secrets []keyturn.Ref
	for _, ref := range op.Refs() {
		if s := ref.Secret(); !slices.Contains(secrets, s) {
			secrets = append(secrets, s)
		}
	}
	return "By it they run this program with these words in this folder as often as they like, without asking, with any field of " + things(secrets) +
		": " + short(visible(op.Program), 200) + " in " + short(visible(op.Dir), 200)
}

// wholeFiles says that the whole content of files is given back by a migration, or
// destroyed; of many, it names the first eight and how many more there are: all of them
// are a part of the review.
func wholeFiles(r keyturn.Request) string {
	const most = 8
	var names []string
	for i, f := range r.Files {
		if i == most {
			names = append(names, fmt.Sprintf("and %d more", len(r.Files)-most))
			break
		}
		names = append(names, short(visible(f), 200))
	}
	what := "whole files come out, with all that they held before, not only the values that were moved: "
	if _, forget := r.Op.(keyturn.ForgetMigration); forget {
		what = "all that these files held before is destroyed: "
	}
	return what + strings.Join(names, ", ")
}

// Rememberable refuses, with Invalid, a rule that would be written by an approval but
// would be too broad.
func Rememberable(r keyturn.Request) error {
	if r.Rule == "" && r.Broad != "" {
		return keyturn.E(keyturn.Invalid, r.Broad, "approve it once, without --remember")
	}
	return nil
}

// Lines lays a review out for a terminal, whole, with the facts last.
func (v Review) Lines() []string {
	var out []string
	for _, p := range v.Parts {
		out = append(out, p.Title)
		for _, text := range p.Texts {
			out = append(out, block(text)...)
		}
	}
	out = append(out, "", "request "+v.ID+"   fingerprint "+v.Fingerprint)
	const indent = "            "
	for _, f := range v.Facts {
		for i, l := range wrapped(indent, f.Text) {
			if i == 0 {
				l = fmt.Sprintf("  %-9s ", f.Name) + strings.TrimPrefix(l, indent)
			}
			out = append(out, l)
		}
	}
	return out
}

// block lays out a text of the caller, broken where it is too long, with the mark at the
// margin.
func block(text string) (lines []string) {
	for len(text) > 0 {
		n := fitting(text, width-len(margin))
		lines = append(lines, margin+text[:n])
		text = text[n:]
	}
	return lines
}

// Entry is a request as a list of requests shows it. All of its texts are clean.
type Entry struct {
	ID          string
	Fingerprint string
	Caller      string
	Asked       string   // "3 minutes ago"
	State       string   // how many approvals are given, where that is worth saying
	Operation   string   // what it would do
	Careful     []string // warnings
	Reason      string   // the caller's own words, cut where they are long
}

// EntryOf returns the entry of a request.
func EntryOf(r keyturn.Request) Entry {
	e := Entry{ID: r.ID, Fingerprint: r.Fingerprint, Caller: short(visible(r.Actor.Principal()), 60), Asked: age(time.Since(r.Created)) + " ago",
		Operation: Operation(r.Op), Reason: short(visible(r.Reason), 300)}
	if r.Given >= r.Needs {
		e.State = "approved and not used yet"
	} else if r.Needs > 1 {
		e.State = fmt.Sprintf("%d of %d approvals", r.Given, r.Needs)
	}
	if r.Ends != "" {
		e.Careful = append(e.Careful, "this "+visible(r.Ends))
	}
	if r.Opens != "" {
		e.Careful = append(e.Careful, visible(r.Opens))
	}
	e.Careful = append(e.Careful, lookalikes(r.Op)...)
	return e
}

// Lines lays out, for a terminal, what stands below the first line of an entry.
func (e Entry) Lines() []string {
	lines := wrapped("  ", e.Operation)
	for _, c := range e.Careful {
		lines = append(lines, wrapped("  ", "careful: "+c)...)
	}
	if e.Reason != "" {
		lines = append(lines, wrapped("  | ", "they say: "+e.Reason)...)
	}
	return lines
}
