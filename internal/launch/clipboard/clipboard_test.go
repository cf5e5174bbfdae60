package clipboard

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
)

// place is a folder with stand-ins for tools: each keeps what it gets in "clip", its
// arguments in "args", and writes "clip" where it is asked for it.
func place(t *testing.T, tools ...string) (dir string, env []string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the stand-ins are scripts of a shell that Windows does not have")
	}
	dir = t.TempDir()
	for _, name := range tools {
		script := "#!/bin/sh\necho \"$0 $*\" >>" + dir + "/args\n" +
			"case \"$0 $*\" in *paste*|*-out*|*--output*) cat " + dir + "/clip;; *--clear*) : >" + dir + "/clip;; *) cat >" + dir + "/clip;; esac\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir, []string{"PATH=" + dir + ":/usr/bin:/bin", "TERM=xterm"}
}

func TestFind(t *testing.T) {
	_, env := place(t, "pbcopy", "pbpaste", "wl-copy", "wl-paste", "xsel", "clip.exe")
	for _, x := range []struct {
		system string
		env    []string
		want   string
	}{
		{"linux", []string{"WAYLAND_DISPLAY=w", "DISPLAY=:0"}, "wl-copy"},
		{"linux", []string{"DISPLAY=:0"}, "xsel"}, // there is no xclip
		{"linux", []string{"WSL_DISTRO_NAME=Debian"}, "clip.exe"},
		{"linux", nil, "the terminal"},
		{"linux", []string{"TERM=dumb"}, ""},
		{"linux", []string{"TERM="}, ""},
		{"darwin", nil, "pbcopy"},
		{"darwin", []string{"SSH_CONNECTION=1"}, "the terminal"},
		{"windows", nil, "clip.exe"},
		{"freebsd", []string{"DISPLAY=:0"}, "xsel"},
	} {
		c, err := Find(x.system, append(append([]string{}, env...), x.env...), new(bytes.Buffer))
		switch {
		case x.want == "" && !errors.Is(err, keyturn.Unsupported):
			t.Errorf("%s %v: %v, %v", x.system, x.env, c, err)
		case x.want != "" && (err != nil || c.Name != x.want || c.Sure() != (x.want != "the terminal")):
			t.Errorf("%s %v: %+v, %v; want %s", x.system, x.env, c, err, x.want)
		}
	}
}

// TestTools: each tool gets the text on standard input and never as an argument, and
// is empty afterwards; what somebody else copied meanwhile stays.
func TestTools(t *testing.T) {
	const text = "cl1pboard-te$t\n'"
	for _, x := range []struct {
		system, env string
		tools       []string
	}{
		{"linux", "WAYLAND_DISPLAY=w", []string{"wl-copy", "wl-paste"}}, {"linux", "DISPLAY=:0", []string{"xclip"}},
		{"linux", "DISPLAY=:0", []string{"xsel"}}, {"darwin", "A=", []string{"pbcopy", "pbpaste"}}, {"windows", "A=", []string{"clip.exe"}},
	} {
		dir, env := place(t, x.tools...)
		c, err := Find(x.system, append(env, x.env), nil)
		if err != nil || c.Name != x.tools[0] {
			t.Fatalf("%v: %v, %v", x.tools, c, err)
		}
		held := func() string { b, _ := os.ReadFile(filepath.Join(dir, "clip")); return string(b) }
		if err := c.Copy(t.Context(), []byte(text)); err != nil || held() != text {
			t.Errorf("%s: %q, %v", c.Name, held(), err)
		}
		if kept, err := c.Clear(t.Context(), []byte(text)); err != nil || kept || held() != "" {
			t.Errorf("%s: cleared: %v, %v, %q", c.Name, kept, err, held())
		}
		if err := os.WriteFile(filepath.Join(dir, "clip"), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		kept, err := c.Clear(t.Context(), []byte(text))
		if tells := c.paste != nil; err != nil || kept != tells || tells && held() != "mine" {
			t.Errorf("%s: what somebody else copied: kept %v, %v, %q", c.Name, kept, err, held())
		}
		args, _ := os.ReadFile(filepath.Join(dir, "args"))
		if len(args) == 0 || strings.Contains(string(args), "cl1p") {
			t.Errorf("%s: its arguments are %s", c.Name, args)
		}
	}
}

// TestServing: a tool that stays to serve the clipboard is not waited for.
func TestServing(t *testing.T) {
	dir, env := place(t, "xclip")
	if err := os.WriteFile(filepath.Join(dir, "xclip"), []byte("#!/bin/sh\ncat >/dev/null\nsleep 30 &\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := Find("linux", append(env, "DISPLAY=:0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := c.Copy(t.Context(), []byte("x")); err != nil || time.Since(begun) > 4*time.Second {
		t.Errorf("after %s: %v", time.Since(begun), err)
	}
}

func TestTerminal(t *testing.T) {
	var out bytes.Buffer
	c, err := Find("linux", []string{"TERM=xterm", "PATH="}, &out)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Copy(t.Context(), []byte("value")); err != nil || out.String() != "\x1b]52;c;dmFsdWU=\a" {
		t.Errorf("%q, %v", out.String(), err)
	}
	out.Reset()
	if kept, err := c.Clear(t.Context(), []byte("value")); err != nil || kept || out.String() != "\x1b]52;c;\a" {
		t.Errorf("%q, %v, %v", out.String(), kept, err)
	}
	out.Reset()
	for _, bad := range [][]byte{{0xff}, {'a', 0}, bytes.Repeat([]byte("a"), maxTerminal+1)} {
		if err := c.Copy(t.Context(), bad); !errors.Is(err, keyturn.Invalid) || out.Len() > 0 {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
}

func TestWide(t *testing.T) {
	dir, env := place(t, "clip.exe")
	c, err := Find("windows", env, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Copy(t.Context(), []byte("ü€")); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "clip")); err != nil || string(b) != "\xfc\x00\xac\x20" {
		t.Errorf("%q, %v", b, err)
	}
}
