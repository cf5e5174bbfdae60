package world_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/world"
)

// TestKillRekey kills 'store rekey' (-9) at any time, from one kind of root key to
// another, with a put beside it: at every moment the root key that the store names
// is kept and opens it, nothing is lost, the same command goes on, and in the end
// there is one root key and nothing else. KEYTURN_SOAK says how many kills (8).
func TestKillRekey(t *testing.T) {
	m := world.New(t)
	words := filepath.Join(m.Work, "words")
	if err := os.WriteFile(words, []byte("correct horse battery\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m = m.As("KEYTURN_PASSPHRASE_FILE=" + words)
	m.Must("", "init", "--key", "file")
	for i := range 40 {
		m.Must(strings.Repeat("x", 2000), "put", fmt.Sprintf("local/fill/%d", i), "f=-")
	}
	one := &writer{ref: "local/kill/one"}
	kinds := []string{"file", "file", "file", "passphrase", "file"}
	usual := map[string]time.Duration{}
	for _, kind := range []string{"passphrase", "file"} { // the second time from one of its own kind
		for range 2 {
			began := time.Now()
			m.Must("", "store", "rekey", "--yes", "--key", kind)
			usual[kind] = time.Since(began)
		}
	}
	kills, unfinished, want := 0, 0, soak(t, 8)
	for round := 0; kills < want; round++ {
		if round > 20*want {
			t.Fatalf("only %d kills in %d rounds", kills, round)
		}
		kind := kinds[round%len(kinds)]
		cmd, beside := m.Command("store", "rekey", "--yes", "--key", kind), one.start(t, m)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if round%3 == 0 {
			time.Sleep(rand.N(usual[kind] + usual[kind]/4))
		} else { // in the midst of it: from when the new root key is stored
			for end := time.Now().Add(5 * usual[kind]); rootKeys(m) < 2 && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(rand.N(usual["file"]))
		}
		_ = cmd.Process.Kill()
		if cmd.Wait() != nil {
			kills++
		}
		if err := beside.Wait(); err != nil {
			t.Fatalf("round %d: a put beside the killed rekey failed: %v", round, err)
		}
		one.acked = one.tried
		one.check(t, m)
		m.Must("", "audit", "verify")
		if strings.Contains(m.Must("", "status").Stdout, "unfinished") {
			unfinished++
			if round%2 == 0 {
				continue // the next one, of another kind perhaps, finds it so
			}
			m.Must("", "store", "rekey", "--yes", "--key", kind)
			if out := m.Must("", "status").Stdout; strings.Contains(out, "unfinished") {
				t.Fatalf("round %d: the same command did not go on:\n%s", round, out)
			}
			oneKey(t, m)
		}
	}
	m.Must("", "store", "rekey", "--yes", "--key", "file")
	m = m.As("KEYTURN_PASSPHRASE_FILE=")
	one.check(t, m)
	one.history(t, m)
	for i := range 40 {
		if out := m.Must("", "get", fmt.Sprintf("local/fill/%d#f", i), "--reveal", "--allow-pipe"); out.Stdout != strings.Repeat("x", 2000) {
			t.Fatalf("local/fill/%d is lost", i)
		}
	}
	m.Must("", "audit", "verify")
	oneKey(t, m)
	t.Logf("%d kills, %d left a change unfinished; 0 lost", kills, unfinished)
}

// rootKeys counts the files of root keys in the store's folder.
func rootKeys(m *world.Machine) int {
	found, _ := filepath.Glob(filepath.Join(m.Store, "*.key"))
	return len(found)
}

// oneKey checks that the store's folder has one root key, and nothing that a change
// or a backup left behind.
func oneKey(t *testing.T, m *world.Machine) {
	t.Helper()
	entries, err := os.ReadDir(m.Store)
	if err != nil {
		t.Fatal(err)
	}
	keys := 0
	for _, e := range entries {
		switch name := e.Name(); {
		case strings.HasSuffix(name, ".key"):
			keys++
		case strings.HasPrefix(name, "replaced-"), strings.Contains(name, ".key.new-"), strings.HasPrefix(name, "keyturn.db"): // swept an hour later
		default:
			t.Errorf("left behind: %s", name)
		}
	}
	if keys != 1 {
		t.Errorf("%d root keys: %v", keys, entries)
	}
}

// TestRekeyAtOnce: of two at once, one is told to wait; both leave the store whole.
func TestRekeyAtOnce(t *testing.T) {
	m := world.New(t)
	m.Must("", "init", "--key", "file")
	m.Must("v", "put", "local/a", "f=-")
	ends := make(chan error, 4)
	for range cap(ends) {
		cmd := m.Command("store", "rekey", "--yes")
		go func() { ends <- cmd.Run() }()
	}
	done := 0
	for range cap(ends) {
		err := <-ends
		var exit interface{ ExitCode() int }
		switch {
		case err == nil:
			done++
		case errors.As(err, &exit) && exit.ExitCode() == 5:
		default:
			t.Errorf("%v", err)
		}
	}
	if done == 0 {
		t.Error("none of them did it")
	}
	if out := m.Must("", "get", "local/a#f", "--reveal", "--allow-pipe"); out.Stdout != "v" {
		t.Errorf("%q", out.Stdout)
	}
	m.Must("", "audit", "verify")
	oneKey(t, m)
}
