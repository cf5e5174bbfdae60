package cli

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/rules"
	"github.com/keyturn/keyturn/internal/session"
)

// Completion of references. What a shell asks for when a person presses TAB is a
// listing or a description like any other: it goes through the door, shows what
// the caller may list, and is on record with its reason. It asks nobody anything,
// says nothing where it fails, and no value is read.

const (
	completeLimit = 5 * time.Second // a shell stands still for so long at most
	maxCompleted  = 1000            // names that are offered at once
)

// kind is what a word of a command line names.
type kind int

const (
	aSecret   kind = iota // a whole secret
	aField                // a secret, or one field of it
	aDeleted              // a secret that can be restored
	aFolder               // a prefix
	fieldName             // the name of a field of the first argument
	aVerb                 // what rules decide about
	aMount                // one that can be logged in to
	other                 // nothing that is known here
)

// arguments says what the arguments of each command are; the last stands for all
// further ones.
var arguments = map[string][]kind{
	"get": {aField, other}, "put": {aSecret, fieldName}, "list": {aFolder, other},
	"history": {aSecret, other}, "rollback": {aSecret, other}, "delete": {aSecret, other},
	"restore": {aDeleted, other}, "destroy": {aSecret, other},
	"copy": {aField, aSecret, other}, "diff": {aField, aField, other},
	"lease create": {aSecret, other}, "lease renew": {aSecret, other}, "lease revoke": {aSecret, other}, "lease list": {aFolder, other},
	"rules explain": {other, aVerb, aSecret, other},
	"login":         {aMount, other}, "logout": {aMount, other},
}

// flagWord says what a flag takes: a reference, or one behind NAME=.
type flagWord struct {
	kind  kind
	named bool // NAME=REF
	file  bool // NAME is the path of a file
}

var flagWords = map[string]map[string]flagWord{
	"run":     {"env": {kind: aField, named: true}, "env-from": {kind: aSecret}, "file": {kind: aField, named: true, file: true}},
	"migrate": {"to": {kind: aSecret}}, "audit list": {"ref": {kind: aSecret}},
}

// actionWords says what the arguments and flags of an action of a platform are.
func actionWords(a keyturn.Action) (kinds []kind, flags map[string]flagWord) {
	flags = map[string]flagWord{}
	about := false // a secret is among the arguments
	for _, in := range a.Inputs {
		switch {
		case in.Kind == keyturn.InputSecret:
			flags[in.Name] = flagWord{kind: aField}
		case in.Place && in.Kind == keyturn.InputOn:
			kinds, about = append(kinds, aSecret), true
		case in.Place:
			kinds = append(kinds, other)
		}
	}
	if a.Secret != "" {
		flags["to"] = flagWord{kind: aSecret}
	}
	if !about {
		return nil, flags
	}
	return append(kinds, other), flags
}

// completeWords teaches the commands of the tree to complete what they are about.
func completeWords(c *command, root *cobra.Command) {
	arguments, flagWords := maps.Clone(arguments), maps.Clone(flagWords)
	for _, list := range c.Actions {
		for _, a := range list.Actions {
			path := list.Platform + " " + a.Name
			arguments[path], flagWords[path] = actionWords(a)
		}
	}
	eachCommand(root, func(cmd *cobra.Command) {
		path := pathOf(cmd)
		if kinds := arguments[path]; kinds != nil {
			cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
				w := &words{c: c, cmd: cmd}
				k := kinds[min(len(args), len(kinds)-1)]
				if k == fieldName {
					return w.fieldNames(args, typed)
				}
				return w.complete(k, typed)
			}
		}
		if cmd.Flags().Lookup("field") != nil && arguments[path] != nil {
			_ = cmd.RegisterFlagCompletionFunc("field", func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
				return (&words{c: c, cmd: cmd}).fieldNames(args, typed)
			})
		}
		for name, word := range flagWords[path] {
			if cmd.Flags().Lookup(name) != nil {
				_ = cmd.RegisterFlagCompletionFunc(name, func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
					return (&words{c: c, cmd: cmd}).flag(word, typed)
				})
			}
		}
	})
}

// words completes one word of one command line.
type words struct {
	c   *command
	cmd *cobra.Command
}

const (
	whole   = cobra.ShellCompDirectiveNoFileComp
	partial = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
)

func (w *words) flag(f flagWord, typed string) ([]string, cobra.ShellCompDirective) {
	if !f.named {
		return w.complete(f.kind, typed)
	}
	name, ref, ok := strings.Cut(typed, "=")
	if !ok && f.file {
		return nil, cobra.ShellCompDirectiveDefault | cobra.ShellCompDirectiveNoSpace
	}
	if !ok {
		return nil, partial
	}
	found, directive := w.complete(f.kind, ref)
	for i := range found {
		found[i] = name + "=" + found[i]
	}
	return found, directive
}

// complete returns the words of a kind that begin with what was typed.
func (w *words) complete(k kind, typed string) ([]string, cobra.ShellCompDirective) {
	if k == aVerb {
		var verbs []string
		for _, v := range keyturn.Verbs() {
			verbs = append(verbs, string(v))
		}
		return verbs, whole
	}
	if k == other {
		return nil, whole
	}
	name, scheme := strings.CutPrefix(typed, keyturn.Scheme)
	facts, err := w.c.Facts(w.how())
	if err != nil {
		return nil, whole
	}
	if k == aMount {
		var names []string
		for _, m := range mountsOf(facts, typed) {
			if m != "local/" {
				names = append(names, strings.TrimSuffix(m, "/"))
			}
		}
		return names, whole
	}
	var found []string
	var more bool // they may be typed on: no space behind
	secret, field, hasField := strings.Cut(name, "#")
	switch {
	case strings.Contains(secret, "?"):
	case !strings.Contains(name, "/"):
		found, more = mountsOf(facts, name), true
	case hasField && k == aField:
		found = w.fieldsOf(facts, secret, field)
	case !hasField:
		found, more = w.below(facts, k, name)
	}
	if scheme {
		for i := range found {
			found[i] = keyturn.Scheme + found[i]
		}
	}
	if more {
		return found, partial
	}
	return found, whole
}

// mountsOf are the mounts in which the caller may do anything.
func mountsOf(f session.Facts, typed string) []string {
	var out []string
	for _, m := range f.Mounts {
		if strings.HasPrefix(m, typed) && f.Rules.MayAny(f.Actor, m, false) {
			out = append(out, m+"/")
		}
	}
	return out
}

// below lists the folder that name is in, folder-wise. It tells whether one of the
// words may be typed on: a folder, or a secret one of whose fields can be meant.
func (w *words) below(f session.Facts, k kind, name string) (found []string, more bool) {
	under, err := keyturn.ParsePrefix(name[:strings.LastIndexByte(name, '/')+1])
	if err != nil || !f.Rules.MayAny(f.Actor, strings.TrimSuffix(strings.TrimPrefix(under.String(), keyturn.Scheme), "/"), false) {
		return nil, false // what is refused would be a request that nobody meant to make
	}
	w.do(func(ctx context.Context, s *session.Session) error {
		res, err := keyturn.Do[*keyturn.Listing](ctx, s.Service, keyturn.ListSecrets{Under: under, Shallow: true, Names: k != aDeleted})
		if err != nil {
			return err
		}
		for info, err := range res.Secrets {
			if err != nil || len(found) == maxCompleted {
				return err
			}
			word := info.Path // of a folder, as people type it
			switch {
			case !info.Ref.IsZero():
				if word = info.Ref.Short(); k == aFolder || (info.State == keyturn.Deleted) != (k == aDeleted) {
					continue
				}
			case !strings.HasSuffix(word, "/"):
				continue
			}
			if strings.HasPrefix(word, name) && plainWord(word) {
				found, more = append(found, word), more || info.Ref.IsZero() || k == aField
			}
		}
		return nil
	})
	if k == aField && len(found) == 1 && found[0] == name { // there is nothing else: what is in it?
		return append(found, w.fieldsOf(f, name, "")...), true
	}
	return found, more
}

// fieldsOf are the fields of a secret, as references.
func (w *words) fieldsOf(f session.Facts, secret, typed string) []string {
	ref, err := keyturn.ParseRef(secret)
	if err != nil || ref.Version() != "" || ref.Field() != "" ||
		f.Rules.Decide(rules.Request{Actor: f.Actor, Verb: keyturn.Describe, Path: ref.Path()}).Effect != rules.Allow {
		return nil
	}
	var found []string
	w.do(func(ctx context.Context, s *session.Session) error {
		res, err := keyturn.Do[*keyturn.Described](ctx, s.Service, keyturn.GetSecret{Ref: ref})
		if err != nil {
			return err
		}
		for _, name := range res.Secret.Fields {
			if full, err := ref.WithField(name); err == nil && strings.HasPrefix(full.Short(), ref.Short()+"#"+typed) && plainWord(full.Short()) {
				found = append(found, full.Short())
			}
		}
		return nil
	})
	return found
}

// fieldNames are the names of the fields of the first argument.
func (w *words) fieldNames(args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 || strings.Contains(typed, "=") {
		return nil, cobra.ShellCompDirectiveDefault
	}
	facts, err := w.c.Facts(w.how())
	if err != nil {
		return nil, whole
	}
	var names []string
	for _, word := range w.fieldsOf(facts, strings.TrimPrefix(args[0], keyturn.Scheme), "") {
		ref, err := keyturn.ParseRef(word)
		if err == nil && strings.HasPrefix(ref.Field(), typed) && plainWord(ref.Field()) && !slices.Contains(args[1:], ref.Field()) {
			names = append(names, ref.Field())
		}
	}
	return names, whole
}

// how opens the store without anybody to ask.
func (w *words) how() session.How {
	how := w.c.How()
	how.Desk, how.Silent = session.Nobody{}, true
	return how
}

// do runs f with an open session. Errors are nobody's to see here.
func (w *words) do(f func(context.Context, *session.Session) error) {
	parent := w.cmd.Context()
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := context.WithTimeout(parent, completeLimit)
	defer cancel()
	ctx = keyturn.WithCall(ctx, keyturn.Call{Door: "cli", Reason: "shell completion"})
	s, err := w.c.Open(ctx, w.how())
	if err != nil {
		return
	}
	_ = f(ctx, s)
	_ = s.Close()
}

// plainWord reports whether a shell takes a word as it is. What a name from
// outside could make of a command line is not worth a TAB.
func plainWord(s string) bool {
	return keyturn.Clean(s) == s && !strings.ContainsAny(s, " \t'\"$`\\!*?[](){}<>|&;^")
}
