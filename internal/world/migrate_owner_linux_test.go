package world_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/keyturn/keyturn/internal/world"
)

// TestMigrateOfAnotherOwner: a file that belongs to somebody else, or to a group that
// the caller is not in, is refused before anything is stored, though it may be
// written. Only root can make such files.
func TestMigrateOfAnotherOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give files away")
	}
	const nobody = 65534
	m := world.New(t)
	program := filepath.Join(m.Root, "keyturn") // the test's own folder is for root only
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(program, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(to, from)
	if closeErr := to.Close(); err != nil || closeErr != nil {
		t.Fatal(err, closeErr)
	}
	if err := os.Chmod(filepath.Dir(m.Root), 0o711); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{m.Root, m.Home, m.Work, m.Temp} {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Skip(err)
		}
	}
	run := func(args ...string) world.Output {
		t.Helper()
		cmd := m.Command(args...)
		cmd.Path, cmd.Args[0] = program, "keyturn"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		var stdout, stderr strings.Builder
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			if _, exited := err.(*exec.ExitError); !exited {
				t.Skipf("nobody cannot start the program here: %v", err)
			}
		}
		return world.Output{Stdout: stdout.String(), Stderr: stderr.String(), Status: cmd.ProcessState.ExitCode()}
	}
	if out := run("init", "--key", "file"); out.Status != 0 {
		t.Fatal(out.Stderr)
	}
	const text = "A_TOKEN=made-up-token-0123456789\n"
	file := filepath.Join(m.Work, ".env")
	for _, c := range []struct{ uid, gid, status int }{{0, 0, 5}, {0, nobody, 5}, {nobody, 0, 5}, {nobody, nobody, 0}} {
		_ = os.Remove(file)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(file, c.uid, c.gid); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, 0o666); err != nil {
			t.Fatal(err)
		}
		for _, more := range [][]string{{"--dry-run"}, nil} {
			out := run(append([]string{"migrate", ".env", "--to", "local/app"}, more...)...)
			if out.Status != c.status || c.status != 0 && !strings.Contains(out.Stderr, "belongs to another user or group") {
				t.Errorf("of %d:%d, %v: exit status %d\n%s", c.uid, c.gid, more, out.Status, out.Stderr)
			}
		}
		if c.status != 0 {
			if out := run("get", "local/app"); out.Status != 3 {
				t.Errorf("of %d:%d: something is stored: %s", c.uid, c.gid, out.Stdout)
			}
			if got := string(read(t, file)); got != text {
				t.Errorf("of %d:%d: the file holds %q", c.uid, c.gid, got)
			}
			if out := run("migrate", "--list"); out.Stdout != "" {
				t.Errorf("of %d:%d: %s", c.uid, c.gid, out.Stdout)
			}
		}
	}
}
