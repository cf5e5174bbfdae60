package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/audit/verify"
	"github.com/keyturn/keyturn/internal/durable"
	"github.com/keyturn/keyturn/internal/session"
)

type verifyOptions struct {
	file       string // "" is the store's own log
	checkpoint string // a file
	key        string
	held       []byte // what the checkpoint's file holds
	parts      *keyturn.SignedCheckpoint
}

func auditVerifyCommand(c *command) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify [FILE]",
		Short: "Check that the log was not changed from outside",
		Long: `Check every record of the log, its place in the tree, that the log ends where the
store says it does, and that secrets and approvals are all there. Damage ends with
exit status 12 and names the first record that is not right.

With FILE check an exported log, by itself: no store, no configuration and no key
of yours is needed. FILE can be - for standard input.

Whoever holds the store's keys can write another whole log. Only a checkpoint that
is kept elsewhere shows that this one is complete; without one the answer is
"consistent, not complete". With one the log is complete and unchanged up to the
checkpoint, and records behind it are consistent only. For the store's own log the
state beside it is held against the checkpoint too: an old copy is found.

--key says which log an exported file must be of; 'keyturn audit checkpoint -o json'
tells the key of yours.`,
		Example: `  keyturn audit verify
  keyturn audit verify --checkpoint checkpoint.txt
  keyturn audit verify audit.jsonl --checkpoint checkpoint.txt`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.checkpoint != "" {
				if o.held, err = c.Input(o.checkpoint); err != nil {
					return err
				}
				if len(o.held) == 0 || len(o.held) > verify.MaxCheckpoint {
					return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(o.checkpoint)+"' is not a checkpoint", "'keyturn audit checkpoint' makes one")
				}
			}
			if len(args) == 1 {
				o.file = args[0]
				return verifyFile(c, o)
			}
			if o.key != "" {
				return keyturn.E(keyturn.Invalid, "--key is for an exported file; the store knows its own key", "name the file, or leave --key out")
			}
			if o.held != nil {
				// Only what a checkpoint says goes into the record, whatever the file is.
				parts, err := verify.Parts(o.held)
				if err != nil {
					return err
				}
				o.parts = &parts
			}
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error { return verifyLog(ctx, c, s, o) })
		},
	}
	cmd.Flags().StringVar(&o.checkpoint, "checkpoint", "", "hold the log against the checkpoint in `FILE`, that you kept elsewhere")
	cmd.Flags().StringVar(&o.key, "key", "", "the verifier key (`VKEY`) of the log that FILE must be of")
	return cmd
}

func verifyLog(ctx context.Context, c *command, s *session.Session, o verifyOptions) error {
	op := keyturn.VerifyLog{Checkpoint: o.parts}
	res, err := session.Ask[*keyturn.Verified](ctx, s, op)
	if err != nil {
		return err
	}
	doc, err := answer.Of(op, res, answer.About{Verbose: c.Verbose()})
	if err != nil {
		return err
	}
	return sound(c, doc)
}

// verifyFile needs nothing but the file: no store is opened and nothing is recorded.
func verifyFile(c *command, o verifyOptions) error {
	if o.file == "-" && o.checkpoint == "-" {
		return keyturn.E(keyturn.Invalid, "standard input cannot be the log and the checkpoint at once", "put one of them into a file")
	}
	ctx, cancel := c.waiting()
	defer cancel()
	in := durable.Until(ctx, c.In)
	if o.file != "-" {
		f, err := durable.OpenInput(ctx, c.Abs(o.file))
		if err != nil {
			return session.Unread(ctx, "'"+keyturn.Clean(o.file)+"'", err)
		}
		defer f.Close()
		in = f
	}
	r, err := verify.File(in, verify.Held{Checkpoint: o.held, Key: strings.TrimSpace(o.key)})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	return sound(c, answer.VerifiedFile(r))
}

// sound tells what was found of a log that is whole as far as it can be seen.
func sound(c *command, answer answer.Document) error {
	if c.JSON() {
		return c.Print(answer)
	}
	doc := answer.Log
	what := count(doc.Size, "record")
	if doc.First > 0 {
		what = count(doc.Size-doc.First+1, "record") + " from " + number(doc.First) + " on"
	}
	if err := c.Line("%s, consistent; head %s", what, doc.Head); err != nil {
		return err
	}
	if doc.Pruned > 0 {
		if err := c.Line("%s of them pruned: their hashes are whole, their content is gone", number(doc.Pruned)); err != nil {
			return err
		}
	}
	for _, d := range doc.Restored {
		if err := c.Line("%s", restoredLine(d)); err != nil {
			return err
		}
	}
	if doc.Key != "" {
		if err := c.Line("by the key %s", keyturn.Clean(doc.Key)); err != nil {
			return err
		}
	}
	return c.Line("%s", verdict(*doc))
}

// verdict is how far the log is what the verifier's checkpoint says. It is called
// complete only where every record was seen with its content.
func verdict(doc answer.Log) string {
	k := doc.Checkpoint
	if k == nil {
		return "consistent, not complete: no checkpoint was given"
	}
	line := fmt.Sprintf("complete and unchanged up to record %d", k.Size)
	switch first := max(doc.First, 1); {
	case first > k.Size && doc.First > 0:
		line = fmt.Sprintf("begins where it should, behind record %d, but holds no record up to there: nothing of it is shown to be complete", k.Size)
	case doc.CompleteTo == 0 && k.Size > 0:
		line = fmt.Sprintf("records %d to %d unchanged", first, k.Size)
		if first > 1 {
			line += fmt.Sprintf(", without records 1 to %d, which are not in this file", first-1)
		}
		if doc.Pruned > 0 {
			line += fmt.Sprintf(", not complete: the contents of %s are gone", number(doc.Pruned))
		}
	}
	line += ", by your checkpoint of " + k.Time
	if after := doc.Size - max(k.Size, doc.First-1); after > 0 {
		line += "; " + count(after, "record") + " after it consistent only"
	}
	return line
}

// restoredLine tells a person of a restored backup, and which records of an earlier log are
// not in this one.
func restoredLine(d answer.Restored) string {
	line := fmt.Sprintf("record %d: restored from a backup of %s", d.Record, d.Made) + instead(d)
	for _, e := range d.Earlier {
		line += fmt.Sprintf("\n  the log that it replaced told of another: record %d, restored from a backup of %s", e.Record, e.Made) + instead(e)
	}
	return line
}

// instead says in whose place a backup was put.
func instead(d answer.Restored) string {
	line := ""
	switch {
	case d.Unread:
		line += ", over a store that could not be read: what its log held is not known"
	case d.Replaced == nil:
	case d.Lost > 0:
		line += fmt.Sprintf(", over a newer log: its records %d to %d are not in this one (head %s)", d.Backup.Size+1, d.Replaced.Size, keyturn.Clean(d.Replaced.Root))
	default:
		line += ", over a log of " + count(d.Replaced.Size, "record")
	}
	return line
}
