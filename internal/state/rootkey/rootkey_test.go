package rootkey

import (
	"bytes"
	"context"
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

var ctx = context.Background()

// at keeps the root keys of a store in dir that nobody is asked about.
func at(dir string) Keeper { return Keeper{Dir: dir, Store: "3f"} }

func wantCode(t *testing.T, doing string, err error, want keyturn.Code) {
	t.Helper()
	if got := keyturn.AsError(err); got == nil && want != "" || got != nil && got.Code != want {
		t.Errorf("%s: %v, want %q", doing, err, want)
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keyturn")
	_, err := at(dir).Load(ctx, File, FileName)
	wantCode(t, "load without a file", err, keyturn.Sealed)
	wantCode(t, "delete without a file", at(dir).Discard(File, FileName), "")
	key, place, err := at(dir).New(ctx, File)
	if err != nil || len(key) != Size || place != FileName {
		t.Fatalf("new: %d bytes at '%s': %v", len(key), place, err)
	}
	got, err := at(dir).Load(ctx, File, FileName)
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
	again, _, err := at(dir).New(ctx, File) // after an init that was cut short
	if err != nil || !bytes.Equal(again, key) {
		t.Errorf("new without a store took another key, or %v", err)
	}
	// With a store beside it the key is neither replaced nor removed.
	if err := os.WriteFile(filepath.Join(dir, state.File), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err = at(dir).New(ctx, File)
	wantCode(t, "new beside a store", err, keyturn.Conflict)
	wantCode(t, "delete beside a store", at(dir).Discard(File, FileName), keyturn.Conflict)
	if got, err := at(dir).Load(ctx, File, FileName); err != nil || !bytes.Equal(got, key) {
		t.Errorf("the key was lost: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, state.File)); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "delete", at(dir).Discard(File, FileName), "")
	_, err = at(dir).Load(ctx, File, FileName)
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
		_, err := at(dir).Load(ctx, File, FileName)
		wantCode(t, name, err, c.want)
		_, _, err = at(dir).New(ctx, File)
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
	_, err := at(dir).Load(ctx, File, FileName)
	wantCode(t, "a folder", err, keyturn.Invalid)
}

// TestFileRace makes one root key by many at once: all get the same.
func TestFileRace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var keys [8][]byte
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() { keys[i], _, _ = at(dir).New(ctx, File) })
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
	k := at(t.TempDir())
	for _, kind := range Kinds() {
		place, err := k.Place(kind)
		if err != nil || k.check(kind, place) != nil {
			t.Errorf("a place of kind '%s': '%s', %v, %v", kind, place, err, k.check(kind, place))
		}
		// The place stands in the store, where anybody can change it.
		for _, bad := range []string{"", "..", "/etc/passwd", "../" + place, place + "/x", place + ".new-12345678", "root-zzzzzzzz.key", "passphrase-.key", "keyturn/another", "keyturn/", "root.key\x00"} {
			_, err := k.Load(ctx, kind, bad)
			wantCode(t, "load at "+bad, err, keyturn.Corrupt)
			_, err = k.Make(ctx, kind, bad)
			wantCode(t, "make at "+bad, err, keyturn.Corrupt)
			wantCode(t, "remove at "+bad, k.Remove(kind, bad), keyturn.Corrupt)
		}
	}
	_, _, err := k.New(ctx, "other")
	wantCode(t, "new", err, keyturn.Invalid)
	// The kind stands in the store, too.
	for _, kind := range []string{"", "other", "\x00\x00\x00\x00", "file\x00", "FILE"} {
		_, err = k.Load(ctx, kind, FileName)
		wantCode(t, "load of kind "+kind, err, keyturn.Corrupt)
		wantCode(t, "discard of kind "+kind, k.Discard(kind, ""), keyturn.Corrupt)
	}
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
	k := Keeper{Store: "id"}
	_, err := k.Load(ctx, Keychain, "keyturn/id")
	wantCode(t, "load of nothing", err, keyturn.Sealed)
	key, place, err := k.New(ctx, Keychain)
	if err != nil || len(key) != Size || place != "keyturn/id" {
		t.Fatalf("new: '%s', %v", place, err)
	}
	if got, err := k.Load(ctx, Keychain, place); err != nil || !bytes.Equal(got, key) {
		t.Fatalf("load: another key, or %v", err)
	}
	_, _, err = k.New(ctx, Keychain)
	wantCode(t, "new over another", err, keyturn.Conflict)
	second, err := k.Place(Keychain)
	if err != nil {
		t.Fatal(err)
	}
	other, err := k.Make(ctx, Keychain, second)
	if err != nil || bytes.Equal(other, key) {
		t.Fatalf("a second root key: %v", err)
	}
	if got, err := k.Load(ctx, Keychain, second); err != nil || !bytes.Equal(got, other) {
		t.Fatalf("load of the second: another key, or %v", err)
	}
	wantCode(t, "remove the second", k.Remove(Keychain, second), "")
	_, err = k.Load(ctx, Keychain, second)
	wantCode(t, "load of the second, removed", err, keyturn.Sealed)
	if got, err := k.Load(ctx, Keychain, place); err != nil || !bytes.Equal(got, key) {
		t.Fatalf("the first went with the second: %v", err)
	}
	_ = keyring.Set(Service, "bad", "short")
	_, err = Keeper{Store: "bad"}.Load(ctx, Keychain, "keyturn/bad")
	wantCode(t, "load of something else", err, keyturn.Corrupt)
	wantCode(t, "discard", k.Discard(Keychain, place), "")
	wantCode(t, "discard again", k.Discard(Keychain, place), "")

	keyring.MockInitWithError(errors.New("no such service"))
	for doing, err := range map[string]error{"available": Available(), "discard": k.Discard(Keychain, place)} {
		wantCode(t, doing, err, keyturn.Unavailable)
	}
	_, _, err = k.New(ctx, Keychain)
	wantCode(t, "new", err, keyturn.Unavailable)
	if e := keyturn.AsError(err); !strings.Contains(e.Hint, "--key file") {
		t.Errorf("hint: %s", e.Hint)
	}
	session = func() string { return "no D-Bus session bus" }
	_, err = k.Load(ctx, Keychain, place)
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
