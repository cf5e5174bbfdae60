package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
	"github.com/keyturn/keyturn/internal/health"
	"github.com/keyturn/keyturn/internal/session"
)

// doctorCommand returns the command 'keyturn doctor'.
func doctorCommand(c *command) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong, and say what to do",
		Long: `Look at everything that keyturn rests on, and say of each thing whether it is ok,
to be looked at (warn) or broken (bad), and what to do: the configuration, who
you are taken for, the store with its root key, files and disk, each mount, the
project here, work that was cut short, secrets that expire, and your shell.

It changes nothing. With warnings only the exit status is 0; with something bad
it is that of the first of internal, corrupt, sealed, expired, denied,
unavailable, conflict, not_found that occurs (docs/exit-codes.md). 'keyturn
status' is the short form.`,
		Example: `  keyturn doctor
  keyturn doctor -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := health.Check(cmd.Context(), health.Door{
				Program: &c.Program.Program,
				How:     c.How(),
				Do:      func(f func(context.Context, *session.Session) error) error { return c.Do(cmd, f) },
				Explain: c.Explain,
			})
			if err != nil {
				return err
			}
			completion(c, report)
			if err := tell(c, report); err != nil {
				return err
			}
			if bad := report.Err(); bad != nil {
				return exitStatus(bad.Code.Exit())
			}
			return nil
		},
	}
}

// tell prints a report, for people or as JSON.
func tell(c *command, report *health.Report) error {
	if c.JSON() {
		return c.Print(report.Document(c.Verbose()))
	}
	for _, x := range report.Findings {
		mark := fmt.Sprintf("%-5s", x.State)
		if x.State != health.OK {
			mark = c.Bold(mark)
		}
		lines := strings.Split(x.Message, "\n")
		if err := c.Line("%s %-13s %s", mark, x.Check, lines[0]); err != nil {
			return err
		}
		for _, l := range lines[1:] {
			if err := c.Line("%20s%s", "", l); err != nil {
				return err
			}
		}
		for l := range strings.SplitSeq(x.Next, "\n") {
			if l == "" {
				continue
			}
			if err := c.Line("%20s→ %s", "", l); err != nil {
				return err
			}
		}
	}
	switch bad, warnings := report.Count(health.Bad), report.Count(health.Warn); {
	case bad > 0:
		return c.Line("\n%d bad, %d to be looked at", bad, warnings)
	case warnings > 0:
		return c.Line("\nnothing bad, %d to be looked at", warnings)
	}
	return c.Line("\nall is well")
}

// completion adds to a report whether the shell of a person completes keyturn's commands.
func completion(c *command, r *health.Report) {
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
		if text, _, err := durable.ReadRegular(path, session.MaxInput); err == nil && strings.Contains(string(text), "keyturn completion") {
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
func completions(c *command) map[string]places {
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
