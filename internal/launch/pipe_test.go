//go:build unix

package launch

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
)

// guard is how long a test waits before it says that something hangs.
const guard = 60 * time.Second

// piped is a driver under test whose streams are pipes; it has no terminal.
type piped struct {
	*exec.Cmd
	out, err bytes.Buffer
}

func drive(t *testing.T, d driver) *piped {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &piped{Cmd: exec.Command(exe)}
	p.Env = d.environ()
	p.Stdout, p.Stderr = &p.out, &p.err
	p.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal
	p.WaitDelay = guard
	return p
}

// wait returns the exit status as a shell would give it.
func wait(t *testing.T, c *exec.Cmd) int {
	t.Helper()
	stop := time.AfterFunc(guard, func() { _ = c.Process.Kill() })
	err := c.Wait()
	if !stop.Stop() {
		t.Fatal("it hangs")
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	ws := c.ProcessState.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		return -int(ws.Signal()) // the driver itself must not die of one
	}
	return ws.ExitStatus()
}

func (p *piped) run(t *testing.T) int {
	t.Helper()
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return wait(t, p.Cmd)
}

func sh(script string) []string { return []string{"sh", "-c", script} }

func TestExitStatus(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	big := strings.Repeat("x", 3<<20)
	for _, test := range []struct {
		args []string
		want int
		says string
	}{
		{sh("exit 0"), 0, ""},
		{sh("exit 7"), 7, ""},
		{sh("exit 255"), 255, ""},
		{sh("kill -TERM $$"), 128 + 15, ""},
		{sh("kill -KILL $$"), 128 + 9, ""},
		{[]string{"no-such-command-here"}, 127, "not_found: command not found: no-such-command-here"},
		{[]string{dir + "/absent"}, 127, "not_found"},
		{[]string{write("noexec", "", 0o600)}, 126, "invalid: cannot execute"},
		{[]string{write("noshebang", "echo hi\n", 0o700)}, 126, "invalid: not a program"},
		{[]string{write("badshebang", "#!/no/such/interpreter\n", 0o700)}, 127, "first line"},
		{[]string{dir}, 126, "is a directory"},
		{[]string{"echo", big}, 126, "too large"},
		{nil, 125, "invalid: no command"},
	} {
		for _, plain := range []bool{false, true} {
			d := driver{Args: test.args, Plain: plain}
			name := ""
			if len(test.args) > 0 {
				name = test.args[len(test.args)-1]
				name = name[:min(len(name), 60)]
			}
			if len(name) == 60 { // the driver's own environment would be too large
				st, err := Run(t.Context(), Command{Args: test.args, Inherit: os.Environ(), Env: []EnvVar{{"BIG", value("x")}}})
				if st.Code != test.want || err == nil || !strings.Contains(keyturn.AsError(err).Message, test.says) || !strings.Contains(keyturn.AsError(err).Hint, "--file") {
					t.Errorf("%s: %+v %v", name, st, err)
				}
				continue
			}
			p := drive(t, d)
			if got := p.run(t); got != test.want || !strings.Contains(p.err.String(), test.says) {
				t.Errorf("%s: %d, want %d; %s", name, got, test.want, p.err.String())
			}
			if strings.Contains(p.out.String()+p.err.String(), canary) {
				t.Errorf("%s: the value is in the output", name)
			}
			if test.says == "" && p.err.Len() > 0 {
				t.Errorf("%s: not silent: %s", name, p.err.String())
			}
		}
	}
}

func TestStatusTellsSignal(t *testing.T) {
	st, err := Run(t.Context(), Command{Args: sh("kill -USR1 $$"), Inherit: os.Environ()})
	if err != nil || st != (Status{Code: 128 + int(syscall.SIGUSR1), Signal: syscall.SIGUSR1, Started: true}) {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestFilterOnPipes(t *testing.T) {
	p := drive(t, driver{Args: sh(`echo "out $SECRET"; echo "err $SECRET" >&2; [ -t 1 ] || echo pipe; printf "$SECRET"`)})
	if code := p.run(t); code != 0 {
		t.Fatal(code, p.err.String())
	}
	if p.out.String() != "out [redacted]\npipe\n[redacted]" || p.err.String() != "err [redacted]\n" {
		t.Errorf("out %q, err %q", p.out.String(), p.err.String())
	}
	p = drive(t, driver{Plain: true, Args: sh(`echo "out $SECRET"`)})
	if p.run(t); p.out.String() != "out "+canary+"\n" {
		t.Errorf("without a filter: %q", p.out.String())
	}
}

// 2>&1 keeps its order, and a value half on each is seen.
func TestSharedOutput(t *testing.T) {
	p := drive(t, driver{Args: sh(`i=0; while [ $i -lt 200 ]; do echo "a$i"; echo "b$i" >&2; i=$((i+1)); done; printf c4n4ry; printf -- -Value-77 >&2`)})
	p.Stderr = p.Stdout
	if code := p.run(t); code != 0 {
		t.Fatal(code)
	}
	lines := strings.Split(p.out.String(), "\n")
	for i := 0; i < 400; i += 2 {
		if lines[i][1:] != lines[i+1][1:] || lines[i][0] != 'a' || lines[i+1][0] != 'b' {
			t.Fatalf("lines %q %q", lines[i], lines[i+1])
		}
	}
	if !strings.HasSuffix(p.out.String(), "[redacted]") {
		t.Error("a value split over both streams was not seen")
	}
}

func TestStdinPassesThrough(t *testing.T) {
	p := drive(t, driver{Args: []string{"cat"}})
	want := strings.Repeat("a line\x00\xff\n", 50_000)
	p.Stdin = strings.NewReader(want)
	if code := p.run(t); code != 0 || p.out.String() != want {
		t.Errorf("status %d, %d bytes of %d", code, p.out.Len(), len(want))
	}
}

// Our reader goes away: the child gets SIGPIPE, as without us.
func TestReaderGoesAway(t *testing.T) {
	for _, plain := range []bool{false, true} {
		p := drive(t, driver{Args: []string{"yes"}, Plain: plain})
		p.Stdout = nil
		out, err := p.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, 2)); err != nil {
			t.Fatal(err)
		}
		_ = out.Close()
		if code := wait(t, p.Cmd); code != 128+int(syscall.SIGPIPE) || p.err.Len() > 0 {
			t.Errorf("plain %v: %d %s", plain, code, p.err.String())
		}
	}
}

func TestFilterFails(t *testing.T) {
	for _, how := range []string{"panic", "fail"} {
		file := filepath.Join(t.TempDir(), "f")
		p := drive(t, driver{Args: sh(`while echo "$SECRET"; do :; done`), Break: how, File: file})
		code := p.run(t)
		if code == 0 || !strings.Contains(p.err.String(), "unavailable: the command's output could not be written") {
			t.Errorf("%s: %d %q", how, code, p.err.String())
		}
		if strings.Contains(p.out.String()+p.err.String(), canary) {
			t.Errorf("%s: the value came out", how)
		}
		gone(t, file)
	}
	// The child ends well before it notices: success would be a lie.
	p := drive(t, driver{Args: sh(`echo "$SECRET"`), Break: "fail"})
	if code := p.run(t); code != exitFailed {
		t.Errorf("lost output: exit status %d", code)
	}
}

// A program left behind that holds the pipe does not hold us, silent, trickling
// or flooding; what the child wrote is all there.
func TestLeftBehind(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	for _, left := range []string{
		"sleep 300 & echo $! >&2", "(while sleep 0.02; do echo more; done) & echo $! >&2", "yes & echo $! >&2",
	} {
		p := drive(t, driver{Linger: 50 * time.Millisecond, Args: sh(left + `; seq 1 20000 | sed s/^/line/; exit 3`)})
		code := p.run(t)
		if code != 3 || !strings.Contains(p.out.String(), "line20000\n") {
			t.Errorf("%s: %d, %d bytes", left, code, p.out.Len())
		}
		// The pipe's other writers end by SIGPIPE; the sleeper by its number.
		_ = exec.Command("kill", "-9", strings.TrimSpace(p.err.String())).Run()
	}
}

func TestSlowReaderLosesNothing(t *testing.T) {
	p := drive(t, driver{Linger: 10 * time.Millisecond, Args: sh(`seq 1 30000`)})
	p.Stdout = nil
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond) // longer than Linger and its tenfold
	all, err := io.ReadAll(out)
	if err != nil || !strings.HasSuffix(string(all), "\n30000\n") {
		t.Errorf("%d bytes, %v", len(all), err)
	}
	if code := wait(t, p.Cmd); code != 0 {
		t.Error(code)
	}
}

// startLines starts a driver; what it returns reads one line of its output.
func startLines(t *testing.T, p *piped) func() string {
	t.Helper()
	p.Stdout = nil
	r, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return func() string {
		var line []byte
		b := make([]byte, 1)
		for {
			if _, err := r.Read(b); err != nil {
				return string(line)
			}
			if b[0] == '\n' {
				return string(line)
			}
			line = append(line, b[0])
		}
	}
}

func TestSignalsArePassedOn(t *testing.T) {
	for name, sig := range map[string]syscall.Signal{
		"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP,
		"QUIT": syscall.SIGQUIT, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
	} {
		for _, plain := range []bool{false, true} {
			p := drive(t, driver{Plain: plain, Args: sh(`trap "echo got; exit 42" ` + name + `; echo ready; while :; do sleep 0.05; done`)})
			next := startLines(t, p)
			if l := next(); l != "ready" {
				t.Fatalf("%s: %q", name, l)
			}
			_ = p.Process.Signal(sig)
			l := next()
			if code := wait(t, p.Cmd); l != "got" || code != 42 {
				t.Errorf("%s plain %v: %q, %d", name, plain, l, code)
			}
		}
	}
}

func TestKilledBySignal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	p := drive(t, driver{File: file, Args: sh(`echo ready; exec sleep 300`)})
	next := startLines(t, p)
	next()
	if data, err := os.ReadFile(file); string(data) != canary {
		t.Error(err)
	}
	_ = p.Process.Signal(syscall.SIGTERM)
	if code := wait(t, p.Cmd); code != 128+15 {
		t.Error(code)
	}
	gone(t, file)
}

func TestIgnoredSignalStaysIgnored(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := drive(t, driver{Args: sh(`kill -HUP $$; echo alive`)})
	p.Path, p.Args = "/bin/sh", []string{"sh", "-c", "trap '' HUP; exec " + exe}
	if code := p.run(t); code != 0 || p.out.String() != "alive\n" {
		t.Errorf("%d %q", code, p.out.String())
	}
}

func TestContextEnds(t *testing.T) {
	for _, script := range []string{"exec sleep 300", `trap "" TERM; while :; do sleep 0.1; done`, `kill -STOP $$; sleep 300`} {
		file := filepath.Join(t.TempDir(), "f")
		p := drive(t, driver{Deadline: 300 * time.Millisecond, Grace: 100 * time.Millisecond, Linger: 10 * time.Millisecond, File: file, Args: sh(script)})
		code := p.run(t)
		if code != 128+15 && code != 128+9 || !strings.Contains(p.err.String(), "unavailable: the command was ended") {
			t.Errorf("%s: %d %s", script, code, p.err.String())
		}
		gone(t, file)
	}
	p := drive(t, driver{Deadline: 1, Args: sh("echo no")})
	if code := p.run(t); code != exitFailed || p.out.Len() > 0 {
		t.Errorf("ended before the start: %d %q", code, p.out.String())
	}
}

func gone(t *testing.T, file string) {
	t.Helper()
	if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", filepath.Base(file), err)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	files := []File{{one, value(canary)}, {two, value("")}}
	run := func(script string) (Status, error) {
		t.Helper()
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		st, err := Run(t.Context(), Command{Args: sh(script), Inherit: os.Environ(), Files: files, Stdout: w})
		_ = w.Close()
		out, _ := io.ReadAll(r)
		noCanary(t, err)
		if strings.Contains(string(out), canary) {
			t.Error("the value came out")
		}
		return st, err
	}
	test := `set -e; cd "` + dir + `"; [ "$(cat one)" = ` + canary + ` ]; [ -f two ]; [ ! -s two ]; set -- $(ls -l one); [ "$1" = -rw------- ] `
	old := syscall.Umask(0o777)
	st, err := run(test)
	syscall.Umask(old)
	if st.Code != 0 || err != nil {
		t.Errorf("%+v, %v", st, err)
	}
	gone(t, one)
	gone(t, two)

	// A file that the child replaced goes too; a link that it made to ours is
	// emptied; one that it removed is no failure.
	st, err = run(`cd "` + dir + `"; ln one link; cp one new; mv -f new one; rm two`)
	if st.Code != 0 || err != nil {
		t.Errorf("%+v, %v", st, err)
	}
	gone(t, one)
	if data, err := os.ReadFile(filepath.Join(dir, "link")); err != nil || len(data) > 0 {
		t.Errorf("a link to the file keeps %d bytes, %v", len(data), err)
	}

	// What cannot be removed is told.
	st, err = run(`cd "` + dir + `"; rm one; mkdir one; touch one/x`)
	if !errors.Is(err, keyturn.Unavailable) || st.Code != exitFailed || !strings.Contains(err.Error(), one) {
		t.Errorf("%+v, %v", st, err)
	}
	gone(t, two)
}

func TestFilesRefused(t *testing.T) {
	dir := t.TempDir()
	mine, fresh, link := filepath.Join(dir, "mine"), filepath.Join(dir, "fresh"), filepath.Join(dir, "link")
	if err := os.WriteFile(mine, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "target"), link); err != nil {
		t.Fatal(err)
	}
	for path, code := range map[string]keyturn.Code{
		mine: keyturn.Conflict, link: keyturn.Conflict, fresh: keyturn.Conflict,
		filepath.Join(dir, "no", "folder"): keyturn.Invalid,
	} {
		st, err := Run(t.Context(), Command{Args: sh("exit 0"), Inherit: os.Environ(),
			Files: []File{{fresh, value(canary)}, {path, value(canary)}}})
		if !errors.Is(err, code) || st.Code != exitFailed || st.Started {
			t.Errorf("%s: %+v, %v", filepath.Base(path), st, err)
		}
		noCanary(t, err)
		gone(t, fresh)
		gone(t, filepath.Join(dir, "target"))
	}
	if data, err := os.ReadFile(mine); err != nil || string(data) != "mine" {
		t.Error("a file that was there has changed")
	}
	// The start fails after the files are made.
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("#!/no/such\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, f := range []Filter{nil, func(w io.Writer) io.WriteCloser { return &mask{dst: w} }} {
		st, err := Run(t.Context(), Command{Args: []string{script}, Files: []File{{fresh, value(canary)}}, Stdout: os.Stdout, Filter: f})
		if st.Code != exitNotFound || !errors.Is(err, keyturn.NotFound) {
			t.Errorf("%+v, %v", st, err)
		}
		gone(t, fresh)
	}
}
