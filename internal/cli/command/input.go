package command

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/keyturn/keyturn"
)

const maxInput = 4 << 20 // bytes of a file or pipe that values are read from

// Input reads a file, or standard input for "-".
func (c *Command) Input(path string) ([]byte, error) {
	if path == "-" {
		return readLimited(c.In, "standard input", maxInput)
	}
	return ReadFile(path)
}

// ReadFile reads a file that a person named, if it is not too large.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(path)+"' cannot be read", "check that it exists and that you may read it").Because(err)
	}
	defer f.Close()
	return readLimited(f, path, maxInput)
}

// readLimited reads all of r, up to limit bytes; more is Invalid.
func readLimited(r io.Reader, what string, limit int) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, keyturn.E(keyturn.Invalid, keyturn.Clean(what)+" cannot be read", "check what it leads to").Because(err)
	}
	if len(b) > limit {
		return nil, keyturn.E(keyturn.Invalid, fmt.Sprintf("%s is larger than %d MiB", keyturn.Clean(what), limit>>20), "a value may have 1 MiB, what holds several values 4 MiB")
	}
	return b, nil
}

const maxPiped = 64 << 10 // bytes of a token or password

// Piped reads a secret from standard input; newlines at its end are not part of it.
func (c *Command) Piped() (keyturn.Value, error) {
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
func (c *Command) Abs(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(c.Dir, path)
}
