package cli

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/parse"
	"github.com/keyturn/keyturn/internal/session"
)

// commandCommand returns the commands of one platform's list.
func commandCommand(c *command, list keyturn.Administration) *cobra.Command {
	top := &cobra.Command{Use: list.Platform, Short: list.Short, Long: list.Long}
	groups := map[string]*cobra.Command{"": top}
	for _, a := range list.Actions {
		name, last := cut(a.Name)
		parent := actionGroup(groups, list, name)
		parent.AddCommand(actionCommand(c, list, a, last))
		first, _, _ := strings.Cut(a.Example, "\n")
		for above := parent; above != nil; above = above.Parent() { // a group shows the first example of its own
			if above.Example == "" {
				above.Example = first
			}
		}
	}
	return top
}

// actionGroup is the command of some words that actions begin with, below that of the
// words before the last.
func actionGroup(groups map[string]*cobra.Command, list keyturn.Administration, name string) *cobra.Command {
	if g := groups[name]; g != nil {
		return g
	}
	above, last := cut(name)
	g := &cobra.Command{Use: last}
	if i := slices.IndexFunc(list.Groups, func(g keyturn.ActionGroup) bool { return g.Name == name }); i >= 0 {
		g.Short, g.Long = list.Groups[i].Short, list.Groups[i].Long
	}
	groups[name] = g
	actionGroup(groups, list, above).AddCommand(g)
	return g
}

func cut(name string) (group, last string) {
	if i := strings.LastIndex(name, " "); i >= 0 {
		return name[:i], name[i+1:]
	}
	return "", name
}

// options are what the command line of one action said.
type options struct {
	act       keyturn.Action
	platform  string
	variable  string // names the server of the mount that is there without configuration; "" for none
	mount     string
	texts     map[string]*once // by input
	lists     map[string]*[]string
	yes       map[string]*bool
	to        string
	toFile    string
	wrap      string
	policyOut string
	piped     bool // what is secret comes from a pipe
}

// once is a flag that is to be given once.
type once struct {
	text  string
	times int
}

// Set implements pflag.Value. It never fails: what it was given may not be repeated
// in an error.
func (o *once) Set(s string) error {
	o.text, o.times = s, o.times+1
	return nil
}

// String implements pflag.Value.
func (o *once) String() string { return o.text }

// Type implements pflag.Value.
func (*once) Type() string { return "string" }

func actionCommand(c *command, list keyturn.Administration, a keyturn.Action, use string) *cobra.Command {
	o := &options{act: a, platform: list.Platform, variable: list.Variable, texts: map[string]*once{}, lists: map[string]*[]string{}, yes: map[string]*bool{}}
	least, most := 0, 0
	for _, in := range a.Inputs {
		if !in.Place {
			continue
		}
		most++
		word := strings.ToUpper(in.Name)
		if in.Required {
			least++
			use += " " + word
		} else {
			use += " [" + word + "]"
		}
	}
	if o.takesSecret() {
		use += " [-]"
		most++
	}
	cmd := &cobra.Command{
		Use: use, Short: a.Short, Long: a.Long, Example: a.Example, Args: o.count(least, most),
		Annotations: map[string]string{OperationOf: a.Operation},
		RunE: func(cmd *cobra.Command, args []string) error {
			args, err := o.fromPipe(c, args)
			if err != nil {
				return err
			}
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error {
				op, err := o.op(c, cmd, s, args)
				if err != nil {
					return err
				}
				return o.run(ctx, c, s, op)
			})
		},
	}
	o.flags(cmd)
	return cmd
}

// count checks how many arguments there are, and names the first that is missing.
func (o *options) count(least, most int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		place := 0
		for _, in := range o.act.Inputs {
			if !in.Place {
				continue
			}
			if place++; place > len(args) && place <= least {
				return usage(strings.ToUpper(in.Name) + " is missing")
			}
		}
		if len(args) > most {
			return usage("there are more arguments than it takes")
		}
		return nil
	}
}

func (o *options) takesSecret() bool {
	return slices.ContainsFunc(o.act.Inputs, func(in keyturn.Input) bool { return in.Kind == keyturn.InputSecret })
}

// fromPipe takes the - off the arguments that says that what is secret comes from a
// pipe.
func (o *options) fromPipe(c *command, args []string) ([]string, error) {
	place := 0
	for _, in := range o.act.Inputs {
		if in.Place {
			place++
		}
		if in.Kind == keyturn.InputSecret && len(args) > 0 && args[len(args)-1] == "-" && o.texts[in.Name].times > 0 {
			return nil, usage("--" + in.Name + " and - exclude each other")
		}
	}
	switch {
	case !o.takesSecret() || len(args) <= place:
		return args, nil
	case args[place] != "-": // it may be a secret by mistake, and is not repeated
		return nil, keyturn.E(keyturn.Invalid, "what is secret has no place on the command line", "write - and pipe it in, or leave it out to be asked")
	}
	o.piped = true
	c.With = func(h *session.How) { h.Login.Given = c.Piped }
	return args[:place], nil
}

func (o *options) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	for _, in := range o.act.Inputs {
		if in.Place {
			continue
		}
		short := in.Short
		switch in.Kind {
		case keyturn.InputYes:
			o.yes[in.Name] = f.Bool(in.Name, false, short)
		case keyturn.InputList:
			o.lists[in.Name] = f.StringSlice(in.Name, nil, short+" (`A,B`)")
		default:
			o.texts[in.Name] = &once{}
			f.Var(o.texts[in.Name], in.Name, short+" ("+word[in.Kind]+")")
		}
	}
	f.StringVar(&o.mount, "mount", "", "the mount, by its `NAME`; without it: "+o.platform)
	if o.act.Secret != "" {
		f.StringVar(&o.to, "to", "", "store "+o.act.Secret+" in the secret `REF`; its other fields stay")
		f.StringVar(&o.toFile, "to-file", "", "write "+o.act.Secret+" to a `FILE` that only you can read")
		f.StringVar(&o.wrap, "wrap", "", "print a token that opens "+o.act.Secret+" once, within so long (`DUR`)")
	}
	if o.act.Document != "" {
		f.StringVar(&o.policyOut, o.act.Document+"-out", "", "keep the text of the "+o.act.Document+" in a `FILE`")
	}
}

// word is what a flag of a kind takes, as the help shows it.
var word = map[keyturn.InputKind]string{
	keyturn.InputText: "`TEXT`", keyturn.InputNumber: "`N`", keyturn.InputDuration: "`DUR`", keyturn.InputFile: "`FILE`, - is standard input",
	keyturn.InputSecret: "`REF`; asked for where it is left out, or taken from a pipe for -", keyturn.InputOn: "`REF`", keyturn.InputAddress: "`URL`", keyturn.InputStatements: "`TEXT`",
}

// op is the operation that a command line means.
func (o *options) op(c *command, cmd *cobra.Command, s *session.Session, args []string) (keyturn.PlatformAction, error) {
	op := keyturn.PlatformAction{Mount: o.mount, Action: o.act.Name, Args: map[string][]string{}, Out: o.toFile}
	for _, in := range o.act.Inputs {
		given := []string{}
		switch {
		case in.Place:
			if len(args) > 0 {
				given, args = args[:1], args[1:]
			}
		case in.Kind == keyturn.InputYes:
			if *o.yes[in.Name] {
				given = []string{"true"}
			}
		case in.Kind == keyturn.InputList:
			given = *o.lists[in.Name]
		case cmd.Flags().Changed(in.Name):
			if o.texts[in.Name].times > 1 { // one of them would count, and nobody said which
				return op, usage("--" + in.Name + " is given twice: it takes one")
			}
			given = []string{o.texts[in.Name].text}
		}
		if len(given) == 0 {
			if in.Required && in.Kind != keyturn.InputSecret {
				return op, usage("--" + in.Name + " is missing")
			}
			continue
		}
		if err := o.input(c, &op, in, given); err != nil {
			return op, err
		}
	}
	if op.Mount == "" {
		op.Mount = o.platform
	}
	named := o.variable != "" && c.Env(o.variable) != ""
	withheld := op.Mount == o.platform && s.Actor.Kind != keyturn.Person && named // which the answer says
	if !slices.Contains(s.Mounts, op.Mount) && !withheld {
		hint := "name a mount of your configuration: --mount NAME"
		switch {
		case named:
			hint = "the mounts are " + strings.Join(s.Mounts, ", ")
		case o.variable != "":
			hint = "set " + o.variable + ", or " + hint
		}
		return op, keyturn.E(keyturn.NotFound, "no mount '"+keyturn.Clean(op.Mount)+"'", hint)
	}
	return op, o.destination(c, &op)
}

// input adds one input to the operation.
func (o *options) input(c *command, op *keyturn.PlatformAction, in keyturn.Input, given []string) error {
	switch in.Kind {
	case keyturn.InputFile:
		data, err := c.Input(given[0])
		if err != nil {
			return err
		}
		if len(data) == 0 && given[0] == "-" {
			return keyturn.E(keyturn.Invalid, "standard input is empty, and nothing was stored", "look at what should write it; an empty text is given as a file")
		}
		op.Args[in.Name] = []string{string(data)}
	case keyturn.InputSecret:
		ref, err := keyturn.ParseRef(given[0])
		if err != nil {
			return err
		}
		op.Uses = append(op.Uses, keyturn.Binding{Name: in.Name, Ref: ref})
		slices.SortFunc(op.Uses, func(a, b keyturn.Binding) int { return strings.Compare(a.Name, b.Name) })
	case keyturn.InputAddress:
		if !keyturn.PlainAddress(given[0]) { // before it could be recorded anywhere
			return keyturn.E(keyturn.Invalid, "--"+in.Name+" holds a password", "write {{username}}:{{password}} in its place; the password is asked for")
		}
		op.Args[in.Name] = given
	case keyturn.InputStatements:
		if !keyturn.PlainStatements(given[0]) {
			return keyturn.E(keyturn.Invalid, "--"+in.Name+" holds a password", "write '{{password}}' in its place: each user gets one of its own")
		}
		op.Args[in.Name] = given
	case keyturn.InputOn:
		ref, err := keyturn.ParseRef(given[0])
		if err != nil {
			return err
		}
		if op.Mount != "" && op.Mount != ref.Mount() {
			return keyturn.E(keyturn.Invalid, keyturn.Clean(ref.Short())+" is not on the mount "+keyturn.Clean(op.Mount), "leave --mount out")
		}
		op.On, op.Mount = ref, ref.Mount()
	default:
		op.Args[in.Name] = given
	}
	return nil
}

// destination says where a secret goes that the action answers with, and refuses a
// file that must not be written.
func (o *options) destination(c *command, op *keyturn.PlatformAction) error {
	if o.policyOut != "" {
		if err := c.MayWrite(c.Abs(o.policyOut)); err != nil {
			return err
		}
	}
	if o.act.Secret == "" {
		return nil
	}
	ways := 0
	for _, w := range []string{o.to, o.toFile, o.wrap} {
		if w != "" {
			ways++
		}
	}
	if ways != 1 {
		return keyturn.E(keyturn.Invalid, "say where "+o.act.Secret+" is to go: it is never shown",
			"--to REF stores it in a secret, --to-file FILE writes it to a file of yours, --wrap 60s prints a token that opens it once")
	}
	switch {
	case o.to != "":
		ref, err := keyturn.ParseRef(o.to)
		op.To = ref
		return err
	case o.toFile != "":
		op.Out = session.Whole(c.Dir, o.toFile)
		if err := c.MayWrite(op.Out); err != nil {
			return err
		}
		if _, err := os.Lstat(op.Out); err == nil {
			return keyturn.E(keyturn.Conflict, keyturn.Clean(o.toFile)+" exists already", "name another file, or remove it")
		}
	default:
		d, err := parse.Age(o.wrap)
		if err != nil {
			return err
		}
		if op.Wrap = int64(d.Seconds()); op.Wrap < 1 {
			return keyturn.E(keyturn.Invalid, "a wrapped secret waits for a second at least", "say --wrap 60s")
		}
	}
	return nil
}
