package backup

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"io"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/keyturn/keyturn"
)

// TestSSH: an ed25519 key of SSH, as it is and with a passphrase of its own.
func TestSSH(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	to, err := ParseRecipients([]string{string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(pub))) + " me@here"})
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, to, noise(100))
	plain, err := ssh.MarshalPrivateKey(private, "a test's")
	if err != nil {
		t.Fatal(err)
	}
	locked, err := ssh.MarshalPrivateKeyWithPassphrase(private, "a test's", []byte("words of the key"))
	if err != nil {
		t.Fatal(err)
	}
	open := func(text []byte, ask func() (keyturn.Value, error)) error {
		ids, err := ParseIdentities(text, ask)
		if err != nil {
			return err
		}
		_, _, err = Read(bytes.NewReader(file), ids, io.Discard)
		return err
	}
	wantCode(t, "a key", open(pem.EncodeToMemory(plain), nobody(t)), "")
	wantCode(t, "a locked key", open(pem.EncodeToMemory(locked), says("words of the key")), "")
	wantCode(t, "wrong words", open(pem.EncodeToMemory(locked), says("other words")), keyturn.Denied)
	refuses := keyturn.E(keyturn.Denied, "nobody is there", "")
	wantCode(t, "nobody to ask", open(pem.EncodeToMemory(locked), func() (keyturn.Value, error) { return keyturn.Value{}, refuses }), keyturn.Denied)
	_, other, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := ssh.MarshalPrivateKey(other, "")
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, "another key", open(pem.EncodeToMemory(wrong), nobody(t)), keyturn.Denied)
}
