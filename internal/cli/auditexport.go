package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/cli/term"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/durable"
	"github.com/keyturn/keyturn/internal/parse"
	"github.com/keyturn/keyturn/internal/session"
)

type exportOptions struct {
	out, since string
	op         keyturn.ExportLog
}

func auditExportCommand(c *command) *cobra.Command {
	var o exportOptions
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the log as a file that anybody can verify",
		Long: `Write the log as JSON lines: first a header with the log's verifier key, then one
line for each record with its hash, last a signed checkpoint. 'keyturn audit verify
FILE' checks the file anywhere, and needs nothing else; docs/audit.md tells how
other tools do. Every record is checked on the way out.

With --out the file is written whole or not at all, for its owner only. It asks
before it replaces a file, and needs --yes elsewhere. Records that retention has
pruned are in it as their hashes.

--follow writes the lines of records to standard output, and goes on with each
that is added until it is interrupted: for programs that ship logs. They get
neither header nor checkpoint.`,
		Example: `  keyturn audit export --out audit.jsonl
  keyturn audit export --since 30d --out last-month.jsonl
  keyturn audit export | gzip >audit.jsonl.gz`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.complete(c, time.Now()); err != nil {
				return err
			}
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error { return export(ctx, c, s, o) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "", "write to `FILE`, for its owner only (0600); - is standard output")
	f.Int64Var(&o.op.From, "from", 0, "begin at record `N`")
	f.StringVar(&o.since, "since", "", "begin at `TIME`: 24h, 2026-01-31 (here), or 2026-01-31T12:00:00Z")
	f.BoolVar(&o.op.Follow, "follow", false, "go on with records as they are written, until interrupted")
	return cmd
}

func (o *exportOptions) complete(c *command, now time.Time) (err error) {
	if o.out == "-" {
		o.out = ""
	}
	if o.op.From < 0 {
		return keyturn.E(keyturn.Invalid, "--from takes a number from 1", "leave it out for all records")
	}
	if o.op.Follow && o.out != "" {
		return keyturn.E(keyturn.Invalid, "--follow writes to standard output", "leave --out out; the operator's configuration can forward to a file: see docs/audit.md")
	}
	if c.JSON() && o.out == "" {
		return keyturn.E(keyturn.Invalid, "with -o json standard output holds one document, and not the log", "say where the log goes: --out FILE")
	}
	o.op.Since, err = parse.Moment(o.since, now, false)
	return err
}

func export(ctx context.Context, c *command, s *session.Session, o exportOptions) error {
	if o.out != "" {
		if err := mayWrite(ctx, c, o.out); err != nil {
			return err
		}
	}
	res, err := session.Ask[*keyturn.Exported](ctx, s, o.op)
	if err != nil {
		return err
	}
	if o.out == "" {
		if o.op.Follow {
			_, err := writeLines(c.Output(), res.Lines)
			return err
		}
		w := bufio.NewWriterSize(c.Output(), 64<<10)
		if _, err := writeLines(w, res.Lines); err != nil {
			return err
		}
		return w.Flush()
	}
	lines := int64(0)
	err = writeFile(c.Abs(o.out), o.out, func(w io.Writer) (err error) {
		lines, err = writeLines(w, res.Lines)
		return err
	})
	if err != nil {
		return err
	}
	records := lines - 2 // beside header and checkpoint
	if c.JSON() {
		doc, err := answer.Of(o.op, res, answer.About{Verbose: c.Verbose()})
		if err != nil {
			return err
		}
		doc.Count, doc.Artifacts = &records, []string{c.Abs(o.out)}
		return c.Print(doc)
	}
	return c.Line("wrote %s with %s and a checkpoint, for its owner only", keyturn.Clean(o.out), count(records, "record"))
}

func writeLines(w io.Writer, lines iter.Seq2[[]byte, error]) (n int64, err error) {
	for line, err := range lines {
		if err != nil {
			return n, err
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// writeFile makes or replaces the file with what fill writes, as a whole or not at all.
// shown is how the person wrote the path.
func writeFile(path, shown string, fill func(io.Writer) error) error {
	failed := func(err error) error {
		if e := new(keyturn.Error); errors.As(err, &e) {
			return err
		}
		if errors.Is(err, fs.ErrNotExist) {
			return keyturn.E(keyturn.Invalid, "there is no folder for '"+keyturn.Clean(shown)+"'", "make it first").Because(err)
		}
		return keyturn.E(keyturn.Unavailable, "'"+keyturn.Clean(shown)+"' cannot be written", "check that you may write there, and that there is space").Because(err)
	}
	err := durable.Replace(path, func(f *os.File) error {
		w := bufio.NewWriterSize(f, 64<<10)
		if err := fill(w); err != nil {
			return err
		}
		return w.Flush()
	})
	if err != nil {
		return failed(err)
	}
	return nil
}

func auditCheckpointCommand(c *command) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "checkpoint",
		Short: "Sign what the log is now, to be kept elsewhere",
		Long: `Print a signed checkpoint: how many records the log has, the root of their tree,
and the generation of the store's state, as of now. Keep it where nobody of this
machine can write: in a ticket, a repository, a mail to yourself. Later it shows,
with 'keyturn audit verify --checkpoint', that up to it nothing was changed, and
that the store is not an older copy.

It is a C2SP tlog-checkpoint in a signed note, so that witnesses can cosign it; no
name and no value is in it. -o json tells the key that verifies it, too.`,
		Example: `  keyturn audit checkpoint
  keyturn audit checkpoint --out checkpoint.txt
  keyturn audit checkpoint -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "-" {
				out = ""
			}
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error { return checkpoint(ctx, c, s, out) })
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "write to `FILE`; - is standard output")
	return cmd
}

func checkpoint(ctx context.Context, c *command, s *session.Session, out string) error {
	if out != "" {
		if err := mayWrite(ctx, c, out); err != nil {
			return err
		}
	}
	res, err := session.Ask[*keyturn.Checkpointed](ctx, s, keyturn.MakeCheckpoint{})
	if err != nil {
		return err
	}
	doc, err := answer.Of(keyturn.MakeCheckpoint{}, res, answer.About{Verbose: c.Verbose()})
	if err != nil {
		return err
	}
	if out != "" {
		err := writeFile(c.Abs(out), out, func(w io.Writer) error {
			_, err := io.WriteString(w, res.Signed)
			return err
		})
		if err != nil {
			return err
		}
		doc.Artifacts = []string{c.Abs(out)}
	}
	switch {
	case c.JSON():
		return c.Print(doc)
	case out != "":
		return c.Line("wrote %s: %s, state %d; keep it where nobody of this machine can write", keyturn.Clean(out), count(res.Size, "record"), res.Generation)
	}
	return c.Write([]byte(res.Signed))
}

type pruneOptions struct {
	older string
	op    keyturn.PruneLog
}

func auditPruneCommand(c *command) *cobra.Command {
	var o pruneOptions
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Drop the content of old records, and keep their hashes",
		Long: `Drop the content of records that are older than --older-than, for ever. Their
hashes stay: the tree, and every checkpoint made before, verify as they did. Who
did what, and when, is gone; export it first if it must be kept. The whole log is
checked before, and nothing is dropped where it is not whole. Records of the last
30 days stay in any case, and so does what the log tells of restored backups.

It asks on a terminal, needs --yes elsewhere, is recorded, and is for people only.`,
		Example: `  keyturn audit prune --older-than 400d --yes`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.older == "" {
				return keyturn.E(keyturn.Invalid, "it is not said how old records must be", "for instance: keyturn audit prune --older-than 400d")
			}
			age, err := parse.Age(o.older)
			if err != nil {
				return err
			}
			if age < keyturn.MinRetention {
				return keyturn.E(keyturn.Invalid, "records of the last 30 days are never dropped", "say --older-than 30d or more")
			}
			o.op.Before = time.Now().Add(-age).UTC().Truncate(time.Microsecond)
			if !c.Yes && (c.JSON() || !c.Possible()) {
				return keyturn.E(keyturn.Invalid, "this drops the content of all records before "+describe.When(o.op.Before)+" for ever, and there is nobody to ask",
					"say it: keyturn audit prune --older-than "+keyturn.Quote(keyturn.Clean(o.older))+" --yes\nto keep them elsewhere: keyturn audit export --out audit.jsonl")
			}
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error { return prune(ctx, c, s, o) })
		},
	}
	cmd.Flags().StringVar(&o.older, "older-than", "", "the age (`DUR`) of what is dropped: 400d")
	return cmd
}

func prune(ctx context.Context, c *command, s *session.Session, o pruneOptions) error {
	if !c.Yes {
		yes, err := c.Confirm(ctx, "Drop the content of all records before "+describe.When(o.op.Before)+", for ever?")
		if err != nil {
			return err
		}
		if !yes {
			return session.SaidNo()
		}
	}
	res, err := session.Ask[*keyturn.Pruned](ctx, s, o.op)
	if err != nil {
		return err
	}
	if c.JSON() {
		return term.Done("pruned", c.Answer(o.op, res))
	}
	return term.Done("pruned", c.Line("pruned %s: their hashes are kept", count(res.Records, "record")))
}

func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return number(n) + " " + what + "s"
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
