package rootkey

import (
	"strconv"
	"strings"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/keyturn/keyturn"
)

const (
	unlockedHeader = "keyturn unlocked v1"
	// MaxUnlock is the longest time for which a store can be unlocked.
	MaxUnlock = 30 * 24 * time.Hour
)

func (k Keeper) unlockedAccount() string { return k.Store + "-unlocked" }

// Unlock keeps the root key at a place of kind Passphrase in the keychain until a
// time, so that Load needs no passphrase. Unavailable where there is no keychain.
// The keychain itself does not forget by the clock: the first Load after that time
// removes it, and so does Lock.
func (k Keeper) Unlock(place string, key []byte, until time.Time) error {
	now := k.now()
	if d := until.Sub(now); d <= 0 || d > MaxUnlock {
		return keyturn.E(keyturn.Invalid, "a store can be unlocked for 30 days at most", "say --for 8h")
	}
	return keep(k.unlockedAccount(), strings.Join([]string{unlockedHeader, place,
		strconv.FormatInt(now.Unix(), 10), strconv.FormatInt(until.Unix(), 10), encode(key)}, " "))
}

// Lock forgets what Unlock kept. It is no error if there is nothing, or no
// keychain.
func (k Keeper) Lock() error {
	if session() != "" {
		return nil
	}
	return deleteFromKeychain(k.unlockedAccount())
}

// Unlocked returns until when the root key at a place of kind Passphrase is in the
// keychain; zero where it is not.
func (k Keeper) Unlocked(place string) time.Time {
	key, until := k.unlocked(place)
	clear(key)
	return until
}

// unlocked returns what Unlock kept and until when. What is not for this place, or
// from a time that is not now, is removed: a clock that was put back does not
// lengthen it.
func (k Keeper) unlocked(place string) ([]byte, time.Time) {
	s, err := within(probeTime, func() (string, error) { return keyring.Get(Service, k.unlockedAccount()) })
	if err != nil { // none, or no keychain
		return nil, time.Time{}
	}
	rest, ok := strings.CutPrefix(s, unlockedHeader+" ")
	parts := strings.Split(rest, " ")
	if ok && len(parts) == 4 && parts[0] == place {
		from, fromErr := strconv.ParseInt(parts[1], 10, 64)
		until, untilErr := strconv.ParseInt(parts[2], 10, 64)
		key, whole := decode(parts[3])
		if now := k.now().Unix(); fromErr == nil && untilErr == nil && whole && from <= now && now < until {
			return key, time.Unix(until, 0).UTC()
		}
	}
	_ = k.Lock()
	return nil, time.Time{}
}
