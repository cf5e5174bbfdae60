// Package rootkey keeps the root key of a store: 32 random bytes without which
// nothing in the store can be read. It lies in a file of its own beside the store,
// in the keychain of the operating system, or in a file that only a passphrase
// opens.
//
// Each protects a copy of the database that has gone astray. A keychain and a
// passphrase also protect a stolen disk; none protects against programs that the
// same user runs while the key can be had.
package rootkey

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"time"

	"github.com/keyturn/keyturn"
)

// The kinds of places where a root key can be.
const (
	File       = "file"       // in keyturn's folder
	Keychain   = "keychain"   // of the operating system
	Passphrase = "passphrase" // sealed, in keyturn's folder
)

// Size is the length of a root key in bytes.
const Size = 32

// Kinds lists the kinds of places, the simplest first.
func Kinds() []string { return []string{File, Keychain, Passphrase} }

// Ask gets a passphrase from whoever can give it: fresh is a new one, which a
// person types twice; try counts from 1, and a higher one tells that the answer
// before was wrong. It must not be called for an agent.
type Ask func(ctx context.Context, fresh bool, try int) (keyturn.Value, error)

// Keeper keeps the root keys of one store. A store has one, and a second one while
// it is replaced: each has a place of its own, which the store names.
type Keeper struct {
	Dir   string // keyturn's folder
	Store string // the store's id
	// Ask is for the passphrase; nil where there is nobody to ask, and then what
	// needs one is Sealed.
	Ask Ask
	// Tries is how often a wrong passphrase may be followed by another; once where
	// it is zero.
	Tries int
	// Anew leaves aside what Unlock kept: the passphrase is asked for.
	Anew bool
	Now  func() time.Time // time.Now where nil
}

// New makes the root key of a new store, keeps it, durably, and returns it with
// its place: a file's name in Dir, or service and account in the keychain.
//
// A key file that is there already, without a store beside it, is what an init
// left that was cut short: its key is taken up and returned. With a store beside
// it, New is a Conflict. Where the keychain cannot be used, it is Unavailable and
// says what is missing; where no passphrase is given, the error is that of Ask.
func (k Keeper) New(ctx context.Context, kind string) (key []byte, place string, err error) {
	switch kind {
	case File:
		key, err = newFile(k.Dir)
		return key, FileName, err
	case Keychain:
		key, err = newInKeychain(k.Store)
		return key, Service + "/" + k.Store, err
	}
	if place, err = k.Place(kind); err != nil {
		return nil, "", err
	}
	key, err = k.Make(ctx, kind, place)
	return key, place, err
}

// Place draws a place where no root key is kept yet. Nothing is made.
func (k Keeper) Place(kind string) (string, error) {
	tag := make([]byte, 4)
	_, _ = rand.Read(tag)
	id := hex.EncodeToString(tag)
	switch kind {
	case File:
		return "root-" + id + ".key", nil
	case Passphrase:
		return "passphrase-" + id + ".key", nil
	case Keychain:
		return Service + "/" + k.Store + "-" + id, nil
	}
	return "", unknown(kind)
}

// Make draws a root key and keeps it at a place, durably. Its errors are those of
// New; Conflict where something is kept there already.
func (k Keeper) Make(ctx context.Context, kind, place string) ([]byte, error) {
	if err := k.check(kind, place); err != nil {
		return nil, err
	}
	switch kind {
	case File:
		key := generate()
		if err := makeFile(k.Dir, place, Text(key)); err != nil {
			return nil, err
		}
		return key, nil
	case Passphrase:
		return k.seal(ctx, place)
	}
	return makeInKeychain(account(place))
}

// Load returns the root key that is kept at a place. It is Sealed where there is
// none or nobody gives the passphrase, Denied where the passphrase is wrong,
// Corrupt where it is not a root key, Invalid where others than its owner may use
// the file, and Unavailable where it cannot be read, or nobody unlocks the
// keychain.
func (k Keeper) Load(ctx context.Context, kind, place string) ([]byte, error) {
	if err := k.check(kind, place); err != nil {
		return nil, err
	}
	switch kind {
	case File:
		return loadFile(k.Dir, place)
	case Passphrase:
		return k.open(ctx, place)
	}
	return loadFromKeychain(account(place), k.Store)
}

// Remove forgets the root key at a place, which no store needs any more. It is no
// error if there is none.
func (k Keeper) Remove(kind, place string) error {
	if err := k.check(kind, place); err != nil {
		return err
	}
	if kind == Keychain {
		return deleteFromKeychain(account(place))
	}
	return removeFile(k.Dir, place)
}

// Discard takes back what New made, where no store was made after all. The file of
// a fixed name is kept beside a store, and Discard a Conflict: the store of another
// init needs it.
func (k Keeper) Discard(kind, place string) error {
	if kind == File && place == FileName {
		return discardFile(k.Dir)
	}
	return k.Remove(kind, place)
}

// check refuses a place that is not one of ours: it stands in the store, where it
// can be read and changed without the root key.
func (k Keeper) check(kind, place string) error {
	ok := false
	switch kind {
	case File:
		ok = place == FileName || tagged(place, "root-", ".key")
	case Passphrase:
		ok = tagged(place, "passphrase-", ".key")
	case Keychain:
		ok = place == Service+"/"+k.Store || tagged(place, Service+"/"+k.Store+"-", "")
	default:
		return keyturn.E(keyturn.Corrupt, "the store says that its root key is of the kind '"+keyturn.Clean(kind)+"', which keyturn does not know",
			"the store was changed from outside: restore it from a backup with 'keyturn store restore'")
	}
	if !ok {
		return keyturn.E(keyturn.Corrupt, "the store says that its root key is at '"+keyturn.Clean(place)+"', where keyturn keeps none", "the store was changed from outside: restore it from a backup with 'keyturn store restore'")
	}
	return nil
}

func (k Keeper) now() time.Time {
	if k.Now == nil {
		return time.Now()
	}
	return k.Now()
}

// tagged reports whether s is eight hexadecimal digits between two texts.
func tagged(s, before, after string) bool {
	if len(s) != len(before)+8+len(after) || s[:len(before)] != before || s[len(before)+8:] != after {
		return false
	}
	_, err := hex.DecodeString(s[len(before) : len(before)+8])
	return err == nil
}

func unknown(kind string) error {
	return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(kind)+"' is not a kind of root key", "the kinds are file, keychain and passphrase")
}

func generate() []byte {
	key := make([]byte, Size)
	_, _ = rand.Read(key) // never fails
	return key
}

func encode(key []byte) string { return base64.StdEncoding.EncodeToString(key) }

func decode(s string) ([]byte, bool) {
	key, err := base64.StdEncoding.Strict().DecodeString(s)
	return key, err == nil && len(key) == Size && encode(key) == s
}
