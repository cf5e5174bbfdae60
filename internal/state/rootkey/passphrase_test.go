package rootkey

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/keyturn/keyturn"
)

// quick makes the stretching of new files cheap: what is tested is not its cost.
func quick(t *testing.T) {
	old := stretching
	stretching = params{Time: 1, Memory: minMemory, Lanes: 1}
	t.Cleanup(func() { stretching = old })
}

// says answers with passphrases in turn, and counts.
func says(words ...string) (Ask, *int) {
	n := 0
	return func(context.Context, bool, int) (keyturn.Value, error) {
		n++
		return keyturn.NewValue([]byte(words[min(n, len(words))-1])), nil
	}, &n
}

const words = "correct horse battery"

func sealedIn(t *testing.T, dir string) (key []byte, place string) {
	t.Helper()
	k := at(dir)
	k.Ask, _ = says(words)
	key, place, err := k.New(ctx, Passphrase)
	if err != nil || len(key) != Size {
		t.Fatalf("new: %d bytes, %v", len(key), err)
	}
	return key, place
}

// TestPassphrase: the strength of a real file, and the way through.
func TestPassphrase(t *testing.T) {
	dir := t.TempDir()
	key, place := sealedIn(t, dir)
	text, err := os.ReadFile(filepath.Join(dir, place))
	if err != nil || !strings.Contains(string(text), `"passes":3,"memory_kib":65536,"lanes":4`) {
		t.Fatalf("the file: %v\n%s", err, text)
	}
	if bytes.Contains(text, key) || strings.Contains(string(text), encode(key)) || strings.Contains(string(text), words) {
		t.Error("the file shows the root key or the passphrase")
	}
	if fi, _ := os.Stat(filepath.Join(dir, place)); runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", fi.Mode())
	}
	k := at(dir)
	k.Ask, _ = says(words)
	if got, err := k.Load(ctx, Passphrase, place); err != nil || !bytes.Equal(got, key) {
		t.Fatalf("load: another key, or %v", err)
	}
}

func TestWrongPassphrase(t *testing.T) {
	quick(t)
	dir := t.TempDir()
	key, place := sealedIn(t, dir)
	k := at(dir)
	_, err := k.Load(ctx, Passphrase, place)
	wantCode(t, "nobody to ask", err, keyturn.Sealed)
	if e := keyturn.AsError(err); !strings.Contains(e.Message, "locked") || !strings.Contains(e.Hint, "keyturn store unlock") || !strings.Contains(e.Hint, "KEYTURN_PASSPHRASE_FILE") {
		t.Errorf("%s\n%s", e.Message, e.Hint)
	}
	for i := range 10 {
		k.Ask, _ = says(words[:len(words)-1-i])
		_, err := k.Load(ctx, Passphrase, place)
		wantCode(t, "a wrong passphrase", err, keyturn.Denied)
	}
	for _, wrong := range []string{"", " " + words, words + " ", words + "\n", strings.ToUpper(words)} {
		k.Ask, _ = says(wrong)
		_, err := k.Load(ctx, Passphrase, place)
		wantCode(t, "a wrong passphrase", err, keyturn.Denied)
	}
	k.Ask, _ = says(words)
	if got, err := k.Load(ctx, Passphrase, place); err != nil || !bytes.Equal(got, key) {
		t.Errorf("the right one after wrong ones: %v", err)
	}
	// At a terminal.
	k.Tries = 3
	ask, n := says("wrong one", "wrong two", words)
	k.Ask = ask
	if got, err := k.Load(ctx, Passphrase, place); err != nil || !bytes.Equal(got, key) || *n != 3 {
		t.Errorf("the third try: %v, asked %d times", err, *n)
	}
	k.Ask, n = says("wrong")
	_, err = k.Load(ctx, Passphrase, place)
	if wantCode(t, "three wrong tries", err, keyturn.Denied); *n != 3 {
		t.Errorf("asked %d times", *n)
	}
	interrupted := errors.New("interrupted")
	k.Ask = func(context.Context, bool, int) (keyturn.Value, error) { return keyturn.Value{}, interrupted }
	if _, err = k.Load(ctx, Passphrase, place); !errors.Is(err, interrupted) {
		t.Errorf("%v", err)
	}
}

func TestNewPassphrase(t *testing.T) {
	quick(t)
	dir := t.TempDir()
	k := at(dir)
	_, _, err := k.New(ctx, Passphrase)
	wantCode(t, "nobody to ask", err, keyturn.Sealed)
	for _, bad := range []string{"", "short", "1234567", "\xff\xfe\xfd12345678"} {
		k.Ask, _ = says(bad)
		_, _, err := k.New(ctx, Passphrase)
		wantCode(t, "a passphrase that is none", err, keyturn.Invalid)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	// Two at once, for the change from one to the other.
	first, at1 := sealedIn(t, dir)
	second, at2 := sealedIn(t, dir)
	if at1 == at2 || bytes.Equal(first, second) {
		t.Fatal("two root keys are one")
	}
	k.Ask, _ = says(words)
	wantCode(t, "made over another", func() error { _, err := k.Make(ctx, Passphrase, at1); return err }(), keyturn.Conflict)
	if got, err := k.Load(ctx, Passphrase, at1); err != nil || !bytes.Equal(got, first) {
		t.Errorf("the first: %v", err)
	}
	wantCode(t, "remove", k.Remove(Passphrase, at1), "")
	if got, err := k.Load(ctx, Passphrase, at2); err != nil || !bytes.Equal(got, second) {
		t.Errorf("the second: %v", err)
	}
}

// TestHostilePassphraseFile: what somebody else wrote costs neither memory nor
// time, and every damage is told from a wrong passphrase.
func TestHostilePassphraseFile(t *testing.T) {
	quick(t)
	dir := t.TempDir()
	_, place := sealedIn(t, dir)
	path := filepath.Join(dir, place)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	k := at(dir)
	k.Ask, _ = says(words)
	try := func(name string, text []byte, want keyturn.Code) {
		t.Helper()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := k.Load(ctx, Passphrase, place)
		wantCode(t, name, err, want)
	}
	for n := range good {
		try("cut short", good[:n], keyturn.Corrupt)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		try("a bit turned", bad, keyturn.Corrupt)
	}
	try("longer", append(bytes.Clone(good), '\n'), keyturn.Corrupt)
	try("large", bytes.Repeat(good, 100), keyturn.Corrupt)
	// With a sum that fits, as whoever writes files can make it.
	edit := func(name string, change func(*sealedKey), want keyturn.Code) {
		t.Helper()
		var s sealedKey
		if err := json.Unmarshal(good[len(sealedHeader):], &s); err != nil {
			t.Fatal(err)
		}
		change(&s)
		s.Sum = s.sum()
		try(name, append(s.bytes(), '\n'), want)
	}
	edit("as it is", func(*sealedKey) {}, "")
	edit("another store's", func(s *sealedKey) { s.Store = "4e" }, keyturn.Sealed)
	edit("another salt", func(s *sealedKey) { s.Salt[0]++ }, keyturn.Denied)
	edit("more passes", func(s *sealedKey) { s.Time++ }, keyturn.Denied)
	edit("no key", func(s *sealedKey) { s.Key = nil }, keyturn.Denied)
	for name, change := range map[string]func(*sealedKey){
		"all memory": func(s *sealedKey) { s.Memory = 1 << 31 }, "no memory": func(s *sealedKey) { s.Memory = 1 },
		"for ever": func(s *sealedKey) { s.Time = 1 << 31 }, "no pass": func(s *sealedKey) { s.Time = 0 },
		"much of both": func(s *sealedKey) { s.Time, s.Memory = maxTime, maxMemory },
		"no lane":      func(s *sealedKey) { s.Lanes = 0 }, "many lanes": func(s *sealedKey) { s.Lanes = 255 },
		"no salt": func(s *sealedKey) { s.Salt = nil }, "another function": func(s *sealedKey) { s.KDF = "none" },
	} {
		edit(name, change, keyturn.Corrupt)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o602} {
		if err := errors.Join(os.WriteFile(path, good, 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		_, err := k.Load(ctx, Passphrase, place)
		wantCode(t, "others can use it", err, keyturn.Invalid)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err = k.Load(ctx, Passphrase, place)
	if wantCode(t, "gone", err, keyturn.Sealed); !strings.Contains(keyturn.AsError(err).Hint, "keyturn store restore") {
		t.Errorf("hint: %s", keyturn.AsError(err).Hint)
	}
}

func TestReadPassphrase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "words")
	for text, want := range map[string]string{"a b c": "a b c", "a b c\n": "a b c", "a b c\n\n": "a b c\n", " a\r\n": " a", "\xff\x00": "\xff\x00"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if v, err := ReadPassphrase(t.Context(), path); err != nil || string(v.Reveal()) != want {
			t.Errorf("%q: %q, %v", text, v.Reveal(), err)
		}
	}
	for _, text := range []string{"", "\n"} {
		_ = os.WriteFile(path, []byte(text), 0o600)
		_, err := ReadPassphrase(t.Context(), path)
		wantCode(t, "empty", err, keyturn.Invalid)
	}
	_, err := ReadPassphrase(t.Context(), filepath.Dir(path))
	wantCode(t, "a folder", err, keyturn.Invalid)
	_, err = ReadPassphrase(t.Context(), path+"no")
	wantCode(t, "missing", err, keyturn.Invalid)
	if runtime.GOOS != "windows" {
		_ = os.WriteFile(path, []byte("words"), 0o600)
		_ = os.Chmod(path, 0o644)
		_, err = ReadPassphrase(t.Context(), path)
		wantCode(t, "readable by others", err, keyturn.Invalid)
	}
}

// TestUnlock keeps an opened root key in the keychain: not parallel, as all that
// replaces it.
func TestUnlock(t *testing.T) {
	quick(t)
	keyring.MockInit()
	old := session
	defer func() { session = old }()
	session = func() string { return "" }
	dir := t.TempDir()
	key, place := sealedIn(t, dir)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	k := at(dir)
	k.Now = func() time.Time { return now }
	sealed := func(doing string) {
		t.Helper()
		_, err := k.Load(ctx, Passphrase, place)
		wantCode(t, doing, err, keyturn.Sealed)
		if !k.Unlocked(place).IsZero() {
			t.Errorf("%s: still unlocked", doing)
		}
	}
	opened := func(doing string) {
		t.Helper()
		if got, err := k.Load(ctx, Passphrase, place); err != nil || !bytes.Equal(got, key) {
			t.Errorf("%s: another key, or %v", doing, err)
		}
	}
	unlock := func() {
		t.Helper()
		if err := k.Unlock(place, key, now.Add(8*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	sealed("at first")
	for _, d := range []time.Duration{0, -time.Hour, MaxUnlock + time.Second} {
		wantCode(t, "unlock for "+d.String(), k.Unlock(place, key, now.Add(d)), keyturn.Invalid)
	}
	unlock()
	opened("unlocked")
	if got := k.Unlocked(place); !got.Equal(now.Add(8 * time.Hour)) {
		t.Errorf("until %s", got)
	}
	anew := k
	anew.Anew = true
	_, err := anew.Load(ctx, Passphrase, place)
	wantCode(t, "asked anew", err, keyturn.Sealed)
	now = now.Add(8*time.Hour - time.Second)
	opened("a second before its end")
	now = now.Add(time.Second)
	sealed("at its end")
	now = now.Add(-time.Hour)
	sealed("after the clock was put back: it is forgotten")
	unlock()
	now = now.Add(-time.Minute)
	sealed("before it was unlocked")
	unlock()
	wantCode(t, "lock", k.Lock(), "")
	wantCode(t, "lock again", k.Lock(), "")
	sealed("locked")
	unlock()
	other, err := k.Place(Passphrase)
	if err != nil {
		t.Fatal(err)
	}
	if !k.Unlocked(other).IsZero() {
		t.Error("another root key of the same store counts as unlocked")
	}
	for _, text := range []string{"", "keyturn unlocked v1", "keyturn unlocked v1 a b c d", "keyturn unlocked v1 " + place + " 0 99999999999 AAAA", encode(key)} {
		if err := keyring.Set(Service, "3f-unlocked", text); err != nil {
			t.Fatal(err)
		}
		sealed("something else in the keychain")
	}
	session = func() string { return "no D-Bus session bus" }
	wantCode(t, "unlock without a keychain", k.Unlock(place, key, now.Add(time.Hour)), keyturn.Unavailable)
	wantCode(t, "lock without a keychain", k.Lock(), "")
	sealed("without a keychain")
}

func TestHold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	release, err := Hold(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Hold(dir)
	wantCode(t, "held by another", err, keyturn.Conflict)
	release()
	if release, err = Hold(dir); err != nil {
		t.Fatalf("after its release: %v", err)
	}
	release()
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	_, err = Hold(filepath.Join(dir, "none"))
	wantCode(t, "no such folder", err, keyturn.Unavailable)
}
