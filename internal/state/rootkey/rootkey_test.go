package rootkey

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/zalando/go-keyring"
)

func wantCode(t *testing.T, doing string, err error, want keyturn.Code) {
	t.Helper()
	if got := keyturn.AsError(err); got == nil && want != "" || got != nil && got.Code != want {
		t.Errorf("%s: %v, want %q", doing, err, want)
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keyturn")
	_, err := Load(File, dir, "")
	wantCode(t, "load without a file", err, keyturn.Sealed)
	wantCode(t, "delete without a file", Delete(File, dir, ""), "")
	key, place, err := New(File, dir, "")
	if err != nil || len(key) != Size || place != FileName {
		t.Fatalf("new: %d bytes at '%s': %v", len(key), place, err)
	}
	got, err := Load(File, dir, "")
	if err != nil || !bytes.Equal(got, key) {
		t.Fatalf("load: another key, or %v", err)
	}
	if runtime.GOOS != "windows" {
		for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, FileName): 0o600} {
			if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != want {
				t.Errorf("%s: %v, %v", path, fi.Mode(), err)
			}
		}
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 {
		t.Errorf("%d files in the folder", len(entries))
	}
	again, _, err := New(File, dir, "") // after an init that was cut short
	if err != nil || !bytes.Equal(again, key) {
		t.Errorf("new without a store took another key, or %v", err)
	}
	// With a store beside it the key is neither replaced nor removed.
	if err := os.WriteFile(filepath.Join(dir, state.File), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err = New(File, dir, "")
	wantCode(t, "new beside a store", err, keyturn.Conflict)
	wantCode(t, "delete beside a store", Delete(File, dir, ""), keyturn.Conflict)
	if got, err := Load(File, dir, ""); err != nil || !bytes.Equal(got, key) {
		t.Errorf("the key was lost: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, state.File)); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "delete", Delete(File, dir, ""), "")
	_, err = Load(File, dir, "")
	wantCode(t, "load after delete", err, keyturn.Sealed)
}

func TestFileRefused(t *testing.T) {
	t.Parallel()
	good := header + encode(generate()) + "\n"
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want keyturn.Code
	}{
		"good":              {good, 0o600, ""},
		"read-only":         {good, 0o400, ""},
		"empty":             {"", 0o600, keyturn.Corrupt},
		"short":             {good[:len(good)-9], 0o600, keyturn.Corrupt},
		"long":              {good + "more", 0o600, keyturn.Corrupt},
		"two lines":         {good + "\n", 0o600, keyturn.Corrupt},
		"31 bytes":          {header + encode(generate()[:31]) + "\n", 0o600, keyturn.Corrupt},
		"33 bytes":          {header + encode(append(generate(), 1)) + "\n", 0o600, keyturn.Corrupt},
		"another header":    {strings.Replace(good, "v1", "v2", 1), 0o600, keyturn.Corrupt},
		"no header":         {good[len(header):], 0o600, keyturn.Corrupt},
		"group can read":    {good, 0o640, keyturn.Invalid},
		"others can read":   {good, 0o604, keyturn.Invalid},
		"others can write":  {good, 0o602, keyturn.Invalid},
		"everyone can read": {good, 0o644, keyturn.Invalid},
	} {
		if runtime.GOOS == "windows" && c.want == keyturn.Invalid {
			continue
		}
		dir := t.TempDir()
		path := filepath.Join(dir, FileName)
		if err := errors.Join(os.WriteFile(path, []byte(c.text), 0o600), os.Chmod(path, c.mode)); err != nil {
			t.Fatal(err)
		}
		_, err := Load(File, dir, "")
		wantCode(t, name, err, c.want)
		_, _, err = New(File, dir, "")
		wantCode(t, name+", new", err, c.want)
		if err == nil {
			continue
		}
		if e := keyturn.AsError(err); e.Hint == "" || !strings.Contains(e.Message, path) || len(c.text) > 30 && strings.Contains(e.Message+e.Hint, c.text[25:]) {
			t.Errorf("%s: no hint, or the message does not name the file, or shows the key", name)
		}
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, FileName), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := Load(File, dir, "")
	wantCode(t, "a folder", err, keyturn.Invalid)
}

// TestFileRace makes one root key by many at once: all get the same.
func TestFileRace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var keys [8][]byte
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() { keys[i], _, _ = New(File, dir, "") })
	}
	wg.Wait()
	for _, k := range keys {
		if len(k) != Size || !bytes.Equal(k, keys[0]) {
			t.Fatal("two inits hold different root keys")
		}
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for _, k := range Kinds() {
		if k != File && k != Keychain {
			t.Errorf("unknown kind '%s'", k)
		}
	}
	_, _, err := New("other", t.TempDir(), "")
	wantCode(t, "new", err, keyturn.Invalid)
	_, err = Load("", t.TempDir(), "")
	wantCode(t, "load", err, keyturn.Invalid)
	wantCode(t, "delete", Delete("other", t.TempDir(), ""), keyturn.Invalid)
	if store != state.File {
		t.Errorf("the store is named %s, not %s", state.File, store)
	}
}

// The keychain's tests replace what the whole package uses: not parallel.

func TestKeychain(t *testing.T) {
	keyring.MockInit()
	old := session
	defer func() { session = old }()
	session = func() string { return "" }
	if err := Available(); err != nil {
		t.Fatal(err)
	}
	_, err := Load(Keychain, "", "id")
	wantCode(t, "load of nothing", err, keyturn.Sealed)
	key, place, err := New(Keychain, "", "id")
	if err != nil || len(key) != Size || place != "keyturn/id" {
		t.Fatalf("new: '%s', %v", place, err)
	}
	if got, err := Load(Keychain, "", "id"); err != nil || !bytes.Equal(got, key) {
		t.Fatalf("load: another key, or %v", err)
	}
	_, _, err = New(Keychain, "", "id")
	wantCode(t, "new over another", err, keyturn.Conflict)
	_ = keyring.Set(Service, "bad", "short")
	_, err = Load(Keychain, "", "bad")
	wantCode(t, "load of something else", err, keyturn.Corrupt)
	wantCode(t, "delete", Delete(Keychain, "", "id"), "")
	wantCode(t, "delete again", Delete(Keychain, "", "id"), "")

	keyring.MockInitWithError(errors.New("no such service"))
	for doing, err := range map[string]error{"available": Available(), "delete": Delete(Keychain, "", "id")} {
		wantCode(t, doing, err, keyturn.Unavailable)
	}
	_, _, err = New(Keychain, "", "id")
	wantCode(t, "new", err, keyturn.Unavailable)
	if e := keyturn.AsError(err); !strings.Contains(e.Hint, "--key file") {
		t.Errorf("hint: %s", e.Hint)
	}
	session = func() string { return "no D-Bus session bus" }
	_, err = Load(Keychain, "", "id")
	wantCode(t, "load without a session", err, keyturn.Unavailable)
	if e := keyturn.AsError(err); !strings.Contains(e.Message, "no D-Bus session bus") {
		t.Errorf("message: %s", e.Message)
	}
}

func TestKeychainHangs(t *testing.T) {
	old := session
	defer func() { session = old }()
	session = func() string { return "" }
	stop := make(chan struct{})
	defer close(stop)
	_, err := within(time.Millisecond, func() (string, error) { <-stop; return "", nil })
	if !errors.Is(err, errSlow) {
		t.Errorf("%v", err)
	}
	wantCode(t, "hanging", noKeychain(err), keyturn.Unavailable)
}
