package session

import (
	"fmt"
	"io"
	"os"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
)

// MayWrite refuses a file in keyturn's own folder, where the store and its keys are,
// with Invalid. A door asks it of each file that its caller names, before anything is
// done. path is absolute.
func (f Facts) MayWrite(path string) error {
	if durable.Within(path, f.Home) {
		return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(path)+"' is in keyturn's own folder, with the store", "name a file elsewhere")
	}
	return nil
}

// MaxInput is how many bytes of a file, a pipe or a line are read.
const MaxInput = 4 << 20

// ReadFile reads a file that a caller names. It returns Invalid where the file cannot be
// read or is too large.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(path)+"' cannot be read", "check that it exists and that you may read it").Because(err)
	}
	defer f.Close()
	return ReadInput(f, path)
}

// ReadInput is ReadFile of what is open already; what is its name in errors.
func ReadInput(r io.Reader, what string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxInput+1))
	if err != nil {
		return nil, keyturn.E(keyturn.Invalid, keyturn.Clean(what)+" cannot be read", "check what it leads to").Because(err)
	}
	if len(b) > MaxInput {
		return nil, keyturn.E(keyturn.Invalid, fmt.Sprintf("%s is larger than %d MiB", keyturn.Clean(what), MaxInput>>20), "a value may have 1 MiB, what holds several values 4 MiB")
	}
	return b, nil
}
