package broker

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/backup"
	"github.com/keyturn/keyturn/internal/durable"
	"github.com/keyturn/keyturn/internal/guarded"
)

// No part of an operation may hold a secret, since operations are recorded. Here are
// the rules for those parts where a caller could put one by mistake, and the rule that
// no operation has files written among those of the store. Doors hold these rules too,
// where that lets them say more; this is where they are kept.

// holdsSecret refuses an action with a password in one of its texts or with a plain text
// where a secret is taken, and a backup for a recipient that is not a public key. Its errors
// are Invalid and repeat nothing of what they refuse. It looks up nothing about the mount:
// what an input takes is what the lists of actions say, for whatever platform.
func (b *Broker) holdsSecret(op keyturn.Op) error {
	switch op := op.(type) {
	case keyturn.PlatformAction:
		for _, text := range []string{op.Mount, op.Action, op.Out} {
			if !keyturn.PlainText(text) {
				return passwordIn("this action", text)
			}
		}
		for _, u := range op.Uses {
			if !keyturn.PlainText(u.Name) {
				return passwordIn("this action", u.Name)
			}
		}
		kinds := b.inputKinds(op.Action)
		for _, name := range slices.Sorted(maps.Keys(op.Args)) {
			where := "this action"
			if inputName().MatchString(name) {
				where = "--" + name
			}
			texts := op.Args[name]
			for _, text := range append([]string{name, strings.Join(texts, " ")}, texts...) {
				if !plainAs(kinds[name], text) {
					return passwordIn(where, text)
				}
			}
			if slices.Contains(kinds[name], keyturn.InputSecret) || kinds[name] == nil && namesSecret().MatchString(name) {
				return keyturn.E(keyturn.Invalid, where+" is not a reference", "write the reference of a secret, MOUNT/NAME#FIELD; what it holds is used unseen")
			}
		}
	case keyturn.RunCommand:
		for _, f := range op.EnvFiles {
			if err := plainSteering(f.Steers); err != nil {
				return err
			}
		}
	case keyturn.TrustProject:
		return plainSteering(op.Steers)
	case keyturn.BackupStore:
		if len(op.Recipients) == 0 {
			return nil
		}
		for i, key := range op.Recipients {
			// A public key is one line; a comment behind one of SSH could hold a
			// private key.
			if keyturn.Clean(key) != key || privateKey().MatchString(key) {
				return keyturn.E(keyturn.Invalid, fmt.Sprintf("recipient %d is not a public key for a backup", i+1),
					"write one that begins with age1, ssh-ed25519 or ssh-rsa, never a private key")
			}
		}
		_, err := backup.ParseRecipients(op.Recipients)
		return err
	}
	return nil
}

// plainSteering refuses a variable of a file that changes how programs run and holds a
// password: what a person accepts of such a one is its text.
func plainSteering(list []keyturn.Setting) error {
	for _, s := range list {
		if !keyturn.PlainText(s.Text) {
			return keyturn.E(keyturn.Invalid, "the variable "+keyturn.Clean(s.Name)+" of a file decides how programs run or where secrets go, and holds a password", "take the password out of it, or set the variable yourself: "+keyturn.Clean(s.Name)+"=… keyturn run …")
		}
	}
	return nil
}

// inputKinds returns what the inputs of an action take, by their names: of every platform
// that has an action of that name.
func (b *Broker) inputKinds(action string) map[string][]keyturn.InputKind {
	kinds := map[string][]keyturn.InputKind{}
	if b.Actions == nil {
		return kinds
	}
	for _, list := range b.Actions() {
		for _, a := range list.Actions {
			for _, in := range a.Inputs {
				if a.Name == action {
					kinds[in.Name] = append(kinds[in.Name], in.Kind)
				}
			}
		}
	}
	return kinds
}

// plainAs reports whether a text holds no password, as what it is: an address, statements,
// or any other text. One of which no list says what it is counts as all of them.
func plainAs(kinds []keyturn.InputKind, text string) bool {
	all := len(kinds) == 0
	return keyturn.PlainText(text) &&
		(!all && !slices.Contains(kinds, keyturn.InputAddress) || keyturn.PlainAddress(text)) &&
		(!all && !slices.Contains(kinds, keyturn.InputStatements) || keyturn.PlainStatements(text))
}

var (
	// namesSecret matches the name of an input that says that it takes a secret.
	namesSecret = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)passw|secret|token|credential|share`) })
	// inputName matches the name of an input, which is fit to be shown.
	inputName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z-]{0,62}$`) })
	// privateKey matches what private keys of age, of its plugins and of SSH have in them.
	privateKey = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)SECRET-KEY|AGE-PLUGIN-|PRIVATE KEY`) })
)

func passwordIn(where, text string) error {
	hint := "write {{username}}:{{password}} in its place; the password is asked for"
	if !keyturn.PlainStatements(text) {
		hint = "write '{{password}}' in its place: each user gets one of its own"
	}
	return keyturn.E(keyturn.Invalid, where+" holds a password", hint)
}

// bareForm returns the canonical form of op for the record of a refusal by holdsSecret:
// without arguments and recipients, and for an action without any other text that the
// caller wrote freely. The record has no hash of op either, since a form of which only
// a password is unknown lets everybody who reads the hash try passwords.
func bareForm(op keyturn.Op) json.RawMessage {
	switch o := op.(type) {
	case keyturn.PlatformAction:
		bare := keyturn.PlatformAction{On: o.On, To: o.To, Wrap: o.Wrap}
		if checkMount(o.Mount) == nil {
			bare.Mount = o.Mount
		}
		if actionName().MatchString(o.Action) {
			bare.Action = o.Action
		}
		op = bare
	case keyturn.BackupStore:
		o.Recipients = nil
		op = o
	case keyturn.RunCommand:
		op = keyturn.RunCommand{Program: o.Program, Dir: o.Dir, Env: o.Env, From: o.From}
	case keyturn.TrustProject:
		o.Steers = nil
		op = o
	}
	form, err := keyturn.EncodeOp(op)
	if err != nil {
		return nil
	}
	return form
}

// namedFiles returns the paths of files and folders in an operation: those that it has
// written to, and those that it only names.
func namedFiles(op keyturn.Op) (written, named []string) {
	switch op := op.(type) {
	case keyturn.RenderTemplate:
		written = []string{op.Out}
		if op.Template != keyturn.StandardInput {
			named = []string{op.Template}
		}
	case keyturn.PlatformAction:
		written = []string{op.Out}
	case keyturn.RevertMigration:
		named = []string{op.Out} // a folder
	case keyturn.BackupStore:
		written = []string{op.To}
	case keyturn.RunCommand:
		for _, f := range op.Files {
			written = append(written, f.Name)
		}
		named = []string{op.Program, op.Dir, op.Project}
	case keyturn.MigrateSecrets:
		for _, f := range op.Files {
			written = append(written, f.Path)
		}
	case keyturn.ShowTrust:
		named = []string{op.Path}
	case keyturn.TrustProject:
		named = []string{op.Path}
	case keyturn.UseConfig:
		named = []string{op.Path}
	case keyturn.AdoptStore:
		named = []string{op.Path}
	}
	return written, named
}

// checkFiles refuses an operation that names a file other than by its whole path, so that
// who approves it and who reads the log know which file it is; and one that would have a
// file written into keyturn's own folder, where the store and its keys are, or onto a file
// of the operator's, whatever links lead there. Its errors are Invalid.
func (b *Broker) checkFiles(op keyturn.Op) error {
	written, named := namedFiles(op)
	for _, path := range slices.Concat(written, named) {
		// What stands behind a link and ".." is another folder to the system than to Clean.
		if path != "" && (!filepath.IsAbs(path) || filepath.Clean(path) != path) {
			return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(path)+"' is not the whole path of a file", "name it from the root, without '..'")
		}
	}
	backup, here := op.(keyturn.BackupStore) // written here; the others' files are beside the caller
	if b.Remote && !here {
		return nil
	}
	if r, ok := op.(keyturn.RevertMigration); ok && r.Out != "" && b.Home != "" && durable.FolderWithin(r.Out, b.Home) {
		return ownFile(r.Out)
	}
	for _, path := range written {
		if path == "" {
			continue
		}
		if err := b.mayWrite(path); err != nil {
			if e := keyturn.AsError(err); here && path == backup.To {
				e.Hint += ": best on another disk"
			}
			return err
		}
	}
	return nil
}

// newNames refuses, with Invalid, that an agent or a service writes to a name that mixes
// letters of several scripts, which a person could take for another name. People may. It
// looks nothing up, so it holds for names that are there, too.
func newNames(actor keyturn.Actor, op keyturn.Op) error {
	var refs []keyturn.Ref
	var fields []string
	switch op := op.(type) {
	case keyturn.PutSecret:
		refs, fields = append(refs, op.Ref), slices.AppendSeq(fields, maps.Keys(op.Labels))
		if actor.Kind != keyturn.Person {
			fields = append(fields, op.Fields...)
		}
		for _, g := range op.Generate {
			fields = append(fields, g.Field)
		}
	case keyturn.SealValues:
		refs = append(refs, op.Ref)
	case keyturn.CopySecret:
		refs, fields = append(refs, op.To), append(fields, op.To.Field())
	case keyturn.MigrateSecrets:
		refs, fields = append(refs, op.Ref), op.Fields
	case keyturn.PlatformAction:
		refs = append(refs, op.To)
	}
	for _, ref := range refs {
		if marked, mixed := ref.MixedScripts(); mixed && actor.Kind != keyturn.Person {
			return mixedName(marked)
		}
	}
	return newFields(actor, fields)
}

// newFields is newNames for names of fields and labels that are made. What is not seen in
// them is refused to everybody; but a person may bring values whose fields have such names
// already, as a document from elsewhere can: see Seal.
func newFields(actor keyturn.Actor, fields []string) error {
	for _, f := range fields {
		if keyturn.Clean(f) != f {
			return keyturn.E(keyturn.Invalid, "the name '"+keyturn.Visible(f)+"' has control or invisible characters", "name it with characters that are seen")
		}
		if marked, mixed := keyturn.MixedScripts(f); mixed && actor.Kind != keyturn.Person {
			return mixedName(marked)
		}
	}
	return nil
}

// mayWrite refuses the files of a store and of the operator's.
func (b *Broker) mayWrite(path string) error { return guarded.MayWrite(path, b.Home, b.Operators) }

func mixedName(marked string) error {
	return keyturn.E(keyturn.Invalid, "the name "+keyturn.Clean(marked)+" mixes letters of several scripts, and may look like another",
		"name it with letters of one script; people may write to such a name")
}

func ownFile(path string) error {
	return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(path)+"' is in keyturn's own folder, with the store", "name a file elsewhere")
}
