package describe

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/keyturn/keyturn"
)

// A review is partly written by the caller that asks. None of that text may look like
// something that keyturn says. A terminal breaks long lines where it likes, so every
// line is broken here, below the width of any terminal; the caller's text stands behind
// a mark at the margin, and before the facts; and blanks that could push text to another
// place are counted (see visible).
const (
	width    = 76      // columns of a line
	maxBlock = 4 << 10 // bytes of one part that Lines shows
	margin   = "  | "
)

// Review is what a person reads before approving a request: the whole operation, and
// then the facts. All of its texts are clean. A door shows Parts as the words of the
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
	if remember {
		add("from now on, by a rule that is written:", r.Rule)
	} else {
		add("with --remember this would be written:", r.Rule)
	}
	return v
}

// facts returns what keyturn itself knows of a request.
func facts(r keyturn.Request, remember bool) []Fact {
	who := r.Actor.Principal()
	if r.Actor.For != "" {
		who += ", for " + r.Actor.For
	}
	if r.Actor.Detail != "" {
		who += " (" + r.Actor.Detail + ")"
	}
	out := []Fact{
		{"who", short(visible(who), 200)},
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

// wholeFiles names the files whose whole content a migration gives back, or destroys; of
// many, the first eight and how many more there are.
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
// that no person can be shown whole, or that would be too broad.
func Rememberable(r keyturn.Request) error {
	if r.Rule == "" && r.Broad != "" {
		return keyturn.E(keyturn.Invalid, r.Broad, "approve it once, without --remember")
	}
	if len(visible(r.Rule)) > maxBlock {
		return keyturn.E(keyturn.Invalid, "this cannot be remembered: the rule is too long to be shown", "approve it once, without --remember")
	}
	return nil
}

// Lines lays a review out for a terminal, the facts last. Of each part the first 4 KiB
// are shown; a fact says how much of the request is not.
func (v Review) Lines() []string {
	var out []string
	cut := 0
	for _, p := range v.Parts {
		lines, rest := block(p.Texts)
		if len(lines) > 0 {
			out = append(append(out, p.Title), lines...)
		}
		cut += rest
	}
	out = append(out, "", "request "+v.ID+"   fingerprint "+v.Fingerprint)
	list := v.Facts
	if cut > 0 {
		list = append(slices.Clip(list), Fact{"careful", fmt.Sprintf("%d bytes of what it asks for are too long to be shown above", cut)})
	}
	const indent = "            "
	for _, f := range list {
		for i, l := range wrapped(indent, f.Text) {
			if i == 0 {
				l = fmt.Sprintf("  %-9s ", f.Name) + strings.TrimPrefix(l, indent)
			}
			out = append(out, l)
		}
	}
	return out
}

// block lays out texts of the caller: a line for each, broken where it is too long, with
// the mark at the margin. It shows at most maxBlock bytes, and returns how many bytes it
// leaves out.
func block(texts []string) (lines []string, rest int) {
	room := maxBlock
	for _, text := range texts {
		if room <= 0 {
			rest += len(text)
			continue
		}
		shown := text
		if len(shown) > room {
			shown = shown[:room]
			for len(shown) > 0 && !utf8.ValidString(shown) {
				shown = shown[:len(shown)-1]
			}
			rest += len(text) - len(shown)
		}
		room -= len(shown)
		for len(shown) > 0 {
			n := fitting(shown, width-len(margin))
			lines = append(lines, margin+shown[:n])
			shown = shown[n:]
		}
	}
	if rest > 0 {
		lines = append(lines, fmt.Sprintf("    … and %d more bytes", rest))
	}
	return lines, rest
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
