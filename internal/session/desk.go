package session

import (
	"context"

	"github.com/keyturn/keyturn"
)

// Desk is the person beside a program: a terminal, or a page.
type Desk interface {
	// Possible reports whether there is a person to ask. Without one Confirm and
	// Secret are not called.
	Possible() bool
	// Say tells the person something beside the answer. The text is clean already.
	Say(format string, args ...any)
	// Confirm asks a question that takes yes or no. An error means that the person
	// went away.
	Confirm(ctx context.Context, question string) (bool, error)
	// Secret asks for a text that nobody else sees.
	Secret(ctx context.Context, question string) (keyturn.Value, error)
}

// Nobody is the Desk of a program that nobody sits at.
type Nobody struct{}

// Possible reports false.
func (Nobody) Possible() bool { return false }

// Say drops what is said.
func (Nobody) Say(string, ...any) {}

// Confirm answers no.
func (Nobody) Confirm(context.Context, string) (bool, error) { return false, nil }

// Secret returns Denied.
func (Nobody) Secret(_ context.Context, question string) (keyturn.Value, error) {
	return keyturn.Value{}, NoTerminal("to ask for " + question)
}

// Pager is a Desk that shows long texts in pages.
type Pager interface {
	// Pages shows all lines, which are clean, and returns once the person has seen the
	// last page. An error means that the person went away.
	Pages(ctx context.Context, lines []string) error
}

// Show shows the person at a desk all of these lines before a question about them. An
// error means that the person went away: then nothing is asked.
func Show(ctx context.Context, d Desk, lines []string) error {
	if p, ok := d.(Pager); ok && d.Possible() {
		return p.Pages(ctx, lines)
	}
	for _, l := range lines {
		d.Say("%s", l)
	}
	return nil
}

// NoTerminal is the error of a question that nobody can be asked; why is "for a
// passphrase …".
func NoTerminal(why string) error {
	e := keyturn.E(keyturn.Denied, "there is no terminal to ask at, "+keyturn.Clean(why), "a person has to do this in a terminal")
	e.By = "person"
	return e
}

// SaidNo is the error of a question that a person answered with no.
func SaidNo() error {
	e := keyturn.E(keyturn.Denied, "you said no; nothing was done", "")
	e.By = "person"
	return e
}

// CanAsk reports whether a person can be asked whether to go on.
func (s *Session) CanAsk() bool { return !s.How.Quiet && s.How.Desk.Possible() }

// Prover asks for the passphrase that proves a person's yes. It is the Prover of
// package broker.
type Prover struct{ Desk }

// Passphrase asks for the caller's passphrase; where fresh is set, for a new one,
// twice. about is what it is for: "to approve 3k…".
func (p Prover) Passphrase(ctx context.Context, about string, fresh bool) (keyturn.Value, error) {
	if !p.Possible() {
		return keyturn.Value{}, NoTerminal("for a passphrase " + about)
	}
	if !fresh {
		return p.Secret(ctx, "Your keyturn passphrase, "+about)
	}
	p.Say("You have no keyturn passphrase yet. It proves that it is you, and not a program of")
	p.Say("yours, who says yes. It cannot be read back: remember it.")
	return Twice(ctx, p.Desk, "A new passphrase, "+about)
}

// StorePassphrase asks for the passphrase of the local store; where fresh is set, for
// a new one, twice. A try after the first says that the last one was wrong. once says
// how to be asked only once, and is told at the first try.
func StorePassphrase(ctx context.Context, d Desk, fresh bool, try int, once string) (keyturn.Value, error) {
	if fresh {
		d.Say("The passphrase opens the local store. It cannot be read back, and without it there")
		d.Say("is no way into the store but a backup: keep it.")
		return Twice(ctx, d, "A new passphrase of the local store")
	}
	if try > 1 {
		d.Say("that is not the passphrase")
	} else if once != "" {
		d.Say("the local store is locked  (%s)", once)
	}
	return d.Secret(ctx, "Passphrase of the local store")
}

// Twice asks for a new secret twice. It returns Invalid where the answers differ.
func Twice(ctx context.Context, d Desk, question string) (keyturn.Value, error) {
	first, err := d.Secret(ctx, question)
	if err != nil {
		return keyturn.Value{}, err
	}
	again, err := d.Secret(ctx, "The same once more")
	if err != nil {
		return keyturn.Value{}, err
	}
	if !first.Equal(again) {
		return keyturn.Value{}, keyturn.E(keyturn.Invalid, "the two passphrases are not the same", "nothing was done; try again")
	}
	return first, nil
}
