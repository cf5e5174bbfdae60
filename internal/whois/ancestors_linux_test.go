package whois

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
)

// The test program plays three parts: the test, a parent that starts a child,
// and a child that says who it thinks is calling.
func TestMain(m *testing.M) {
	switch os.Getenv("WHOIS_TEST_PART") {
	case "parent":
		cmd := exec.Command(os.Getenv("WHOIS_TEST_SELF"))
		cmd.Env = append(os.Environ(), "WHOIS_TEST_PART=child")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if cmd.Run() != nil {
			os.Exit(1)
		}
		os.Exit(0)
	case "child":
		s := Source{Environ: []string{"KEYTURN_SERVICE=ci"}, Exists: func(string) bool { return false }}
		if json.NewEncoder(os.Stdout).Encode(s.Actor()) != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// callThrough starts this program under the given name, and that starts it
// again; the answer is what the grandchild sees.
func callThrough(t *testing.T, name string, rename bool) keyturn.Actor {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := self
	if rename {
		parent = filepath.Join(t.TempDir(), name)
		if err := os.Link(self, parent); err != nil {
			b, err := os.ReadFile(self)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(parent, b, 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd := &exec.Cmd{Path: parent, Args: []string{name}, Env: []string{"WHOIS_TEST_PART=parent", "WHOIS_TEST_SELF=" + self}}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, &errs)
	}
	var a keyturn.Actor
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	return a
}

func TestRealAncestors(t *testing.T) {
	for _, c := range []struct {
		name   string
		rename bool
		agent  string
	}{{"claude", true, "claude-code"}, {"codex", false, "codex"}, {"/opt/x/cursor-agent", false, "cursor"}} {
		a := callThrough(t, c.name, c.rename)
		if a.Kind != keyturn.Agent || a.Name != c.agent || a.Proof != ByAncestor || a.For != userName() {
			t.Errorf("under %s: %+v", c.name, a)
		}
	}
	// Under an editor, the one behind it decides: here what runs this test.
	real, err := ancestors()
	if err != nil || len(real) == 0 {
		t.Fatalf("ancestors() = %v, %v", real, err)
	}
	if real[0].PID != os.Getppid() || real[0].Name == "" || len(real[0].Args) == 0 {
		t.Errorf("parent = %+v", real[0])
	}
	if _, under := agentAmong(real); !under {
		if a := callThrough(t, "cursor", true); a.Kind != keyturn.ServiceKind || a.Name != "ci" {
			t.Errorf("under an editor: %+v", a)
		}
	}
}

func TestParseStat(t *testing.T) {
	for in, w := range map[string]struct {
		name   string
		parent int
	}{
		"12 (bash) S 7 12":              {"bash", 7},
		"12 (a) S 1 (b) S 1 (x)) R 9 1": {"a) S 1 (b) S 1 (x)", 9},
		"1 (init) S 0 1":                {"init", 0},
	} {
		name, parent, err := parseStat([]byte(in))
		if err != nil || name != w.name || parent != w.parent {
			t.Errorf("%q: %q %d %v", in, name, parent, err)
		}
	}
	for _, in := range []string{"", "1", "1 (x", "1 )x( S 1", "1 (x) S", "1 (x) S x", "1 (x) S -1"} {
		if _, _, err := parseStat([]byte(in)); err == nil {
			t.Errorf("%q passes", in)
		}
	}
}

func TestLookUp(t *testing.T) {
	const passwd = "# anna:x:7:7\n+nis:x:7:\nroot:x:0:0:root:/root:/bin/bash\nbroken\n:x:7:\nanna:x:7:7::/home/anna:\nother:x:7:7::\n"
	for uid, w := range map[string]string{"0": "root", "7": "anna", "9": "", "": ""} {
		if g := lookUp(strings.NewReader(passwd), uid); g != w {
			t.Errorf("%s: %q", uid, g)
		}
	}
}

func BenchmarkActor(b *testing.B) {
	for b.Loop() {
		Source{}.Actor()
	}
}
