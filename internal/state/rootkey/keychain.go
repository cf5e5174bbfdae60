package rootkey

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/zalando/go-keyring"
)

// Service is under which the keychain keeps root keys; the account begins with the
// store's id.
const Service = "keyturn"

const (
	probeTime = 2 * time.Second
	// A person may have to type the keychain's password meanwhile.
	unlockTime = time.Minute
)

// errSlow says that the keychain did not answer.
var errSlow = errors.New("the keychain did not answer in time")

// Available returns nil where the system has a keychain that answers within two
// seconds; else an Unavailable error that says what is missing. A keychain that is
// locked may ask its owner for the password, and counts as not answering.
func Available() error {
	_, err := within(probeTime, func() (string, error) { return keyring.Get(Service, "probe") })
	if err == nil || errors.Is(err, keyring.ErrNotFound) {
		return nil
	}
	return noKeychain(err)
}

// account is the keychain's account of a place, which check has found right.
func account(place string) string { return strings.TrimPrefix(place, Service+"/") }

func newInKeychain(storeID string) ([]byte, error) { return makeInKeychain(storeID) }

func makeInKeychain(account string) ([]byte, error) {
	_, err := within(unlockTime, func() (string, error) { return keyring.Get(Service, account) })
	if err == nil {
		return nil, keyturn.E(keyturn.Conflict, "the keychain has a root key already for the store "+keyturn.Clean(account), "a new store needs a new id")
	}
	if !errors.Is(err, keyring.ErrNotFound) {
		return nil, noKeychain(err)
	}
	key := generate()
	if err := keep(account, encode(key)); err != nil {
		return nil, err
	}
	return key, nil
}

// keep puts a secret into the keychain, and looks whether it is there.
func keep(account, secret string) error {
	got, err := within(unlockTime, func() (string, error) {
		if err := keyring.Set(Service, account, secret); err != nil {
			return "", err
		}
		return keyring.Get(Service, account) // some keychains forget
	})
	if err == nil && got != secret {
		err = errors.New("the keychain did not keep the root key")
	}
	if err != nil {
		return noKeychain(err)
	}
	return nil
}

func loadFromKeychain(account, storeID string) ([]byte, error) {
	s, err := within(unlockTime, func() (string, error) { return keyring.Get(Service, account) })
	if errors.Is(err, keyring.ErrNotFound) {
		return nil, keyturn.E(keyturn.Sealed, "the keychain has no root key for the store "+keyturn.Clean(storeID),
			"it may be in another user's keychain, or on the machine where the store was made\n"+
				"from a backup: keyturn store restore BACKUP --identity KEYFILE --replace").Because(err)
	}
	if err != nil {
		return nil, noKeychain(err)
	}
	key, ok := decode(s)
	if !ok {
		return nil, keyturn.E(keyturn.Corrupt, "what the keychain has for the store "+keyturn.Clean(storeID)+" is not a root key", "restore a backup with 'keyturn store restore'")
	}
	return key, nil
}

func deleteFromKeychain(account string) error {
	_, err := within(unlockTime, func() (string, error) { return "", keyring.Delete(Service, account) })
	if err != nil && !errors.Is(err, keyring.ErrNotFound) {
		return noKeychain(err)
	}
	return nil
}

// session says what the keychain needs and the system has not; "" where nothing
// is missing. Without it the library would start a D-Bus daemon.
var session = func() string {
	switch runtime.GOOS {
	case "darwin", "windows":
		return ""
	}
	if os.Getenv("DBUS_SESSION_BUS_ADDRESS") != "" {
		return ""
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		if _, err := os.Stat(filepath.Join(dir, "bus")); err == nil {
			return ""
		}
	}
	return "no D-Bus session bus"
}

// within does what may hang. After a time-out it may still go on, unseen.
func within(limit time.Duration, do func() (string, error)) (string, error) {
	if lacks := session(); lacks != "" {
		return "", errors.New(lacks)
	}
	type answer struct {
		s   string
		err error
	}
	c := make(chan answer, 1)
	go func() {
		s, err := do()
		c <- answer{s, err}
	}()
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case a := <-c:
		return a.s, a.err
	case <-t.C:
		return "", errSlow
	}
}

func noKeychain(err error) error {
	message := "the keychain cannot be used"
	switch {
	case errors.Is(err, errSlow):
		message += ": it does not answer, or waits for its password"
	case session() != "":
		message += ": " + session()
	case runtime.GOOS != "darwin" && runtime.GOOS != "windows":
		message += ": no Secret Service (GNOME Keyring, KWallet, KeePassXC) answers"
	}
	return keyturn.E(keyturn.Unavailable, message, "unlock it and try again; a new store can keep its root key in a file: 'keyturn init --key file'").Because(err)
}
