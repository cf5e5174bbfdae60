package rootkey

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
)

// MinPassphrase is the fewest characters that a passphrase may have.
const MinPassphrase = 8

const (
	sealedHeader = "keyturn sealed root key v1\n"
	maxWords     = 64 << 10 // bytes of a file that holds a passphrase
)

// Parameters of Argon2id for new files: RFC 9106, section 4, second recommended
// option: 64 MiB, three passes, four lanes. They stand in the file, so that later
// ones can be stronger.
var stretching = params{Time: 3, Memory: 64 << 10, Lanes: 4}

// Bounds of what a file may ask for: whoever can write it could otherwise have
// keyturn take all memory or never end. Their product is some 16 seconds' work.
const (
	minMemory, maxMemory = 8 << 10, 1 << 20 // KiB
	maxTime, maxLanes    = 16, 16
	maxWork              = 4 << 20 // passes × KiB
)

type params struct {
	Time   uint32 `json:"passes"`
	Memory uint32 `json:"memory_kib"`
	Lanes  uint8  `json:"lanes"`
}

// sealedKey is what a sealed root key's file holds, below its header. All but Key
// and Sum is bound to Key as associated data.
type sealedKey struct {
	Store string `json:"store"`
	KDF   string `json:"kdf"`
	params
	Salt []byte `json:"salt"`
	Key  []byte `json:"key,omitempty"` // AES-256-GCM, its nonce first
	// Sum tells a damaged file from a wrong passphrase. It says nothing of either.
	Sum []byte `json:"sum,omitempty"` // SHA-256 of the rest
}

func (s sealedKey) bytes() []byte {
	b, _ := json.Marshal(s) // plain members only
	return append([]byte(sealedHeader), b...)
}

func (s sealedKey) place() []byte {
	s.Key, s.Sum = nil, nil
	return s.bytes()
}

func (s sealedKey) sum() []byte {
	s.Sum = nil
	h := sha256.Sum256(s.bytes())
	return h[:]
}

func (s sealedKey) cipher(pass keyturn.Value) cipher.AEAD {
	key := argon2.IDKey(pass.Reveal(), s.Salt, s.Time, s.Memory, s.Lanes, Size)
	block, err := aes.NewCipher(key)
	clear(key)
	if err != nil {
		panic("a key of 32 bytes is one for AES")
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("AES has GCM")
	}
	return aead
}

// seal draws a root key and keeps it under a new passphrase.
func (k Keeper) seal(ctx context.Context, place string) ([]byte, error) {
	if k.Ask == nil {
		return nil, keyturn.E(keyturn.Sealed, "a passphrase for the root key has to be set, and there is nobody to ask",
			"do it at a terminal, or set KEYTURN_PASSPHRASE_FILE to a file that holds it and that only you can read")
	}
	pass, err := k.Ask(ctx, true, 1)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(pass.Reveal()) || utf8.RuneCount(pass.Reveal()) < MinPassphrase {
		return nil, keyturn.E(keyturn.Invalid, fmt.Sprintf("a passphrase is text of at least %d characters", MinPassphrase), "several words are easy to remember; nothing was done")
	}
	s := sealedKey{Store: k.Store, KDF: "argon2id", params: stretching, Salt: make([]byte, 16)}
	_, _ = rand.Read(s.Salt)
	key := generate()
	s.Key = s.cipher(pass).Seal(nil, nil, key, s.place())
	s.Sum = s.sum()
	if err := makeFile(k.Dir, place, string(s.bytes())+"\n"); err != nil {
		clear(key)
		return nil, err
	}
	return key, nil
}

// open returns the root key: what Unlock kept, or what a passphrase opens. A wrong
// one costs its stretching and nothing else: there is no lock-out, and nothing that
// whoever has a copy of the file would not go around.
func (k Keeper) open(ctx context.Context, place string) ([]byte, error) {
	s, err := k.readSealed(place)
	if err != nil {
		return nil, err
	}
	if !k.Anew {
		if key, _ := k.unlocked(place); key != nil {
			return key, nil
		}
	}
	if k.Ask == nil {
		return nil, Locked("the local store is locked")
	}
	for try := 1; ; try++ {
		pass, err := k.Ask(ctx, false, try)
		if err != nil {
			return nil, err
		}
		key, err := s.cipher(pass).Open(nil, nil, s.Key, s.place())
		if err == nil && len(key) == Size {
			return key, nil
		}
		if try >= k.Tries {
			e := keyturn.E(keyturn.Denied, "that is not the passphrase of the local store", "nothing was done, and it can be tried again at any time")
			e.By = "person"
			return nil, e
		}
	}
}

func (k Keeper) readSealed(place string) (sealedKey, error) {
	path := filepath.Join(k.Dir, place)
	text, err := readKey(path)
	if err != nil {
		return sealedKey{}, err
	}
	damaged := func(err error) (sealedKey, error) {
		return sealedKey{}, keyturn.E(keyturn.Corrupt, "'"+keyturn.Clean(path)+"' is damaged or is not a sealed root key", "put your copy of it back, or restore a backup with 'keyturn store restore'").Because(err)
	}
	body, ok := strings.CutPrefix(string(text), sealedHeader)
	if !ok {
		return damaged(nil)
	}
	var s sealedKey
	dec := json.NewDecoder(strings.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return damaged(err)
	}
	if !bytes.Equal(text, append(s.bytes(), '\n')) || !bytes.Equal(s.Sum, s.sum()) {
		return damaged(nil)
	}
	p := s.params
	if s.KDF != "argon2id" || len(s.Salt) != 16 || p.Lanes < 1 || p.Lanes > maxLanes || p.Time < 1 || p.Time > maxTime ||
		p.Memory < minMemory || p.Memory > maxMemory || p.Time*p.Memory > maxWork {
		return sealedKey{}, keyturn.E(keyturn.Corrupt, "'"+keyturn.Clean(path)+"' asks for a stretching of the passphrase that no keyturn asks for", "put your copy of it back, or restore a backup with 'keyturn store restore'")
	}
	if s.Store != k.Store {
		return sealedKey{}, keyturn.E(keyturn.Sealed, "'"+keyturn.Clean(path)+"' is the root key of another store", "the store and its root key belong together: restore both from the same backup")
	}
	return s, nil
}

// Locked is the Sealed error of what needs a passphrase that nobody can be asked
// for.
func Locked(message string) error {
	return keyturn.E(keyturn.Sealed, message, "at a terminal: keyturn store unlock   (asks once, for 8 hours)\nelsewhere: set KEYTURN_PASSPHRASE_FILE to a file that holds the passphrase and that only you can read")
}

// ReadPassphrase reads a passphrase from a file that only its owner may use, or from a
// pipe, of which it waits for the end until ctx ends; one newline at its end is not part of
// it. Invalid where the file is not like that.
func ReadPassphrase(ctx context.Context, path string) (keyturn.Value, error) {
	b, err := private(path, "the passphrase's file", maxWords, func() (input, error) { return durable.OpenInput(ctx, path) })
	if err != nil {
		return keyturn.Value{}, err
	}
	v := keyturn.NewValue(bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r")))
	clear(b)
	if v.Len() == 0 {
		return keyturn.Value{}, keyturn.E(keyturn.Invalid, "the passphrase's file '"+keyturn.Clean(path)+"' is empty", "")
	}
	return v, nil
}
