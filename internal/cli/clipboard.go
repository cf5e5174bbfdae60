package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/launch/clipboard"
	"github.com/keyturn/keyturn/internal/session"
)

const maxCopied = time.Hour // longest that a value may stay on the clipboard

// copyField puts one field on the clipboard and takes it off again: after the time
// that --copy says, or as soon as the person interrupts. The store is closed while
// it waits.
func copyField(c *command, cmd *cobra.Command, o getOptions) error {
	stay, err := time.ParseDuration(o.copy)
	if err != nil || stay < time.Second || stay > maxCopied {
		return keyturn.E(keyturn.Invalid, "--copy takes a duration from 1s to 1h", "--copy alone means 30s; write --copy=1m for a minute")
	}
	var clip *clipboard.Clipboard
	var text []byte
	defer func() { clear(text) }()
	var name string
	op := keyturn.RevealSecret{Ref: o.ref, Clipboard: true}
	var revealed *keyturn.Revealed
	err = c.Do(cmd, func(ctx context.Context, s *session.Session) error {
		if s.Actor.Kind == keyturn.Person { // to others the door says no, and records it
			if clip, err = findClipboard(c, o.ref); err != nil {
				return err
			}
		}
		if revealed, err = session.Ask[*keyturn.Revealed](ctx, s, op); err != nil {
			return err
		}
		field, err := oneField(o.ref, revealed.Secret.Values, "--copy", "")
		if err != nil {
			return err
		}
		full, err := o.ref.WithField(field)
		if err != nil {
			return err
		}
		name, text = keyturn.Clean(full.Short()), revealed.Secret.Values[field].Reveal()
		return nil
	})
	if err != nil {
		return err
	}
	err = onClipboard(cmd.Context(), c, clip, name, text, stay)
	if err == nil && c.JSON() {
		doc, err := answer.Of(op, revealed, answer.About{})
		if err != nil {
			return err
		}
		doc.Notices = []string{"the value was on the clipboard, and was taken off"}
		return c.Print(doc)
	}
	return err
}

// findClipboard is the clipboard of whoever sits at the terminal.
func findClipboard(c *command, ref keyturn.Ref) (*clipboard.Clipboard, error) {
	if !c.Possible() {
		e := keyturn.E(keyturn.Denied, "there is no terminal: a clipboard is for a person", "let a program use it without seeing it: keyturn run --env NAME="+keyturn.Quote(ref.Short())+" -- COMMAND")
		e.By = "person"
		return nil, e.About(ref)
	}
	environ := slices.DeleteFunc(slices.Clone(c.Environ), func(v string) bool { return strings.HasPrefix(v, "KEYTURN_PASSPHRASE_FILE=") })
	return clipboard.Find(runtime.GOOS, environ, c.Err)
}

// onClipboard has text on the clipboard for so long. It is taken off whatever ends
// the wait: time, an interrupt, or the end of the terminal.
func onClipboard(ctx context.Context, c *command, clip *clipboard.Clipboard, name string, text []byte, stay time.Duration) error {
	gone := make(chan os.Signal, 1)
	if !signal.Ignored(syscall.SIGHUP) { // under nohup it stays ignored
		signal.Notify(gone, syscall.SIGHUP)
		defer signal.Stop(gone)
	}
	if !clip.Sure() { // told before: what reads along has it then
		c.Say("there is no tool for the clipboard here: the value goes to this terminal, and to all that reads or records what it is sent")
	}
	if err := clip.Copy(ctx, text); err != nil {
		_, _ = clip.Clear(context.WithoutCancel(ctx), text) // it may have come half way
		return err
	}
	said := name + " is on the clipboard (" + clip.Name + ")"
	if !clip.Sure() {
		said = name + " was sent to the terminal for its clipboard (not every terminal takes it)"
	}
	still := c.Env("TERM") != "dumb"
	end, tick := time.Now().Add(stay), time.NewTicker(time.Second)
	defer tick.Stop()
	show := func(left time.Duration) {
		fmt.Fprintf(c.Err, "%s; off in %d s, or now with Ctrl-C ", said, int(left.Round(time.Second)/time.Second))
	}
	show(stay)
	over := time.NewTimer(stay)
	defer over.Stop()
	interrupted := false
wait:
	for {
		select {
		case <-over.C:
			break wait
		case <-gone:
			interrupted = true
			break wait
		case <-ctx.Done():
			interrupted = true
			break wait
		case <-tick.C:
			if still {
				fmt.Fprint(c.Err, "\r\x1b[K")
				show(max(0, time.Until(end)))
			}
		}
	}
	kept, err := clip.Clear(context.WithoutCancel(ctx), text)
	fmt.Fprintln(c.Err)
	switch {
	case err != nil:
		e := *keyturn.AsError(err)
		e.Message = "the value is still on the clipboard: " + e.Message
		e.Hint = "copy something else"
		return &e
	case kept:
		c.Say("the clipboard holds something else by now; it stays")
	default:
		c.Say("the clipboard is empty again")
	}
	if interrupted {
		return exitStatus(130)
	}
	return nil
}
