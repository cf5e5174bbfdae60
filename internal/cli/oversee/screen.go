package oversee

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/cli/command"
)

// What is shown before a yes is partly written by whoever asks. None of it may
// look like something that keyturn says: a terminal breaks long lines where it
// likes, so every line is broken here, below the width of any terminal; what is
// theirs stands behind a mark at the margin, and before the facts; and blanks
// that could push text to another place are counted.
const (
	width    = 76      // columns of a line
	maxBlock = 4 << 10 // bytes of one text of theirs
	margin   = "  | "
)

// screen is what a person reads before the passphrase: all that is approved, then
// a few lines that say who asks for what.
func screen(r keyturn.Request, remember bool) []string {
	form := "it cannot be shown"
	if f, err := keyturn.EncodeOp(r.Op); err == nil {
		form = string(f)
	}
	var out []string
	cut := 0
	add := func(title string, texts ...string) {
		lines, rest := block(texts...)
		if len(lines) > 0 {
			out = append(append(out, title), lines...)
		}
		cut += rest
	}
	// What the fingerprint is of, and the same to be read.
	add("exactly this, in its canonical form:", form)
	if r.Reason != "" {
		add("they say, in their own words, which nobody checked:", r.Reason)
	}
	add("that is:", details(r.Op)...)
	switch {
	case r.Rule != "" && remember:
		add("from now on, by a rule that is written:", r.Rule)
	case r.Rule != "":
		add("with --remember this would be written:", r.Rule)
	}
	return append(out, header(r, cut, remember)...)
}

// header is the facts, last on the screen.
func header(r keyturn.Request, cut int, remember bool) []string {
	who := r.Actor.Principal()
	if r.Actor.For != "" {
		who += ", for " + r.Actor.For
	}
	if r.Actor.Detail != "" {
		who += " (" + r.Actor.Detail + ")"
	}
	out := []string{"", "request " + r.ID + "   fingerprint " + r.Fingerprint}
	fact := func(name, text string) {
		for i, l := range wrapped("            ", text) {
			if i == 0 {
				l = fmt.Sprintf("  %-9s ", name) + strings.TrimPrefix(l, "            ")
			}
			out = append(out, l)
		}
	}
	fact("who", short(visible(who), 200))
	fact("wants to", sentence(r.Op))
	fact("asked", age(time.Since(r.Created))+" ago; it runs out at "+r.Expires.Local().Format("15:04"))
	if r.Needs > 1 {
		fact("needs", fmt.Sprintf("%d approvals, %d are given", r.Needs, r.Given))
	}
	if r.Opens != "" {
		fact("careful", visible(r.Opens))
	}
	if r.Ends != "" {
		fact("careful", "this "+visible(r.Ends))
	}
	if op, ok := r.Op.(keyturn.Login); ok && op.Method == "token" {
		fact("careful", "whose token it will be is not known: they bring whatever they like, and all who use this store are that one then")
	}
	if len(r.Files) > 0 {
		fact("careful", wholeFiles(r))
	}
	if remember && r.Rule != "" {
		fact("remember", "a rule is written too: the one above")
	}
	if cut > 0 {
		fact("careful", fmt.Sprintf("%d bytes of what it asks for are too long to be shown above", cut))
	}
	return out
}

// wholeFiles says of which files all comes out, or is destroyed: the first few of many.
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

// block is text of theirs, a line for each and broken where it is too long, with
// the mark at the margin; at most maxBlock bytes. It tells how many are left out.
func block(texts ...string) (lines []string, rest int) {
	room := maxBlock
	for _, text := range texts {
		if text == "" {
			continue
		}
		text = visible(text)
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

// wrapped breaks text at blanks where it can, behind an indent.
func wrapped(indent, text string) []string {
	var out []string
	for text != "" {
		n := fitting(text, width-len(indent))
		end := n
		if n < len(text) {
			if i := strings.LastIndexByte(text[:n], ' '); i > n/2 {
				n, end = i+1, i
			}
		}
		out = append(out, indent+text[:end])
		text = text[n:]
	}
	return out
}

// fitting is how many bytes of s fit into so many columns; what is not ASCII is
// taken to be wide.
func fitting(s string, columns int) int {
	for i, r := range s {
		w := 1
		if r >= utf8.RuneSelf {
			w = 2
		}
		if columns -= w; columns < 0 && i > 0 {
			return i
		}
	}
	return len(s)
}

// visible is Clean, with runs of blanks counted, and no blank but a space.
func visible(s string) string {
	var b strings.Builder
	run, odd := 0, false
	flush := func() {
		switch {
		case run >= 3 || odd:
			fmt.Fprintf(&b, "␣×%d", run)
		default:
			b.WriteString("  "[:run])
		}
		run, odd = 0, false
	}
	for _, r := range keyturn.Clean(s) {
		if blank(r) {
			run, odd = run+1, odd || r != ' '
			continue
		}
		flush()
		b.WriteRune(r)
	}
	flush()
	return b.String()
}

// blank reports whether r shows as nothing.
func blank(r rune) bool {
	return unicode.IsSpace(r) || unicode.Is(unicode.Z, r) || slices.Contains([]rune{'\u115f', '\u1160', '\u2800', '\u3164', '\uffa0'}, r)
}

// sentence says in words what an operation would do: a verb, what to, and with
// what. It is safe to show, and not long.
func sentence(op keyturn.Op) string {
	what := things(op.Refs())
	switch op := op.(type) {
	case keyturn.ListSecrets:
		return "list the names below " + short(visible(strings.TrimPrefix(op.Under.String(), keyturn.Scheme)), 200)
	case keyturn.RunCommand:
		s := "run `" + short(commandLine(op.Command), 200) + "`"
		if what != "" {
			s += " with " + what
		}
		if op.Plain {
			s += ", its output not redacted"
		}
		return s
	case keyturn.RenderTemplate:
		out := "standard output, and see it"
		if op.Out != "" {
			out = short(visible(op.Out), 100)
		}
		return "put " + what + " into " + out
	case keyturn.RevealSecret:
		if op.Clipboard {
			return "have the value of " + what + " on the clipboard"
		}
		return "see the value of " + what
	case keyturn.GetSecret:
		return "see what is known of " + what
	case keyturn.ListVersions:
		return "see the versions of " + what
	case keyturn.PutSecret:
		return "write a new version of " + what
	case keyturn.RollbackSecret:
		if op.To != "" {
			return "make version " + short(visible(op.To), 60) + " of " + what + " current again"
		}
		return "make the earlier version of " + what + " current again"
	case keyturn.CopySecret:
		return "copy " + things([]keyturn.Ref{op.From}) + " to " + things([]keyturn.Ref{op.To})
	case keyturn.DiffSecrets:
		return "be told which fields of " + what + " are the same"
	case keyturn.MigrateSecrets:
		return "store values from files in " + what
	case keyturn.RevertMigration:
		return "see all that migrated files held, and write it back: values of " + what + " and whatever else is in them"
	case keyturn.ForgetMigration:
		return "destroy what is kept of a migration into " + what
	case keyturn.DeleteSecret:
		return "delete " + what
	case keyturn.RestoreSecret:
		return "restore " + what
	case keyturn.DestroySecret:
		if len(op.Versions) > 0 {
			return "destroy versions " + short(visible(strings.Join(op.Versions, ", ")), 100) + " of " + what + " for ever"
		}
		return "destroy " + what + " for ever, with all its versions"
	case keyturn.PlatformAction:
		s := "carry out '" + short(visible(op.Action), 60) + "' on the mount " + short(visible(op.Mount), 60)
		if what != "" {
			s += ", with " + what
		}
		return s
	case keyturn.Login:
		return "log in to the mount " + short(visible(op.Mount), 60) + ", for all who use this store"
	case keyturn.Logout:
		return "log out of the mount " + short(visible(op.Mount), 60) + ", for all who use this store"
	}
	if op, ok := op.(keyturn.BackupStore); ok {
		who := "whoever knows a passphrase"
		if !op.Passphrase {
			who = short(visible(strings.Join(op.Recipients, ", ")), 300)
		}
		return "write the whole store, all values among it, to " + short(visible(op.To), 100) + " for " + who
	}
	if what == "" {
		return strings.ReplaceAll(op.Kind(), "-", " ")
	}
	return strings.ReplaceAll(op.Kind(), "-", " ") + " " + what
}

// things names references, the first few of many.
func things(refs []keyturn.Ref) string {
	const most = 8
	var out []string
	for i, r := range refs {
		if i == most {
			out = append(out, fmt.Sprintf("and %d more", len(refs)-most))
			break
		}
		out = append(out, short(visible(r.Short()), 120))
	}
	return strings.Join(out, ", ")
}

// details says in words what decides: where each value goes, and on which terms.
func details(op keyturn.Op) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	bindings := func(what string, list []keyturn.Binding) {
		for _, b := range list {
			optional := ""
			if b.Optional {
				optional = " (may be missing)"
			}
			add("%s %s = %s%s", what, b.Name, b.Ref.Short(), optional)
		}
	}
	switch op := op.(type) {
	case keyturn.RunCommand:
		if op.Program != "" {
			add("program %s", op.Program)
		} else {
			add("program not known before: a value decides PATH")
		}
		add("in the folder %s", op.Dir)
		bindings("file", op.Files)
		bindings("variable", op.Env)
		for _, s := range op.From {
			add("variables %s… = all fields of %s", s.Prefix, s.Ref.Short())
		}
		if op.Project != "" {
			add("project %s", op.Project)
		}
	case keyturn.RenderTemplate:
		add("template %s", op.Template)
		if op.Out != "" {
			add("into the file %s", op.Out)
		}
	case keyturn.Login:
		for _, in := range []struct{ what, text string }{{"method", op.Method}, {"enabled at", op.Path}, {"role", op.Role}, {"role id", op.RoleID}, {"user", op.Username}} {
			if in.text != "" {
				add("%s %s", in.what, in.text)
			}
		}
	case keyturn.PlatformAction:
		out = actionDetails(op)
	case keyturn.DestroySecret:
		for _, v := range op.Versions {
			add("version %s is destroyed", v)
		}
	case keyturn.RollbackSecret:
		if op.To != "" {
			add("back to version %s", op.To)
		}
	case keyturn.MigrateSecrets:
		for _, f := range op.Fields {
			add("field %s", f)
		}
		for _, f := range op.Files {
			if f.New {
				add("makes the file %s", f.Path)
			} else {
				add("rewrites the file %s", f.Path)
			}
		}
		if op.Replace {
			add("over other values under the same names")
		}
	case keyturn.RevertMigration:
		if op.Out != "" {
			add("into the folder %s", op.Out)
		}
	case keyturn.PutSecret:
		out = putDetails(op)
	case keyturn.CopySecret:
		out = putDetails(keyturn.PutSecret{Mode: op.Mode, IfVersion: op.IfVersion})
		if op.Lossy {
			add("what the platform there cannot keep is left behind")
		}
	}
	return out
}

// actionDetails tells all that an action was given: a policy with every line, since
// who says yes to it must have seen it.
func actionDetails(op keyturn.PlatformAction) []string {
	var out []string
	if !op.On.IsZero() {
		out = append(out, "about "+op.On.Short())
	}
	for _, name := range command.SortedKeys(op.Args) {
		for _, text := range op.Args[name] {
			for l := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
				out = append(out, name+" = "+l)
			}
		}
	}
	for _, u := range op.Uses {
		out = append(out, u.Name+" = the value of "+u.Ref.Short())
	}
	switch {
	case !op.To.IsZero():
		out = append(out, "its secret is stored in "+op.To.Short())
	case op.Out != "":
		out = append(out, "its secret goes into the file "+op.Out)
	case op.Wrap > 0:
		out = append(out, fmt.Sprintf("a token is shown that opens its secret once, within %d seconds", op.Wrap))
	}
	return out
}

func putDetails(op keyturn.PutSecret) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if len(op.Public) > 0 {
		add("declared to be no secret: %s", strings.Join(op.Public, ", "))
	}
	switch op.Mode {
	case keyturn.Replace:
		add("fields that it does not name go")
	case keyturn.Merge:
		add("fields that it does not name stay")
	}
	switch op.IfVersion {
	case "":
	case keyturn.None:
		add("only if there is no such secret")
	default:
		add("only if version %s is current", op.IfVersion)
	}
	if !op.Expires.IsZero() {
		add("it expires at %s", op.Expires.UTC().Format(time.RFC3339))
	}
	if op.Candidate != "" {
		add("with values that are sealed already")
	}
	if op.Reader != "" {
		add("and its platform lets %s read it", op.Reader)
	}
	for _, g := range op.Generate {
		how := ""
		if g.Length > 0 {
			how += fmt.Sprintf(", %d characters", g.Length)
		}
		if g.Charset != "" {
			how += ", " + g.Charset
		}
		add("field %s is generated%s", g.Field, how)
	}
	for _, k := range command.SortedKeys(op.Labels) {
		add("label %s = %s", k, op.Labels[k])
	}
	for _, k := range op.Unlabel {
		add("the label %s goes", k)
	}
	return out
}

// short is s cut to so many characters.
func short(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

func commandLine(args []string) string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = visible(keyturn.Quote(a))
	}
	return strings.Join(out, " ")
}
