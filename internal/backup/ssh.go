package backup

import (
	"bytes"
	"errors"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"

	"github.com/keyturn/keyturn"
)

func sshRecipient(key string) (age.Recipient, error) { return agessh.ParseRecipient(key) }

func sshIdentity(text []byte, ask func() (keyturn.Value, error)) (age.Identity, error) {
	id, err := agessh.ParseIdentity(text)
	if err == nil {
		return id, nil
	}
	var locked *ssh.PassphraseMissingError
	if !errors.As(err, &locked) || locked.PublicKey == nil {
		return nil, noIdentity(err)
	}
	var asked error
	id, err = agessh.NewEncryptedSSHIdentity(locked.PublicKey, text, func() ([]byte, error) {
		pass, err := ask()
		if err != nil {
			asked = err
			return nil, err
		}
		return bytes.Clone(pass.Reveal()), nil
	})
	if err != nil {
		return nil, noIdentity(err)
	}
	return asking{id, &asked}, nil
}

// asking is an identity that asks for a passphrase when it is used. An error of
// that is told as it is.
type asking struct {
	age.Identity
	err *error
}

func (a asking) Unwrap(s []*age.Stanza) ([]byte, error) {
	key, err := a.Identity.Unwrap(s)
	switch {
	case err == nil || errors.Is(err, age.ErrIncorrectIdentity):
		return key, err
	case *a.err != nil:
		return nil, *a.err
	}
	e := keyturn.E(keyturn.Denied, "the identity's own passphrase is wrong, or the key is damaged", "nothing was restored; try again").Because(err)
	e.By = "person"
	return nil, e
}
