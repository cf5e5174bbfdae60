package backup

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/keyturn/keyturn"
)

const (
	intro = "age-encryption.org/v1\n" // of every age file
	// maxWork is how much stretching of a passphrase a file may ask for, as a power
	// of two: 20 takes 1 GiB and some seconds.
	maxWork = 20
	// maxRecipients is far more than anybody has, and little work.
	maxRecipients = 100
)

// Recipients are whoever can open a backup.
type Recipients struct{ list []age.Recipient }

// ParseRecipients reads public keys: age's own (age1…, post-quantum ones too) and
// those of SSH (ssh-ed25519 …, ssh-rsa …). Invalid where one is something else.
func ParseRecipients(keys []string) (Recipients, error) {
	var to Recipients
	if len(keys) == 0 || len(keys) > maxRecipients {
		return to, keyturn.E(keyturn.Invalid, fmt.Sprintf("a backup is for 1 to %d recipients", maxRecipients), "say --recipient age1…, or --passphrase")
	}
	for i, k := range keys {
		r, err := parseRecipient(k)
		if err != nil {
			// What was given by mistake may be a private key: it is not repeated.
			return to, keyturn.E(keyturn.Invalid, fmt.Sprintf("recipient %d is not a public key for a backup", i+1),
				"write one that begins with age1, ssh-ed25519 or ssh-rsa; 'age-keygen' makes an age key, and an SSH key may be one that you have")
		}
		to.list = append(to.list, r)
	}
	return to, nil
}

func parseRecipient(key string) (age.Recipient, error) {
	switch {
	case strings.HasPrefix(key, "age1pq1"):
		return age.ParseHybridRecipient(key)
	case strings.HasPrefix(key, "age1"):
		return age.ParseX25519Recipient(key)
	case strings.HasPrefix(key, "ssh-"):
		return sshRecipient(key)
	}
	return nil, errors.New("unknown kind")
}

// PassphraseRecipient lets whoever knows a passphrase open a backup, and nobody
// else.
func PassphraseRecipient(pass keyturn.Value) (Recipients, error) {
	r, err := age.NewScryptRecipient(string(pass.Reveal()))
	if err != nil {
		return Recipients{}, keyturn.E(keyturn.Invalid, "the backup's passphrase is empty", "").Because(err)
	}
	return Recipients{[]age.Recipient{r}}, nil
}

// Identities are what opens a backup.
type Identities struct{ list []age.Identity }

// Empty reports whether there are none.
func (ids Identities) Empty() bool { return len(ids.list) == 0 }

// And returns both together.
func (ids Identities) And(more Identities) Identities {
	return Identities{append(slices.Clone(ids.list), more.list...)}
}

// PassphraseIdentity opens a backup that a passphrase was given for.
func PassphraseIdentity(pass keyturn.Value) (Identities, error) {
	id, err := age.NewScryptIdentity(string(pass.Reveal()))
	if err != nil {
		return Identities{}, keyturn.E(keyturn.Invalid, "the backup's passphrase is empty", "").Because(err)
	}
	id.SetMaxWorkFactor(maxWork)
	return Identities{[]age.Identity{id}}, nil
}

// ParseIdentities reads a file of private keys: age's own, one on each line, or one
// of SSH. Either may be protected by a passphrase, which ask gets. Invalid where it
// is something else; errors of ask are returned.
func ParseIdentities(file []byte, ask func() (keyturn.Value, error)) (Identities, error) {
	text := file
	if bytes.HasPrefix(text, []byte(intro)) || bytes.HasPrefix(text, []byte(armor.Header)) {
		pass, err := ask()
		if err != nil {
			return Identities{}, err
		}
		id, err := PassphraseIdentity(pass)
		if err != nil {
			return Identities{}, err
		}
		plain, err := open(bytes.NewReader(text), id)
		if err != nil {
			return Identities{}, err
		}
		if text, err = io.ReadAll(io.LimitReader(plain, 1<<20)); err != nil {
			return Identities{}, noIdentity(err)
		}
		defer clear(text)
	}
	if bytes.Contains(text, []byte("-----BEGIN")) {
		id, err := sshIdentity(text, ask)
		return Identities{[]age.Identity{id}}, err
	}
	list, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		return Identities{}, noIdentity(err)
	}
	return Identities{list}, nil
}

func noIdentity(err error) error {
	// The cause could repeat what is in the file.
	return keyturn.E(keyturn.Invalid, "the identity file holds no private key that opens backups", "it is what 'age-keygen -o FILE' made, or an SSH private key")
}

// open begins to decrypt an age file, armored or not.
func open(r io.Reader, ids Identities) (io.Reader, error) {
	in := bufio.NewReader(r)
	head, err := in.Peek(len(intro))
	if err != nil && err != io.EOF {
		return nil, err
	}
	var src io.Reader = in
	switch {
	case string(head) == intro:
	case len(head) < len(intro) && len(head) > 0 && strings.HasPrefix(intro, string(head)):
		return nil, damaged(io.ErrUnexpectedEOF)
	case strings.HasPrefix(armor.Header, string(head)) && len(head) == len(intro):
		src = armor.NewReader(in)
	default:
		return nil, notOurs(errors.New("not an age file"))
	}
	plain, err := age.Decrypt(src, ids.list...)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return nil, denied(none)
	}
	return plain, err
}

func denied(none *age.NoIdentityMatchError) error {
	kinds := slices.Compact(slices.Sorted(slices.Values(none.StanzaTypes)))
	e := keyturn.E(keyturn.Denied, "none of the identities given opens this backup", "it was made for other keys: look for the right one, nothing was restored")
	switch {
	case slices.Contains(kinds, "scrypt"):
		e.Message, e.Hint = "that is not what opens this backup: it was made with a passphrase", "say --passphrase, and type the one it was made with; nothing was restored"
	case len(kinds) > 0 && len(kinds) <= 8:
		e.Hint = "it was made for keys of the kind " + keyturn.Clean(strings.Join(kinds, ", ")) + ": look for the right one, nothing was restored"
	}
	e.By = "person"
	return e.Because(none)
}
