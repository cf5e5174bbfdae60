package launch

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
)

func value(s string) keyturn.Value { return keyturn.NewValue([]byte(s)) }

func TestEnvironment(t *testing.T) {
	got, err := environment(
		[]string{"A=1", "B=2", "A=3", "nonsense", "EMPTY=", "D=with=sign"},
		[]EnvVar{{"B", value("x=y\nz")}, {"C", value("")}, {"B", value("last")}, {"_9", value("\xff")}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"A=3", "EMPTY=", "D=with=sign", "C=", "B=last", "_9=\xff"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if v, ok := lookup(got, "D"); v != "with=sign" || !ok {
		t.Errorf("lookup D: %q %v", v, ok)
	}
	if _, ok := lookup(got, "nonsense"); ok {
		t.Error("a variable that is not there was found")
	}
}

func TestEnvironmentRefuses(t *testing.T) {
	for _, v := range []EnvVar{
		{"NUL", value(canary + "\x00")}, {"", value(canary)}, {"1A", value(canary)}, {"A B", value(canary)},
		{"A=B", value(canary)}, {"Ä", value(canary)}, {"A\x00", value(canary)},
	} {
		st, err := Run(t.Context(), Command{Args: []string{"true"}, Env: []EnvVar{v}})
		if !errors.Is(err, keyturn.Invalid) || st.Code != exitFailed || st.Started {
			t.Errorf("%q: %+v, %v", v.Name, st, err)
		}
		if err != nil && !strings.Contains(err.Error(), v.Name) {
			t.Errorf("%q is not named: %v", v.Name, err)
		}
		noCanary(t, err)
	}
}

func TestLookPath(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the files are those of Unix")
	}
	dir := t.TempDir()
	write := func(name string, mode os.FileMode) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("a/tool", 0o600)
	write("b/tool", 0o700)
	write("b/plain", 0o600)
	write("rel/only", 0o700)
	path := "PATH=" + dir + "/a:" + dir + "/b:rel::"
	for _, test := range []struct {
		name, dir, want string
		code            int
		hint            string
	}{
		{"tool", "", dir + "/b/tool", 0, ""},
		{"plain", "", "", exitNotExecutable, ""},
		{"absent", "", "", exitNotFound, ""},
		{"", "", "", exitNotFound, ""},
		{"only", dir, "", exitNotFound, "rel"},
		{"./b/tool", dir, dir + "/b/tool", 0, ""},
		{"rel/only", dir, dir + "/rel/only", 0, ""},
		{dir + "/b/tool", "", dir + "/b/tool", 0, ""},
		{dir + "/b/plain", "", "", exitNotExecutable, ""},
		{dir + "/b", "", "", exitNotExecutable, ""},
		{dir + "/absent", "", "", exitNotFound, ""},
		{"tool", dir + "/absent", "", exitFailed, ""},
	} {
		got, code, err := lookPath(test.name, test.dir, []string{path})
		if got != test.want || code != test.code || (err == nil) != (code == 0) {
			t.Errorf("%q in %q: %q, %d, %v", test.name, test.dir, got, code, err)
		}
		if e := keyturn.AsError(err); e != nil && !strings.Contains(e.Hint, test.hint) {
			t.Errorf("%q: hint %q lacks %q", test.name, e.Hint, test.hint)
		}
	}
	// Without PATH as execvp does it; with an empty one nowhere.
	if got, _, err := lookPath("sh", "", nil); err != nil || filepath.Base(got) != "sh" {
		t.Errorf("sh without PATH: %q, %v", got, err)
	}
	if _, code, _ := lookPath("sh", "", []string{"PATH="}); code != exitNotFound {
		t.Errorf("sh with an empty PATH: %d", code)
	}
}
