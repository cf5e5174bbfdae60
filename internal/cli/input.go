package cli

import (
	"bytes"
	"context"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/session"
)

// waiting returns a context for as long as an input is waited for: until a signal, or as
// long as --timeout allows.
func (c *command) waiting() (context.Context, context.CancelFunc) {
	if c.Timeout > 0 {
		return context.WithTimeout(c.ctx, c.Timeout)
	}
	return context.WithCancel(c.ctx)
}

// Input reads a file, or standard input for "-". It waits for a pipe until a signal comes,
// or as long as --timeout allows.
func (c *command) Input(path string) ([]byte, error) {
	ctx, cancel := c.waiting()
	defer cancel()
	if path == "-" {
		return session.ReadInput(ctx, c.In, "standard input")
	}
	return session.ReadFile(ctx, c.Dir, path)
}

const maxPiped = 64 << 10 // bytes of a token or password

// Piped reads a secret from standard input; newlines at its end are not part of it.
func (c *command) Piped() (keyturn.Value, error) {
	b, err := c.Input("-")
	if err != nil {
		return keyturn.Value{}, err
	}
	defer clear(b)
	b = bytes.TrimRight(b, "\r\n")
	if len(b) == 0 || len(b) > maxPiped {
		return keyturn.Value{}, keyturn.E(keyturn.Invalid, "standard input holds nothing secret, or far too much", "pipe in the token, password or key share alone")
	}
	return keyturn.NewValue(b), nil
}

// Abs is a path seen from the folder that the program was started in.
func (c *command) Abs(path string) string {
	return session.Abs(c.Dir, path)
}
