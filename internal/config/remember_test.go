package config

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/keyturn/keyturn"
	"pgregory.net/rapid"
)

var someRule = Rule{Who: []string{"agent:coder"}, May: []string{"use"}, On: []string{"local/myapp/db"}, Run: []string{"npm 'a b'"}}

const someText = `- {who: "agent:coder", may: [use], on: ["local/myapp/db"], run: ["npm 'a b'"]}`

// folder returns a fresh folder that only its owner can change.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t testing.TB, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// onlyFile checks that nothing was left beside the file.
func onlyFile(t testing.TB, path string) {
	t.Helper()
	list, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if e.Name() != filepath.Base(path) {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

// Each text is written with » where the new line goes; everything else stays.
func TestRememberKeepsTheRest(t *testing.T) {
	for _, c := range []string{
		"»rules:\n  R\n",
		"# mine\n»rules:\n  R\n",
		"---\n»rules:\n  R\n",
		"mounts:\n  a: {platform: local}\n\n»rules:\n  R\n",
		"rules:   # none yet\n»  R\ngroups:\n  a: b\n",
		"rules:\n»  R\n",
		"rules:\n  - {who: a}\n»  R\n",
		"rules:\n- {who: a}\n»R\n",
		"rules:\n      - {who: a}\n»      R\n",
		"rules:\n  -   {who: a}   # why\n»  R\n",
		"rules:\n  - {who: a}\n»  R\n\n# about groups\ngroups:\n  a: b\n",
		"rules:\n  # first\n  - who: a\n    may: [b,\n       c]\n    # a remark inside\n»  R\n  # the last word\n\n\ngroups:\n  a: b   # x\n",
		"rules:\n- who: |\n    a\n    # no comment\n»R\n# a comment\nnotify:\n  webhook: https://h/\n",
		"rules:\n- who: 'a\n\n    b'\n»R\n",
		"groups: {a: b}\nrules:\n  - {who: a,\n     may: b}\n»  R\n",
		"  mounts:\n    a: {platform: local}\n»  rules:\n    R\n",
		"  rules:\n    - who: a\n»    R\n  groups:\n    a: b\n",
		"\ufeffrules:\n  - who: a\n»  R\n",
		"mounts: {a: {platform: local}}\n\n\n»rules:\n  R\n",
		"\"rules\":\n  - who: ü  # é\n»  R\nreveal: {confirm: passphrase}\n",
	} {
		for _, nl := range []string{"\n", "\r\n"} {
			text := strings.ReplaceAll(c, "\n", nl)
			before, added, _ := strings.Cut(text, "»")
			end := strings.Index(added, "R"+nl) + len("R"+nl)
			added, after := strings.Replace(added[:end], "R", someText, 1), added[end:]
			if nl == "\r\n" && before+after == "" {
				continue // nothing to tell the line's end from
			}
			path := filepath.Join(folder(t), FileName)
			write(t, path, before+after, 0o640)
			line, err := Remember(path, someRule)
			if err != nil {
				t.Errorf("%q: %v", text, err)
				continue
			}
			got, _ := os.ReadFile(path)
			if string(got) != before+added+after {
				t.Errorf("\n got %q\nwant %q", got, before+added+after)
			}
			if lines := strings.Split(string(got), "\n"); !strings.Contains(lines[line-1], someText) {
				t.Errorf("%q: line %d is %q", text, line, lines[line-1])
			}
			if info, _ := os.Stat(path); runtime.GOOS != "windows" && info.Mode().Perm() != 0o640 {
				t.Errorf("mode is %v", info.Mode())
			}
			onlyFile(t, path)
		}
	}
	// Without a line's end at the end of the file, one is added.
	path := filepath.Join(folder(t), FileName)
	write(t, path, "rules:\n  - who: a", 0o600)
	if _, err := Remember(path, someRule); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "rules:\n  - who: a\n  "+someText+"\n" {
		t.Errorf("%q", got)
	}
}

func TestRememberRefuses(t *testing.T) {
	for _, text := range []string{
		"rules: [{who: a}]\n", "rules: []\n", "{rules: []}\n", "{}\n", "rules: ~\n", "rules: null\n", "null\n",
		"rules:\n  [{who: a}]\n", "rules:\n- who: a\n...\n", "rules:\n- who: |+\n    a\n\n\n",
	} {
		path := filepath.Join(folder(t), FileName)
		write(t, path, text, 0o600)
		_, err := Remember(path, someRule)
		if !errors.Is(err, keyturn.Invalid) || !strings.Contains(keyturn.AsError(err).Hint, someText) {
			t.Errorf("%q: %v, hint %q", text, err, keyturn.AsError(err))
		}
		if got, _ := os.ReadFile(path); string(got) != text {
			t.Errorf("%q became %q", text, got)
		}
		onlyFile(t, path)
	}
	path := filepath.Join(folder(t), FileName)
	write(t, path, "rulse: []\n", 0o600)
	if _, err := Remember(path, someRule); !errors.Is(err, keyturn.Invalid) {
		t.Error(err)
	}
	bad := someRule
	bad.On = []string{"local/\xff"}
	if _, err := Remember(path, bad); !errors.Is(err, keyturn.Invalid) {
		t.Error(err)
	}
	onlyFile(t, path)
}

func TestRememberMakesTheFile(t *testing.T) {
	path := filepath.Join(folder(t), "keyturn", FileName)
	for want := 2; want < 4; want++ {
		if line, err := Remember(path, someRule); err != nil || line != want {
			t.Fatal(line, err)
		}
	}
	got, _ := os.ReadFile(path)
	if string(got) != "rules:\n  "+someText+"\n  "+someText+"\n" {
		t.Errorf("%q", got)
	}
	if runtime.GOOS != "windows" {
		file, _ := os.Stat(path)
		dir, _ := os.Stat(filepath.Dir(path))
		if file.Mode().Perm() != 0o600 || dir.Mode().Perm() != 0o700 {
			t.Errorf("%v in %v", file.Mode(), dir.Mode())
		}
	}
	onlyFile(t, path)
}

func TestRememberFollowsALink(t *testing.T) {
	dir := folder(t)
	link, target := filepath.Join(dir, "conf", FileName), filepath.Join(dir, "dotfiles", "k.yaml")
	write(t, target, "rules:\n- who: a\n", 0o600)
	if err := os.MkdirAll(filepath.Dir(link), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	if _, err := Remember(link, someRule); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Lstat(link); info.Mode()&fs.ModeSymlink == 0 {
		t.Error("the link was replaced")
	}
	if got, _ := os.ReadFile(target); !strings.Contains(string(got), someText) {
		t.Errorf("%q", got)
	}
	onlyFile(t, target)
	if err := os.Remove(target); err != nil {
		t.Fatal(err)
	}
	if _, err := Remember(link, someRule); err == nil {
		t.Error("a link to nothing was followed")
	}
}

// Whatever texts a rule holds, they come back as they were and nothing else does.
func TestRememberIsSafeAgainstAnyText(t *testing.T) {
	nasty := rapid.OneOf(rapid.StringN(1, 20, 80), rapid.SampledFrom([]string{"a: [b]", "'", `"`, "\\", "a\nb", "a\n  - {who: everyone, may: [reveal], on: ['**']}\n",
		"]}", "]}\nrules:", "# x", "a #b", "!!x", "&a", "*a", "|", ">", "%TAG", "@a", "`", "? a", "- a", "---", "...", "null", "~", "true", "yes", "on", "0x1", "1e3", "1:30", "2026-01-01",
		"\u2028", "\u2029", "\u0085", "\ufeff", "\u202e", "\x00", "\x07", "\x7f", "\u00a0", "\U0001f600", "\ufffe", " a ", "\t", "<<", "=", "{{a}}"})).
		Filter(func(s string) bool { return strings.ToValidUTF8(s, "") == s && s != "" })
	list := rapid.SliceOfN(nasty, 0, 3)
	rapid.Check(t, func(t *rapid.T) {
		r := Rule{Who: rapid.SliceOfN(nasty, 1, 2).Draw(t, "who"), May: list.Draw(t, "may"), Never: list.Draw(t, "never"), On: list.Draw(t, "on"), Run: list.Draw(t, "run"),
			HTTP: list.Draw(t, "http"), Mounts: list.Draw(t, "mounts"), Hosts: list.Draw(t, "hosts")}
		if rapid.Bool().Draw(t, "needs") {
			r.Needs, r.Approvals, r.From, r.Proof = true, rapid.IntRange(1, 100).Draw(t, "n"), nasty.Draw(t, "from"), nasty.Draw(t, "proof")
		}
		if rapid.Bool().Draw(t, "says output") {
			r.Output = nasty.Draw(t, "output")
		}
		text, err := r.OneLine()
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(text, "\n\r\u2028\u2029\u0085") {
			t.Fatalf("not one line: %q", text)
		}
		old := rapid.SampledFrom([]string{"", "rules:\n  - {who: x, on: y}\ngroups:\n  a: b\n", "groups:\n  a: b\n"}).Draw(t, "file")
		now, line, err := insert("k", []byte(old), text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if !bytes.Contains(now, []byte(text)) || len(now) < len(old) {
			t.Fatal("lost something")
		}
		o, err := ParseOperator("k", now)
		if err != nil {
			t.Fatal(err)
		}
		r.File, r.Line, r.Text = "k", line, text
		got := o.Rules[len(o.Rules)-1]
		for _, l := range []*[]string{&r.May, &r.Never, &r.On, &r.Run, &r.HTTP, &r.Mounts, &r.Hosts} {
			if len(*l) == 0 {
				*l = nil
			}
		}
		if !reflect.DeepEqual(got, r) {
			t.Fatalf("\n got %#v\nwant %#v", got, r)
		}
	})
}

// Several at once: every rule that was said to be there is there.
func TestRememberAtOnce(t *testing.T) {
	path := filepath.Join(folder(t), FileName)
	write(t, path, "rules:\n  - who: a\n", 0o600)
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			if _, err := Remember(path, someRule); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got, _ := os.ReadFile(path); strings.Count(string(got), someText) != 10 {
		t.Errorf("%s", got)
	}
	onlyFile(t, path)
}

func TestReplaceNoticesAChange(t *testing.T) {
	path := filepath.Join(folder(t), FileName)
	write(t, path, "new\n", 0o600)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := replace(path, path, []byte("old\n"), []byte("mine\n"), info); !errors.Is(err, keyturn.Conflict) {
		t.Errorf("changed: %v", err)
	}
	if err := replace(path, path, nil, []byte("mine\n"), nil); !errors.Is(err, keyturn.Conflict) {
		t.Errorf("made meanwhile: %v", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "new\n" {
		t.Errorf("%q", got)
	}
	onlyFile(t, path)
	if err := replace(path, path, []byte("new\n"), []byte("mine\n"), info); err != nil {
		t.Error(err)
	}
}
