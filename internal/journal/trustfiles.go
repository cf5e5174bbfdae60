package journal

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
)

// pin is what a person accepted in a project's file: its keyturn.yaml, a file of variables
// or a template.
type pin struct {
	Path   string            `json:"path"`
	Pinned []keyturn.Binding `json:"pinned"`
	Steers []keyturn.Setting `json:"steers,omitempty"`
	Kept   []string          `json:"kept,omitempty"` // plain variables that the person was shown
	// Salt and Lines are of the texts of Kept at that time: of each name the keyed digest.
	Salt  []byte            `json:"salt,omitempty"`
	Lines map[string]string `json:"lines,omitempty"`
}

func (p pin) digest(name string, text keyturn.Value) string {
	m := hmac.New(sha256.New, p.Salt)
	m.Write([]byte(name + "\x00"))
	m.Write(text.Reveal())
	return hex.EncodeToString(m.Sum(nil))
}

// File returns what a person has accepted in a file, with the names of its plain variables
// at that time in Kept, and whether anybody has.
func (t Trust) File(ctx context.Context, path string) (f keyturn.AskedFile, known bool, err error) {
	have, err := t.projects.get(ctx, path)
	if errors.Is(err, keyturn.NotFound) {
		return keyturn.AskedFile{}, false, nil
	}
	if err != nil {
		return keyturn.AskedFile{}, false, err
	}
	return keyturn.AskedFile{Path: path, Asks: have.Pinned, Steers: have.Steers, Kept: slices.Sorted(maps.Keys(have.Lines))}, true, nil
}

// PinFile trusts a file with what it asks for, durably, and returns what was accepted
// before, and whether anything was. What was kept of its plain variables goes: see
// KeepLines.
func (t Trust) PinFile(ctx context.Context, f keyturn.AskedFile) (before keyturn.AskedFile, known bool, err error) {
	if before, known, err = t.File(ctx, f.Path); err != nil && !errors.Is(err, keyturn.Corrupt) {
		return keyturn.AskedFile{}, false, err
	}
	return before, known, t.projects.put(ctx, f.Path, pin{Path: f.Path, Pinned: f.Asks, Steers: f.Steers, Kept: f.Kept})
}

// KeepLines remembers the texts of plain variables of a file that is trusted, as salted
// digests, durably. It is Conflict where the file is not trusted with those variables.
func (t Trust) KeepLines(ctx context.Context, path string, lines map[string]keyturn.Value) error {
	salt := make([]byte, 32)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the program instead
	return t.projects.update(ctx, path, func(have *pin) (*pin, time.Time, error) {
		if have == nil {
			return nil, time.Time{}, keyturn.E(keyturn.Conflict, keyturn.Clean(path)+" is not trusted any more", "try again")
		}
		for name := range lines {
			if !slices.Contains(have.Kept, name) {
				return nil, time.Time{}, keyturn.E(keyturn.Conflict, keyturn.Clean(path)+" was trusted without "+keyturn.Clean(name), "try again")
			}
		}
		have.Salt, have.Lines = salt, map[string]string{}
		for name, text := range lines {
			have.Lines[name] = have.digest(name, text)
		}
		return have, time.Time{}, nil
	})
}

// SameLines returns the names, sorted, of those plain variables that are as they were when
// the file was trusted; none where it is not.
func (t Trust) SameLines(ctx context.Context, path string, lines map[string]keyturn.Value) ([]string, error) {
	have, err := t.projects.get(ctx, path)
	if errors.Is(err, keyturn.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var same []string
	for name, text := range lines {
		if d, ok := have.Lines[name]; ok && hmac.Equal([]byte(d), []byte(have.digest(name, text))) {
			same = append(same, name)
		}
	}
	slices.Sort(same)
	return same, nil
}
