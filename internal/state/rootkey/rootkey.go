// Package rootkey keeps the root key of a store: 32 random bytes without which
// nothing in the store can be read. It lies in a file of its own beside the store,
// or in the keychain of the operating system.
//
// Either protects a copy of the database that has gone astray. A keychain also
// protects a stolen disk; neither protects against programs that the same user
// runs.
package rootkey

import (
	"crypto/rand"
	"encoding/base64"

	"github.com/keyturn/keyturn"
)

// The kinds of places where a root key can be.
const (
	File     = "file"     // root.key in keyturn's folder
	Keychain = "keychain" // of the operating system
)

// Size is the length of a root key in bytes.
const Size = 32

// Kinds lists the kinds of places, the simplest first.
func Kinds() []string { return []string{File, Keychain} }

// New makes a root key for a new store, keeps it, durably, and returns it with its
// place: the file's name in dir, or service and account in the keychain.
//
// A key file that is there already, without a store beside it, is what an init
// left that was cut short: its key is taken up and returned. With a store beside
// it, New is a Conflict. Where the keychain cannot be used, it is Unavailable and
// says what is missing.
func New(kind, dir, storeID string) (key []byte, place string, err error) {
	switch kind {
	case File:
		return newFile(dir)
	case Keychain:
		return newInKeychain(storeID)
	}
	return nil, "", unknown(kind)
}

// Load returns the root key of a store. It is Sealed where there is none, Corrupt
// where it is not a root key, Invalid where others than its owner may use the file,
// and Unavailable where it cannot be read, or nobody unlocks the keychain.
func Load(kind, dir, storeID string) ([]byte, error) {
	switch kind {
	case File:
		return loadFile(dir)
	case Keychain:
		return loadFromKeychain(storeID)
	}
	return nil, unknown(kind)
}

// Delete takes back what New made, where no store was made after all. A file beside
// a store is kept, and Delete a Conflict: the store of another init needs it. It is
// no error if there is nothing to delete.
func Delete(kind, dir, storeID string) error {
	switch kind {
	case File:
		return deleteFile(dir)
	case Keychain:
		return deleteFromKeychain(storeID)
	}
	return unknown(kind)
}

func unknown(kind string) error {
	return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(kind)+"' is not a kind of root key", "the kinds are file and keychain")
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
