// Package describe says in words what an operation does: for a person who is asked for
// a yes, and for a reader of the audit log. Doors print what it returns.
//
// All that it returns is safe to show. Control and bidirectional characters are
// replaced, and text that a caller wrote cannot pass for something that keyturn says.
package describe

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
)

// Operation says in one sentence what an operation would do: "see the value of
// local/a", "run `npm test` with local/a#key". The sentence is clean, and long texts in
// it are cut.
func Operation(op keyturn.Op) string {
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
	case keyturn.EndCommand:
		return "tell how a command ended"
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
	case keyturn.BackupStore:
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

// things names references; of many, the first eight and how many more there are.
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

// details says all that an operation was given: where each value goes, and on which
// terms. The lines are not clean yet.
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
		for _, f := range op.EnvFiles {
			add("variables of the file %s", f.Path)
			for _, s := range f.Steers {
				add("  %s = %s", s.Name, s.Text)
			}
			if len(f.Kept) > 0 {
				add("  as a person trusted them: %s", strings.Join(f.Kept, ", "))
			}
		}
		if len(op.Pass) > 0 {
			add("passes on, with the texts that they have there: %s", strings.Join(op.Pass, ", "))
		}
	case keyturn.RenderTemplate:
		if op.Template == keyturn.StandardInput {
			add("template from standard input")
		} else {
			add("template %s", op.Template)
		}
		if op.Digest != "" {
			add("its text has the SHA-256 %s", op.Digest)
		}
		if op.Found != "" && op.Found != op.Template {
			add("found at %s", op.Found)
		}
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

// actionDetails says all that a platform's action was given, a policy with every line
// of it: a person who approves the action must have seen it whole.
func actionDetails(op keyturn.PlatformAction) []string {
	var out []string
	if !op.On.IsZero() {
		out = append(out, "about "+op.On.Short())
	}
	for _, name := range slices.Sorted(maps.Keys(op.Args)) {
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

// putDetails says which fields a put replaces, keeps and generates, on which condition,
// and what it declares of the secret.
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
	for _, f := range op.Fields {
		add("field %s is given: its value is sealed already", f)
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
	for _, k := range slices.Sorted(maps.Keys(op.Labels)) {
		add("label %s = %s", k, op.Labels[k])
	}
	for _, k := range op.Unlabel {
		add("the label %s goes", k)
	}
	return out
}

// commandLine is a command as a shell would take it, clean.
func commandLine(args []string) string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = visible(keyturn.Quote(a))
	}
	return strings.Join(out, " ")
}
