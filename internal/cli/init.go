package cli

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/cli/term"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/session"
)

type initOptions struct {
	key     string
	project bool
}

func initCommand(c *command) *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the local store",
		Long: `Make the local store: an encrypted file that only its root key opens.

The root key is kept in the system's keychain where there is one, else in a file
that only you can read. With --key passphrase that file opens only with a
passphrase, which is asked for, or read from the file that
KEYTURN_PASSPHRASE_FILE names; see 'keyturn store unlock'. With --project a keyturn.yaml is made in this folder,
for 'keyturn run' to find.`,
		Example: `  keyturn init
  keyturn init --key file
  keyturn init --project`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return initStore(cmd.Context(), c, o)
		},
	}
	cmd.Flags().StringVar(&o.key, "key", "", "keep the root key in the `keychain|file`, or under a passphrase")
	cmd.Flags().BoolVar(&o.project, "project", false, "make a keyturn.yaml in this folder, too")
	oneOf(cmd, "key", "keychain", "file", "passphrase")
	return cmd
}

func initStore(ctx context.Context, c *command, o initOptions) error {
	if !slices.Contains([]string{"", "keychain", "file", "passphrase"}, o.key) {
		return keyturn.E(keyturn.Invalid, "the root key can be kept in the keychain, a file, or under a passphrase, not in '"+keyturn.Clean(o.key)+"'", "say --key keychain, --key file or --key passphrase")
	}
	project := ""
	if o.project {
		var err error
		if project, err = newProject(c); err != nil {
			return err
		}
	}
	made, err := c.Create(ctx, c.How(), o.key)
	exists := keyturn.AsError(err)
	if err != nil && (exists.Code != keyturn.Conflict || project == "") {
		return err
	}
	if project != "" {
		if err := writeProject(project); err != nil {
			return err
		}
	}
	done := strings.TrimPrefix(keyturn.Clean(made.Path)+", "+keyturn.Clean(project), ", ")
	done = "made " + strings.TrimSuffix(done, ", ")
	if c.JSON() {
		doc := answer.OfStore(keyturn.CreateStore{}.Kind(), "") // which was there already
		if err == nil {
			doc = answer.CreatedStore(made)
		}
		if project != "" {
			doc.Artifacts = []string{project}
		}
		return term.Done(done, c.Print(doc))
	}
	if err == nil {
		if err := tellStore(c, made); err != nil {
			return term.Done(done, err)
		}
	}
	if project != "" {
		return term.Done(done, c.Line("made %s: name there what 'keyturn run' needs", keyturn.Clean(project)))
	}
	return nil
}

func tellStore(c *command, made session.Created) error {
	if err := c.Line("%s  %s", c.Bold("made the store"), c.Dim("→ local "+keyturn.Clean(made.Path))); err != nil {
		return err
	}
	if err := c.Line("its root key is in %s", keyturn.Clean(made.KeyAt)); err != nil {
		return err
	}
	for _, p := range describe.Protects(made.RootKey) {
		if err := c.Line("  %s", p); err != nil {
			return err
		}
	}
	switch made.RootKey {
	case "file":
		return c.Line("keep a copy of the key file somewhere else: without it nothing opens the store")
	case "passphrase":
		return c.Line("keep the passphrase, and a copy of that file somewhere else: without both nothing opens the store")
	}
	return nil
}

// newProject is the path of a project's file that does not exist yet.
func newProject(c *command) (string, error) {
	path := filepath.Join(c.Dir, config.FileName)
	if err := c.MayWrite(path); err != nil {
		return "", err
	}
	if _, err := os.Lstat(path); err == nil {
		return "", keyturn.E(keyturn.Conflict, keyturn.Clean(path)+" exists already", "edit it; 'keyturn config check' tells whether it is right")
	}
	return path, nil
}

const projectText = `# What 'keyturn run -- COMMAND' gives the command. Only references stand here, no
# values: the file can be committed. Who clones it has to trust it once.
env: {}
#  DATABASE_URL: kt://local/myapp#DATABASE_URL
`

func writeProject(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return keyturn.E(keyturn.Unavailable, keyturn.Clean(path)+" cannot be made", "check that you may write to the folder").Because(err)
	}
	_, err = f.WriteString(projectText)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = os.Remove(path)
		return keyturn.E(keyturn.Unavailable, keyturn.Clean(path)+" cannot be written", "check the space on the disk").Because(err)
	}
	return nil
}
