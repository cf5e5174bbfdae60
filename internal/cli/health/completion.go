package health

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/cli/command"
	"github.com/keyturn/keyturn/internal/health"
	"github.com/keyturn/keyturn/internal/session"
)

// completion adds to a report whether the shell of a person completes keyturn's commands.
func completion(c *command.Command, r *health.Report) {
	shell := strings.TrimSuffix(filepath.Base(c.Env("SHELL")), ".exe")
	places, known := completions(c)[shell]
	if !known || r.Actor.Kind != keyturn.Person {
		return
	}
	for _, path := range places.files {
		if _, err := os.Stat(path); err == nil {
			r.OK("completion", "%s: %s", shell, path)
			return
		}
	}
	for _, path := range places.starts {
		if text, err := session.ReadFile(path); err == nil && strings.Contains(string(text), "keyturn completion") {
			r.OK("completion", "%s: %s", shell, path)
			return
		}
	}
	r.Warn("completion", "keyturn completion --help", "%s does not complete keyturn's commands and names yet", shell)
}

// places are where a shell's completion is set up: files that are there only where it is,
// and start-up files that name keyturn's completion.
type places struct{ files, starts []string }

// completions lists the shells that keyturn can set up, and where each is looked for.
func completions(c *command.Command) map[string]places {
	home := c.Env("HOME")
	if home == "" {
		return nil
	}
	or := func(name string, def ...string) string {
		if v := c.Env(name); filepath.IsAbs(v) {
			return v
		}
		return filepath.Join(append([]string{home}, def...)...)
	}
	return map[string]places{
		"bash": {[]string{filepath.Join(or("XDG_DATA_HOME", ".local", "share"), "bash-completion", "completions", "keyturn"),
			"/usr/share/bash-completion/completions/keyturn", "/usr/local/share/bash-completion/completions/keyturn",
			"/etc/bash_completion.d/keyturn", "/usr/local/etc/bash_completion.d/keyturn", "/opt/homebrew/etc/bash_completion.d/keyturn"},
			[]string{filepath.Join(home, ".bashrc"), filepath.Join(home, ".bash_profile"), filepath.Join(home, ".bash_completion")}},
		"zsh": {[]string{"/usr/share/zsh/site-functions/_keyturn", "/usr/share/zsh/vendor-completions/_keyturn",
			"/usr/local/share/zsh/site-functions/_keyturn", "/opt/homebrew/share/zsh/site-functions/_keyturn"},
			[]string{filepath.Join(or("ZDOTDIR"), ".zshrc"), filepath.Join(home, ".zshrc")}},
		"fish": {[]string{filepath.Join(or("XDG_CONFIG_HOME", ".config"), "fish", "completions", "keyturn.fish"),
			"/usr/share/fish/vendor_completions.d/keyturn.fish"},
			[]string{filepath.Join(or("XDG_CONFIG_HOME", ".config"), "fish", "config.fish")}},
	}
}
