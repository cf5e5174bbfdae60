package cli

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/session"
)

// trustCommand returns the command 'keyturn trust'.
func trustCommand(c *command) *cobra.Command {
	return &cobra.Command{
		Use:   "trust [FILE|DIR]...",
		Short: "Trust what a project's files ask for",
		Long: `Show which secrets a project's keyturn.yaml, a .env file or a template asks for, and
trust exactly that set. 'keyturn run' and 'keyturn render' use the file only then;
where it comes to ask for something else it has to be trusted anew. Comments, and
what only narrows, do not count. Trust is by where the file is found: a copy or a
link elsewhere is another file.

Of a .env file variables that decide how programs run (PATH, LD_PRELOAD), or where
secrets go (HTTPS_PROXY, PGHOST), are shown and trusted with their texts. Its other
variables pass to the commands of agents too, for as long as they stay as they are
now; not those that lead programs elsewhere (HTTPS_PROXY, HOME), which take a rule.

Of a DIR it is the keyturn.yaml there or in the nearest folder above it; so it is of
this folder where nothing is named. Agents cannot trust.`,
		Example: `  keyturn trust
  keyturn trust .env
  keyturn trust ~/src/shop --yes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"."}
			}
			if c.JSON() && len(args) > 1 {
				return keyturn.E(keyturn.Invalid, "one answer is about one file", "name one, or leave out -o json")
			}
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error {
				for _, arg := range args {
					if err := trust(ctx, c, s, arg); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

// trustOf returns what the file or folder asks for that a person named.
func trustOf(c *command, s *session.Session, name string) (session.Trust, error) {
	path := c.Abs(name)
	info, err := os.Stat(path)
	project := s.Project
	switch {
	case err != nil || !info.IsDir() && filepath.Base(path) != config.FileName:
		data, err := c.Input(path)
		if err != nil {
			return session.Trust{}, err
		}
		if !session.IsFile(path) {
			return session.Trust{}, keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(name)+"' is no file that can be trusted: it is another each time", "name a file")
		}
		return session.TrustOfFile(name, path, data, func(n string) (string, bool) {
			i := slices.IndexFunc(c.Environ, func(kv string) bool { return strings.HasPrefix(kv, n+"=") })
			return c.Env(n), i >= 0
		})
	case name != ".":
		if !info.IsDir() {
			path = filepath.Dir(path)
		}
		operator := ""
		if s.Operator != nil {
			operator = s.Operator.File
		}
		if project, err = config.LoadProject(path, c.Env("HOME"), operator); err != nil {
			return session.Trust{}, err
		}
	}
	if project == nil {
		return session.Trust{}, keyturn.E(keyturn.NotFound, "no "+config.FileName+" in "+keyturn.Clean(path)+" or above it", "'keyturn init --project' makes one")
	}
	return session.Trust{TrustProject: session.TrustOf(project)}, nil
}

func trust(ctx context.Context, c *command, s *session.Session, name string) error {
	t, err := trustOf(c, s, name)
	if err != nil {
		return err
	}
	r, err := s.Review(ctx, t)
	if err != nil {
		return err
	}
	if r.Changed {
		if err := confirmTrust(ctx, c, r.Lines); err != nil {
			return err
		}
		res, err := s.TrustFile(ctx, t)
		if err != nil {
			return err
		}
		r.Receipt = res.Receipt
	}
	if c.JSON() {
		return c.Answer(t.TrustProject, &r.Trusted)
	}
	if !r.Known && !r.Changed {
		return c.Line("%s asks for no secrets: there is nothing to trust", keyturn.Clean(t.Path))
	}
	if !r.Changed {
		return c.Line("%s is trusted already", keyturn.Clean(t.Path))
	}
	return c.Line("trusted: %s in %s", counted(len(t.Pinned), "secret"), keyturn.Clean(filepath.Base(filepath.Dir(t.Path))+"/"+filepath.Base(t.Path)))
}

// confirmTrust shows what is asked for, and asks.
func confirmTrust(ctx context.Context, c *command, lines []string) error {
	if c.Yes {
		for _, l := range lines {
			c.Say("%s", l)
		}
		return nil
	}
	if !c.Possible() {
		for _, l := range lines {
			c.Say("%s", l)
		}
		e := keyturn.E(keyturn.Denied, "there is no terminal to ask at", "say --yes if you have looked at it")
		e.By = "person"
		return e
	}
	if err := session.Show(ctx, &c.Terminal, lines); err != nil {
		return err
	}
	yes, err := c.Confirm(ctx, "Trust it?")
	if err != nil {
		return err
	}
	if !yes {
		e := keyturn.E(keyturn.Denied, "it is not trusted: you said no", "")
		e.By = "person"
		return e
	}
	return nil
}
