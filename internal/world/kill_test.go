package world_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/world"
)

func TestMain(m *testing.M) { world.Main(m) }

// soak is how often a test that has no natural end repeats: KEYTURN_SOAK, or few.
func soak(t *testing.T, few int) int {
	t.Helper()
	v := os.Getenv("KEYTURN_SOAK")
	if v == "" {
		return few
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("KEYTURN_SOAK=%q is not a count", v)
	}
	return n
}

// writer is one secret that is put again and again. Every put writes its number
// into two fields, so that a torn one shows.
type writer struct {
	ref   string
	acked int // the newest put that was answered with success
	tried int // the newest put that was started
}

func (w *writer) body(n int) string {
	return fmt.Sprintf(`{"a":"%d","b":"%d","pad":%q}`, n, n, strings.Repeat(strconv.Itoa(n%10), 3000))
}

func (w *writer) start(t *testing.T, m *world.Machine) *exec.Cmd {
	t.Helper()
	w.tried++
	cmd := m.Command("put", w.ref, "--from-json", "-")
	cmd.Stdin = strings.NewReader(w.body(w.tried))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// check reads the secret back: it holds all of an acknowledged put, or of the one
// that was under way.
func (w *writer) check(t *testing.T, m *world.Machine) {
	t.Helper()
	out := m.Run("", "get", w.ref, "--reveal", "--allow-pipe", "-o", "json")
	if out.Status == 3 && w.acked == 0 {
		return // nothing was acknowledged yet
	}
	if out.Status != 0 {
		t.Fatalf("after a kill: get %s: exit status %d\n%s%s", w.ref, out.Status, out.Stdout, out.Stderr)
	}
	var doc struct {
		Secret struct{ Values map[string]string }
	}
	if err := json.Unmarshal([]byte(out.Stdout), &doc); err != nil {
		t.Fatalf("get %s: %v\n%s", w.ref, err, out.Stdout)
	}
	n, err := strconv.Atoi(doc.Secret.Values["a"])
	if err != nil {
		t.Fatalf("%s holds no number: %v", w.ref, err)
	}
	if n < w.acked {
		t.Fatalf("%s: put %d was acknowledged and is lost: it holds %d", w.ref, w.acked, n)
	}
	if n > w.tried {
		t.Fatalf("%s holds %d, which nobody put (%d)", w.ref, n, w.tried)
	}
	var want map[string]string
	if err := json.Unmarshal([]byte(w.body(n)), &want); err != nil {
		t.Fatal(err)
	}
	if got := doc.Secret.Values; len(got) != len(want) || got["b"] != want["b"] || got["pad"] != want["pad"] {
		t.Fatalf("%s: put %d is torn", w.ref, n)
	}
	w.acked = n // durable now, whether it was answered or not
}

// TestKill kills the real program (-9) at any time of a put, with another put
// beside it: no acknowledged write is lost, none is torn, nobody is kept out, and
// the audit log stays whole. KEYTURN_SOAK says how many kills (20).
func TestKill(t *testing.T) {
	m := world.New(t)
	m.Must("", "init", "--key", "file")
	writers := []*writer{{ref: "local/kill/one"}, {ref: "local/kill/two"}}
	var usual []time.Duration
	for range 5 {
		began := time.Now()
		if err := writers[0].start(t, m).Wait(); err != nil {
			t.Fatal(err)
		}
		writers[0].acked = writers[0].tried
		usual = append(usual, time.Since(began))
	}
	slices.Sort(usual)
	span := usual[len(usual)/2] + usual[len(usual)/2]/4

	want, kills, answered, survived := soak(t, 20), 0, 0, 0
	for round := 0; kills < want; round++ {
		if round > 20*want {
			t.Fatalf("only %d kills in %d rounds: the program ends before it can be killed", kills, round)
		}
		victim, other := writers[round%2], writers[(round+1)%2]
		beside, cmd := other.start(t, m), victim.start(t, m)
		time.Sleep(rand.N(span))
		_ = cmd.Process.Kill()
		if err := cmd.Wait(); err == nil {
			victim.acked = victim.tried
			answered++
		} else {
			kills++
		}
		if err := beside.Wait(); err != nil {
			t.Fatalf("round %d: a put beside the killed one failed: %v", round, err)
		}
		other.acked = other.tried
		before := victim.acked
		victim.check(t, m)
		other.check(t, m)
		if victim.acked > before {
			survived++
		}
	}
	for _, w := range writers {
		w.history(t, m)
	}
	m.Must("", "audit", "verify")
	noDebris(t, m)
	t.Logf("%d kills; %d puts were answered before their kill, %d killed ones were durable; last numbers %d and %d; 0 lost, 0 torn",
		kills, answered, survived, writers[0].acked, writers[1].acked)
}

// history checks that versions count on without gaps or doubles.
func (w *writer) history(t *testing.T, m *world.Machine) {
	t.Helper()
	var doc struct {
		Secrets []struct{ Version json.Number }
	}
	out := m.Must("", "history", w.ref, "-o", "json")
	if err := json.Unmarshal([]byte(out.Stdout), &doc); err != nil {
		t.Fatalf("history: %v\n%s", err, out.Stdout)
	}
	if len(doc.Secrets) == 0 {
		t.Fatalf("history %s -o json names no versions:\n%s", w.ref, out.Stdout)
	}
	for i, v := range doc.Secrets { // newest first
		if n, _ := v.Version.Int64(); n != int64(len(doc.Secrets)-i) {
			t.Fatalf("history of %s: version %s at place %d of %d", w.ref, v.Version, i, len(doc.Secrets))
		}
	}
}

// TestKillInit kills the making of a store: what is there afterwards is a whole
// store or none.
func TestKillInit(t *testing.T) {
	m := world.New(t)
	began := time.Now()
	m.Must("", "init", "--key", "file")
	span := time.Since(began)
	made := 0
	for range soak(t, 20) {
		if err := os.RemoveAll(m.Store); err != nil {
			t.Fatal(err)
		}
		cmd := m.Command("init", "--key", "file")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(rand.N(span + span/2))
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		switch out := m.Run("", "init", "--key", "file"); out.Status {
		case 0:
		case 5: // conflict: there is one already
			made++
		default:
			t.Fatalf("init after a killed init: exit status %d\n%s%s", out.Status, out.Stdout, out.Stderr)
		}
		m.Must("v", "put", "local/a", "b=-")
		m.Must("", "audit", "verify")
		noDebris(t, m)
	}
	t.Logf("%d of the killed ones had made their store", made)
}

// storeFiles are the files that belong into the store's folder. A half-made store
// or key (….new-…) may lie beside them: a later init removes it.
var storeFiles = map[string]bool{"keyturn.db": true, "keyturn.db-wal": true, "keyturn.db-shm": true, "root.key": true}

// noDebris checks that nothing is in the store's folder, or in the temporary one,
// that does not belong there.
func noDebris(t *testing.T, m *world.Machine) {
	t.Helper()
	for _, pattern := range []string{filepath.Join(m.Store, "*"), filepath.Join(m.Store, ".*"), filepath.Join(m.Temp, "*")} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if base := filepath.Base(f); !storeFiles[base] && !strings.HasPrefix(base, "keyturn.db.new-") && !strings.HasPrefix(base, "root.key.new-") {
				t.Errorf("left behind: %s", f)
			}
		}
	}
}
