package config

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const pinned = `mounts:
  vault: {platform: vault, address: "https://vault.example.com:8200"}
groups:
  web: ["user:anna"]
rules:
  - {who: agents, may: [list], on: ["local/**"]}
  - {who: agents, never: [reveal], on: ["**"]}
reveal: {confirm: passphrase}
audit:
  identifiers: hmac
  forward:
    - {file: /var/log/k.jsonl, required: true}
`

// What a file means is its digest; how it says that, and where it is, is not.
func TestDigest(t *testing.T) {
	digest := func(name, text string) string {
		o, err := ParseOperator(name, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return o.Digest()
	}
	want := digest("/a", pinned)
	if len(want) != 64 || (*Operator)(nil).Digest() != "" {
		t.Error(want)
	}
	for _, same := range []string{"# a comment\n\n" + pinned, strings.ReplaceAll(pinned, "\n", "\r\n"), strings.Replace(pinned, `["user:anna"]`, "\n    - user:anna # she", 1),
		strings.Replace(pinned, `{who: agents, may: [list], on: ["local/**"]}`, "who: agents\n    may: list\n    on: 'local/**'", 1)} {
		if digest("/b", same) != want {
			t.Errorf("another digest:\n%s", same)
		}
	}
	for old, now := range map[string]string{"8200": "8201", "user:anna": "user:ben", "[list]": "[list, use]", "never": "may", "passphrase": "passphrase # yes\n", "hmac": "plain",
		"true": "false", "/var/log/k": "/var/log/l", "confirm: passphrase": ""} {
		text := strings.Replace(pinned, old, now, 1)
		if text == pinned {
			t.Fatal(old)
		}
		if same := old == "passphrase"; (digest("/a", text) == want) != same {
			t.Errorf("%q for %q: the same digest is %v", now, old, !same)
		}
	}
}

// A rule is remembered also where audit stands behind the rules, whose lines move.
func TestRememberBeforeAudit(t *testing.T) {
	path := filepath.Join(folder(t), FileName)
	write(t, path, pinned, 0o600)
	if line, err := Remember(path, someRule); err != nil || line != 8 {
		t.Error(line, err)
	}
}

func TestRooted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("owners are not looked at there")
	}
	if !rooted("/etc/passwd", 1000) {
		t.Error("/etc/passwd is root's")
	}
	for _, path := range []string{"/etc", "etc/passwd", "/etc/no such file"} {
		if rooted(path, 1000) {
			t.Error(path)
		}
	}
	if rooted("/etc/passwd", 0) {
		t.Error("root could change it")
	}
	// A link of root's that stands where everybody may put another.
	link := filepath.Join(folder(t), "link")
	if err := os.Symlink("/etc/passwd", link); err != nil {
		t.Fatal(err)
	}
	if rooted(link, 1000) {
		t.Error("a link in a folder that all may write to")
	}
	if o, err := LoadPinned(filepath.Join(folder(t), "gone.yaml"), pinned); err != nil || o.Digest() == "" || o.Text != pinned || !o.Audit.HideNames {
		t.Error("the text that was pinned counts, whatever is there now:", err)
	}
}

func TestDiffText(t *testing.T) {
	for _, c := range []struct{ old, now, want string }{
		{"", "", ""}, {"a\nb\n", "a\nb", ""}, {"a\r\nb", "a\nb\n", ""}, {"", "x\ny\n", "+ x|+ y"}, {"x\n", "", "- x"},
		{"a\nb\nc\nd\n", "a\nx\nc\ny\nd\n", "- b|+ x|+ y"}, {"a\n", "a\x1b[2J\n", "- a|+ a\\u{1b}[2J"},
	} {
		if got := strings.Join(DiffText(c.old, c.now), "|"); got != c.want {
			t.Errorf("%q to %q: %q, want %q", c.old, c.now, got, c.want)
		}
	}
	many := func(s string) string { return strings.Repeat(s+"\n", 3000) }
	got := DiffText(many("a"), many("b")) // too many for the table
	if slices.Sort(got); len(got) != 6000 || cmp.Diff(got[0]+got[5999], "+ b- a") != "" {
		t.Error(len(got))
	}
}

// TestLineBreaks: a line break that does not look like one makes no rule of what looks like
// a comment: the file is refused, with the line. CRLF is a line break.
func TestLineBreaks(t *testing.T) {
	for _, sign := range []string{"\r", "\u0085", "\u2028", "\u2029"} {
		text := "rules:\r\n  # a comment" + sign + "  - {who: agents, may: [reveal], on: [\"**\"]}\n"
		if _, err := ParseOperator("/c.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), "/c.yaml:2: ") {
			t.Errorf("%q: %v", sign, err)
		}
	}
	if _, err := ParseOperator("/c.yaml", []byte(strings.ReplaceAll(pinned, "\n", "\r\n"))); err != nil {
		t.Error(err)
	}
}

// TestDiffTextIsSeen: blanks push nothing away, and nothing in the difference is unseen.
func TestDiffTextIsSeen(t *testing.T) {
	got := DiffText("rules: []\n", "rules: []"+strings.Repeat(" ", 3000)+"# \u202ex\n")
	if want := []string{"- rules: []", `+ rules: []\u{20×3000}# \u{202e}x`}; !slices.Equal(got, want) {
		t.Error(got)
	}
}
