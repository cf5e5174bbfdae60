package browser

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/keyturn/keyturn"
)

// TestOpen: a page is opened by the desktop's own program, which gets the address
// and nothing of a shell; where there is none to open it that is said.
func TestOpen(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems have another program for it")
	}
	dir := t.TempDir()
	tool := func(name, script string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "xdg-open"), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
			t.Fatal(err)
		}
		return "PATH=" + path
	}
	opened := filepath.Join(dir, "opened")
	works := tool("works", `printf '%s|' "$#" "$1" "$VISIBLE" > `+opened+"\n")
	const page = "https://login.example.com/?a=$(id)&b=';c"
	if err := Open(t.Context(), []string{works, "DISPLAY=:0", "VISIBLE=yes"}, page); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(opened); string(got) != "1|"+page+"|yes|" {
		t.Errorf("it was opened with %s", got)
	}
	for name, c := range map[string]struct {
		environ []string
		page    string
	}{
		"no desktop": {[]string{works}, page},
		"far away":   {[]string{works, "DISPLAY=:0", "SSH_CONNECTION=1 2 3 4"}, page},
		"no program": {[]string{"PATH=" + dir, "WAYLAND_DISPLAY=w"}, page},
		"it fails":   {[]string{tool("fails", "exit 3\n"), "DISPLAY=:0"}, page},
		"a file":     {[]string{works, "DISPLAY=:0"}, "file:///etc/passwd"},
		"a flag":     {[]string{works, "DISPLAY=:0"}, "--help"},
	} {
		_ = os.Remove(opened)
		if err := Open(t.Context(), c.environ, c.page); !errors.Is(err, keyturn.Unsupported) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(opened); err == nil {
			t.Errorf("%s: something was opened", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Open(ctx, []string{tool("slow", "exec sleep 2\n"), "DISPLAY=:0", "PATH=" + filepath.Join(dir, "slow") + ":/bin:/usr/bin"}, page); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
