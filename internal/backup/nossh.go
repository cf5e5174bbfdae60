//go:build !agessh

package backup

import (
	"errors"

	"filippo.io/age"

	"github.com/keyturn/keyturn"
)

var errSSH = errors.New("built without agessh")

func sshRecipient(string) (age.Recipient, error) { return nil, errSSH }

func sshIdentity([]byte, func() (keyturn.Value, error)) (age.Identity, error) {
	return nil, noIdentity(errSSH)
}
