package cli

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/cli/term"
	"github.com/keyturn/keyturn/internal/durable"
	"github.com/keyturn/keyturn/internal/session"
)

// run shows what would be done where there is such a preview, asks before what
// cannot be undone, does it, and shows what came of it.
func (o *options) run(ctx context.Context, c *command, s *session.Session, op keyturn.PlatformAction) error {
	person := c.Possible() && !c.JSON()
	op, err := o.confirm(ctx, c, s, op, person)
	if err != nil {
		return err
	}
	for {
		file, err := newFile(op.Out)
		if err != nil {
			return err
		}
		res, err := session.Ask[*keyturn.Performed](ctx, s, op)
		if err != nil {
			file.drop()
			return err
		}
		if err := file.keep(res, func(op keyturn.PlatformAction) error {
			_, err := session.Ask[*keyturn.Performed](context.WithoutCancel(ctx), s, op)
			return err
		}); err != nil {
			return err
		}
		artifacts, err := o.artifacts(c, res)
		if err != nil {
			return err
		}
		if err := o.show(c, op, res, artifacts); err != nil {
			return term.Done(res.Says, err)
		}
		if !res.More || !person || len(op.Uses) > 0 || o.piped {
			return nil
		}
	}
}

// confirm asks before what cannot be undone, and a person before what they have
// seen the difference of. It returns the operation that they said yes to.
func (o *options) confirm(ctx context.Context, c *command, s *session.Session, op keyturn.PlatformAction, person bool) (keyturn.PlatformAction, error) {
	if o.act.Preview != "" && person && !c.Yes {
		return o.preview(ctx, c, s, op)
	}
	return op, o.ask(ctx, c, op, person)
}

// replace is the input of an action that replaces what is there by itself only where
// it is said so.
const replace = "replace"

// preview shows what would change, and asks. Of an action that takes replace a yes is
// that, and what replaces nothing is not asked about.
func (o *options) preview(ctx context.Context, c *command, s *session.Session, op keyturn.PlatformAction) (keyturn.PlatformAction, error) {
	look := op
	look.Action = o.act.Preview
	res, err := session.Ask[*keyturn.Performed](ctx, s, look)
	if err != nil {
		return op, err
	}
	takes := func(name string) bool {
		return slices.ContainsFunc(o.act.Inputs, func(in keyturn.Input) bool { return in.Name == name })
	}
	replaces := takes(replace)
	ch := res.Change
	if ch != nil && (ch.Before == ch.After || replaces && ch.Before == "") {
		return op, nil
	}
	var lines []string
	for _, n := range res.Notices {
		lines = append(lines, keyturn.Clean(n))
	}
	if ch != nil {
		for _, l := range answer.ChangedLines(ch.Before, ch.After) {
			lines = append(lines, keyturn.Clean(l))
		}
	}
	if err := session.Show(ctx, &c.Terminal, lines); err != nil {
		return op, err
	}
	op.Args = maps.Clone(op.Args)
	if replaces {
		op.Args[replace] = []string{"true"}
	}
	if ch != nil && takes(keyturn.InputExpects) { // a yes is for what was seen
		op.Args[keyturn.InputExpects] = []string{ch.Replaces()}
	}
	return op, yesOrNo(ctx, c, "Write it?")
}

// ask asks before what cannot be undone.
func (o *options) ask(ctx context.Context, c *command, op keyturn.PlatformAction, person bool) error {
	if o.act.Asks == "" || c.Yes {
		return nil
	}
	question := o.act.Asks
	for name, texts := range op.Args {
		question = strings.ReplaceAll(question, "{"+name+"}", "'"+keyturn.Clean(strings.Join(texts, ","))+"'")
	}
	if !person {
		return keyturn.E(keyturn.Invalid, "there is nobody to ask: "+question, "add --yes if it is meant")
	}
	return yesOrNo(ctx, c, question)
}

func yesOrNo(ctx context.Context, c *command, question string) error {
	yes, err := c.Confirm(ctx, question)
	if err == nil && !yes {
		return session.SaidNo()
	}
	return err
}

// artifacts writes what is to be kept in a file.
func (o *options) artifacts(c *command, res *keyturn.Performed) ([]string, error) {
	if o.policyOut == "" || res.Policy == nil {
		return nil, nil
	}
	if err := c.Keep(c.Abs(o.policyOut), []byte(res.Policy.Text)); err != nil {
		return nil, term.Done(res.Says, err)
	}
	return []string{o.policyOut}, nil
}

// show prints the answer.
func (o *options) show(c *command, op keyturn.PlatformAction, res *keyturn.Performed, artifacts []string) error {
	if c.JSON() {
		doc, err := answer.Of(op, res, answer.About{Verbose: c.Verbose(), Action: o.act})
		if err != nil {
			return err
		}
		doc.Artifacts = artifacts
		if op.Out != "" {
			doc.Artifacts = append(doc.Artifacts, o.toFile)
		}
		if res.Wrapped != nil {
			return c.Print(answer.Show(doc, doc.Secret, &wrapped{opened(res.Wrapped), *doc.Wrapped}))
		}
		return c.Print(doc)
	}
	for _, n := range res.Notices {
		c.Say("%s", keyturn.Clean(n))
	}
	switch {
	case res.Text != "":
		return c.Write([]byte(strings.TrimSuffix(keyturn.CleanLines(strings.ReplaceAll(res.Text, "\t", "  ")), "\n") + "\n"))
	case res.Single && len(res.Items) == 1 && res.Says == "" && len(o.act.Columns) == 1 && !c.OnTerminal():
		return c.Line("%s", text(res.Items[0][o.act.Columns[0]])) // to be used as it is
	case res.Single && len(res.Items) == 1 && res.Says == "":
		return c.Table(nil, o.lines(c, res.Items[0]))
	case len(res.Items) > 0 && res.Says == "":
		return c.Columns(headings(o.act.Columns), o.rows(c, res.Items))
	case res.Says == "":
		c.Say("there are none")
		return nil
	}
	line := c.Bold(keyturn.Clean(res.Says))
	if !o.act.Reads {
		line += "  " + c.Dim("→ "+res.Platform+" "+res.Target)
	}
	if err := c.Line("%s", line); err != nil {
		return err
	}
	return o.more(c, op, res, artifacts)
}

// more prints what follows the first line.
func (o *options) more(c *command, op keyturn.PlatformAction, res *keyturn.Performed, artifacts []string) error {
	var lines []string
	// Who was asked has seen the difference.
	if ch := res.Change; ch != nil && (o.act.Reads || o.act.Preview != "" && (c.Yes || !c.Possible())) {
		lines = answer.ChangedLines(ch.Before, ch.After)
	}
	if o.act.Reads && res.Single && len(res.Items) == 1 {
		return c.Table(nil, o.lines(c, res.Items[0]))
	}
	if !res.Single && len(res.Items) > 0 {
		if err := c.Columns(headings(o.act.Columns), o.rows(c, res.Items)); err != nil {
			return err
		}
	}
	switch {
	case res.Wrapped != nil:
		if err := c.Line("%s", opened(res.Wrapped)); err != nil {
			return err
		}
		c.Say("this token opens it once, within %d seconds; whoever finds it opened already knows that somebody else did", res.Wrapped.Seconds)
	case op.Out != "":
		lines = append(lines, "it is in "+keyturn.Clean(o.toFile))
	case !op.To.IsZero():
		lines = append(lines, "it is in "+keyturn.Clean(op.To.Short())+" version "+keyturn.Clean(res.Stored.Version))
	}
	for _, a := range artifacts {
		lines = append(lines, "kept in "+keyturn.Clean(a))
	}
	for _, l := range lines {
		if err := c.Line("%s", keyturn.Clean(l)); err != nil {
			return err
		}
	}
	return nil
}

// opened returns a wrapping token in the open, for the answer.
func opened(w *keyturn.Wrapped) string { return string(w.Token.Reveal()) }

// wrapped is the JSON of a wrapping token, which no document of package answer holds.
type wrapped struct {
	Token string `json:"token"`
	answer.Wrapped
}

// pending is a file that gets a secret: it is there, empty, before the secret is
// made, so that a folder that cannot be written fails first.
type pending struct {
	path string
	f    *durable.File
}

func newFile(path string) (*pending, error) {
	if path == "" {
		return nil, nil
	}
	f, err := durable.Begin(path)
	if err != nil {
		return nil, keyturn.E(keyturn.Invalid, "no file can be made in "+keyturn.Clean(filepath.Dir(path)), "nothing was done; name another folder").Because(err)
	}
	return &pending{path, f}, nil
}

func (p *pending) drop() {
	if p != nil {
		p.f.Drop()
	}
}

// keep writes the secret and gives the file its name. Where that fails, the secret is
// taken back by back, so that none is left that nobody has.
func (p *pending) keep(res *keyturn.Performed, back func(op keyturn.PlatformAction) error) error {
	if p == nil {
		return nil
	}
	defer p.drop()
	_, err := p.f.Write(append(res.Secret[res.Main].Reveal(), '\n'))
	if err == nil {
		err = p.f.Create() // never over another file
	}
	if err == nil {
		return nil
	}
	e := keyturn.E(keyturn.Unavailable, "it was made, but could not be written to "+keyturn.Clean(p.path), "").Because(err)
	switch tb := res.TakeBack; {
	case tb == nil:
	case back(tb.Op) == nil:
		e.Message += ", and was taken back"
		e.Hint = "name another file"
	default:
		e.Unknown, e.Hint = true, "it is good still; take it back: "+tb.Command
	}
	return e
}
