package world_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/world"
)

// project is a folder with files to migrate, each with what it is to hold.
type project struct {
	dir, ref      string
	before, after map[string]string
	values        map[string]string
}

func newProject(t *testing.T, m *world.Machine, n int) project {
	t.Helper()
	p := project{dir: filepath.Join(m.Work, fmt.Sprintf("p%d", n)), ref: fmt.Sprintf("local/p/%d", n), values: map[string]string{
		"A_TOKEN": fmt.Sprintf("made-up-token-%06d", n), "B_PASSWORD": strings.Repeat(fmt.Sprintf("made-up %d ", n), 400), "C_SECRET": fmt.Sprint("made-up-c-", n)}}
	p.before = map[string]string{
		".env":  "# of " + p.dir + "\nA_TOKEN=" + p.values["A_TOKEN"] + "\nPORT=80\nB_PASSWORD='" + p.values["B_PASSWORD"] + "' # b\n",
		"c.env": "export C_SECRET=\"" + p.values["C_SECRET"] + "\"\r\n",
	}
	p.after = map[string]string{
		".env":  "# of " + p.dir + "\nA_TOKEN=kt://" + p.ref + "#A_TOKEN\nPORT=80\nB_PASSWORD='kt://" + p.ref + "#B_PASSWORD' # b\n",
		"c.env": "export C_SECRET=\"kt://" + p.ref + "#C_SECRET\"\r\n",
	}
	if err := os.Mkdir(p.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range p.before {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p project) args() []string {
	return []string{"migrate", filepath.Join(p.dir, ".env"), filepath.Join(p.dir, "c.env"), "--to", p.ref}
}

// state tells how many of the files are rewritten; each must be the one or the
// other, whole, with its mode. After a kill one may still be for its owner only, and
// so is whatever lies beside the files.
func (p project) state(t *testing.T, when string) (rewritten int) {
	t.Helper()
	beside, err := filepath.Glob(filepath.Join(p.dir, ".keyturn*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range beside {
		if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %s is for others to read: %v (%v)", when, path, info.Mode(), err)
		}
	}
	for name := range p.before {
		path := filepath.Join(p.dir, name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		switch string(data) {
		case p.before[name]:
		case p.after[name]:
			rewritten++
		default:
			t.Fatalf("%s: %s is neither as it was nor rewritten:\n%s", when, name, data)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 && (info.Mode().Perm() != 0o600 || len(beside) == 0) {
			t.Fatalf("%s: %s has the mode %v (%v)", when, name, info.Mode(), err)
		}
	}
	return rewritten
}

// stored checks that the secret holds every value.
func (p project) stored(t *testing.T, m *world.Machine, when string) {
	t.Helper()
	var doc struct {
		Secret struct{ Values map[string]string }
	}
	out := m.Must("", "get", p.ref, "--reveal", "--allow-pipe", "-o", "json")
	if err := json.Unmarshal([]byte(out.Stdout), &doc); err != nil {
		t.Fatal(err)
	}
	for f, want := range p.values {
		if doc.Secret.Values[f] != want {
			t.Fatalf("%s: a file is rewritten and the value of %s is lost", when, f)
		}
	}
}

// only checks that nothing lies beside the files.
func (p project) only(t *testing.T, when string) {
	t.Helper()
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := p.before[e.Name()]; !ok {
			t.Errorf("%s: left behind: %s", when, e.Name())
		}
	}
}

// killed starts a command and kills it (-9) after a random time; it reports
// whether it was alive then.
func killed(t *testing.T, cmd *exec.Cmd, span time.Duration) bool {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(rand.N(span))
	_ = cmd.Process.Kill()
	return cmd.Wait() != nil
}

// TestKillMigrate kills the real program (-9) at any time of a migration of two
// files, and of taking it back: each file is as it was or rewritten, the values
// are stored before any file is, the same command again ends what was begun, and
// taking it back gives the bytes that were there. KEYTURN_SOAK says how many kills
// (12).
func TestKillMigrate(t *testing.T) {
	m := world.New(t)
	m.Must("", "init", "--key", "file")
	var usual []time.Duration
	n := 0
	for ; n < 3; n++ {
		p := newProject(t, m, n)
		began := time.Now()
		m.Must("", p.args()...)
		usual = append(usual, time.Since(began))
	}
	slices.Sort(usual)
	span := usual[1] + usual[1]/4

	want, kills := soak(t, 12), 0
	var at [3]int // kills by the number of files that were rewritten then
	resumed, back := 0, 0
	forget := func(p project) {
		if out := m.Must("", "migrate", "--list"); strings.Contains(out.Stdout, "cut off") {
			t.Fatalf("not ended:\n%s", out.Stdout)
		}
		m.Must("", "migrate", "--forget", filepath.Join(p.dir, ".env"), "--yes")
	}
	for ; kills < want; n++ {
		if n > 20*want+20 {
			t.Fatalf("only %d kills: the program ends before it can be killed", kills)
		}
		p := newProject(t, m, n)
		when := fmt.Sprintf("project %d, after a kill", n)
		if killed(t, m.Command(p.args()...), span) {
			kills++
			rewritten := p.state(t, when)
			at[rewritten]++
			if rewritten > 0 {
				p.stored(t, m, when)
			}
		}
		if out := m.Must("", p.args()...); strings.Contains(out.Stdout, "went on with") {
			resumed++
		}
		when = fmt.Sprintf("project %d, after the same command again", n)
		if p.state(t, when) != 2 {
			t.Fatalf("%s: not all files are rewritten", when)
		}
		p.stored(t, m, when)
		p.only(t, when)
		if n%2 == 0 {
			forget(p)
			continue
		}
		undo := []string{"migrate", "--rollback", filepath.Join(p.dir, ".env")}
		if killed(t, m.Command(undo...), span) {
			kills++
			back++
			p.state(t, when+", and a rollback that was killed")
		}
		if out := m.Run("", undo...); out.Status != 0 && out.Status != 3 { // 3: the killed one had ended it
			t.Fatalf("rollback after a killed one: exit status %d\n%s", out.Status, out.Stderr)
		}
		when = fmt.Sprintf("project %d, taken back", n)
		if p.state(t, when) != 0 {
			t.Fatalf("%s: not all files are as they were", when)
		}
		p.stored(t, m, when)
		p.only(t, when)
		forget(p)
	}
	var doc struct{ Migrations []struct{ ID, Phase string } }
	if err := json.Unmarshal([]byte(m.Must("", "migrate", "--list", "-o", "json").Stdout), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Migrations) != len(usual) { // those that nobody forgot
		t.Errorf("the journal holds %v", doc.Migrations)
	}
	m.Must("", "audit", "verify")
	noDebris(t, m)
	t.Logf("%d kills (%d of a rollback); with 0, 1 and 2 files rewritten: %v; %d went on from the journal; 0 values and 0 files lost", kills, back, at, resumed)
}
