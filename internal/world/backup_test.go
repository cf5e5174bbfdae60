package world_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/keyturn/keyturn/internal/world"
)

// ageKey writes a key for backups, and returns the files of its private and its
// public half.
func ageKey(t *testing.T) (identity, recipients string) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	identity, recipients = filepath.Join(dir, "key.txt"), filepath.Join(dir, "recipients.txt")
	for path, text := range map[string]string{identity: id.String() + "\n", recipients: id.Recipient().String() + "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return identity, recipients
}

// TestDamagedBackup cuts a backup at lengths all over it, and turns bits: each is
// refused with a code that says so, and leaves nothing behind.
func TestDamagedBackup(t *testing.T) {
	m := world.New(t)
	identity, recipients := ageKey(t)
	m.Must("", "init", "--key", "file")
	m.Must(strings.Repeat("a value ", 2000), "put", "local/a", "f=-")
	whole := filepath.Join(m.Work, "whole.age")
	m.Must("", "store", "backup", "--to", whole, "--recipients-file", recipients)
	good, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(m.Store); err != nil {
		t.Fatal(err)
	}
	codes := map[int]int{}
	refused := func(doing string, b []byte) {
		t.Helper()
		path := filepath.Join(m.Work, "bad.age")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		out := m.Run("", "store", "restore", path, "--identity", identity, "--key", "file")
		if codes[out.Status]++; out.Status != 2 && out.Status != 4 && out.Status != 12 {
			t.Errorf("%s: exit status %d\n%s", doing, out.Status, out.Stderr)
		}
		if !strings.Contains(out.Stderr, "\n  ") {
			t.Errorf("%s: no hint\n%s", doing, out.Stderr)
		}
		if _, err := os.Lstat(m.Store); err == nil {
			t.Fatalf("%s: something was left behind", doing)
		}
	}
	few := soak(t, 20)
	for i := range few {
		refused("cut", good[:len(good)*i/few])
		b := bytes.Clone(good)
		b[rand.N(len(b))] ^= 1 << rand.N(8)
		refused("a bit turned", b)
	}
	refused("one byte missing", good[:len(good)-1])
	refused("one byte more", append(bytes.Clone(good), 0))
	m.Must("", "store", "restore", whole, "--identity", identity, "--key", "file")
	m.Must("", "audit", "verify")
	oneKey(t, m)
	t.Logf("%d damaged backups of %d bytes refused, by exit status: %v", 2*few+2, len(good), codes)
}

// TestBackupDiskFull makes a backup where files cannot grow over a size that rises
// from run to run: there is a whole backup or none, and the one before stays.
func TestBackupDiskFull(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a limit of the size of files is of Unix")
	}
	m := world.New(t)
	identity, recipients := ageKey(t)
	m.Must("", "init", "--key", "file")
	m.Must(strings.Repeat("a value ", 5000), "put", "local/a", "f=-")
	m.Must("", "store", "rekey", "--yes") // which empties the WAL, so that the log has room
	backup := filepath.Join(m.Work, "b.age")
	failed, made := 0, 0
	for limit := 8; made < 3 && limit < 4000; limit += limit / 3 {
		before, _ := os.ReadFile(backup)
		out := m.Shell(fmt.Sprintf("ulimit -f %d; keyturn store backup --to %s --recipients-file %s --yes", limit, backup, recipients))
		after, _ := os.ReadFile(backup)
		switch {
		case out.Status == 0:
			made++
		case out.Status != 7:
			t.Errorf("with %d blocks: exit status %d\n%s", limit, out.Status, out.Stderr)
		default:
			if failed++; !bytes.Equal(before, after) && !strings.Contains(out.Stderr, "the change was made") {
				t.Errorf("with %d blocks: the backup that was there was changed\n%s", limit, out.Stderr)
			}
		}
		if len(after) > 0 {
			m.Must("", "store", "restore", backup, "--identity", identity, "--check")
		}
		left, _ := filepath.Glob(filepath.Join(m.Work, ".b.age*"))
		more, _ := filepath.Glob(filepath.Join(m.Store, "backup-*"))
		if len(left)+len(more) > 0 {
			t.Errorf("with %d blocks: left behind: %v %v", limit, left, more)
		}
	}
	if failed == 0 || made == 0 {
		t.Errorf("%d backups failed and %d were made: the test proves nothing", failed, made)
	}
	m.Must("", "audit", "verify")
	t.Logf("%d backups failed for want of space, %d were made", failed, made)
}

// TestKillRestore kills 'store restore --replace' at any time: there is the store
// that was there, the restored one, or one that the next run puts there; nothing is
// deleted, and in the end the log tells of what was replaced.
func TestKillRestore(t *testing.T) {
	m := world.New(t)
	identity, recipients := ageKey(t)
	m.Must("", "init", "--key", "file")
	m.Must("old", "put", "local/a", "f=-")
	backup := filepath.Join(m.Work, "b.age")
	m.Must("", "store", "backup", "--to", backup, "--recipients-file", recipients)
	m.Must("new", "put", "local/a", "f=-")
	args := []string{"store", "restore", backup, "--identity", identity, "--key", "file", "--replace", "--yes"}
	began := time.Now()
	m.Must("", args...)
	span := time.Since(began)
	kills, between := 0, 0
	for range 10 * soak(t, 12) {
		if kills == soak(t, 12) {
			break
		}
		m.Must("new", "put", "local/a", "f=-")
		cmd := m.Command(args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(rand.N(span + span/4))
		_ = cmd.Process.Kill()
		if cmd.Wait() != nil {
			kills++
		}
		if _, err := os.Lstat(filepath.Join(m.Store, "keyturn.db")); err != nil {
			between++
			m.Must("", args...)
			out := m.Must("", "audit", "list", "--op", "restore-store", "-o", "json")
			if !strings.Contains(out.Stdout, `"replaced"`) {
				t.Fatalf("what was replaced by a restore that was killed is not on record:\n%s", out.Stdout)
			}
		}
		out := m.Must("", "get", "local/a#f", "--reveal", "--allow-pipe")
		if out.Stdout != "old" && out.Stdout != "new" {
			t.Fatalf("the store holds %q", out.Stdout)
		}
		m.Must("", "audit", "verify")
	}
	m.Must("", args...)
	oneKey(t, m)
	t.Logf("%d kills, %d of them between the old store and the new one", kills, between)
}
