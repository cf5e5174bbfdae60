package move

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/cli/command"
	"github.com/keyturn/keyturn/internal/session"
)

type migrateOptions struct {
	files            []string
	to               string
	ref              keyturn.Ref
	dryRun           bool
	rollback, resume bool
	list, forget     bool
	all              bool
	keep, only       []string
	as, from, out    string
	maps             []string
	mounts           map[string]string
	replace          bool
}

// Migrate returns the command 'keyturn migrate'.
func Migrate(c *command.Command) *cobra.Command {
	var o migrateOptions
	cmd := &cobra.Command{
		Use:   "migrate FILE... --to MOUNT/NAME",
		Short: "Move the secrets of a project's files into a store",
		Long: `Move the secrets of a project's files into a store, and leave references in their
place: .env files, compose files, Secrets of Kubernetes, plain JSON and YAML, and
what sops, Doppler and Infisical leave behind.

What moves, what stays and why is shown first. Then the values are stored, read
back and compared; what the files held is kept, encrypted, in keyturn's own
folder; and the files are rewritten, comments, order and formatting as they were.
If it is cut off, the same command goes on; --rollback takes it back, byte for
byte.

Empty, boolean, short numeric and well-known configuration values stay. In a
compose file values become ${NAME:?…}, with a .env of references beside it and
entries in the project's keyturn.yaml, so that 'keyturn run -- docker compose up'
starts it. A Secret's manifest is never rewritten: --as template makes a template
beside it.

More: docs/migrate.md`,
		Example: `  keyturn migrate .env --to local/myapp/dev --dry-run
  keyturn migrate .env --to local/myapp/dev
  keyturn migrate --rollback .env
  keyturn migrate compose.yaml --to local/myapp/compose --keep POSTGRES_USER
  keyturn migrate secret.yaml --to local/myapp/k8s --as template
  keyturn migrate --list`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.files = args
			if err := o.check(); err != nil {
				return err
			}
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error {
				m := &migrator{Command: c, s: s, o: o}
				switch {
				case o.list:
					return m.list(ctx)
				case o.forget:
					return m.forget(ctx)
				case o.rollback:
					return m.rollback(ctx)
				case o.resume:
					return m.resume(ctx)
				}
				return m.migrate(ctx)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.to, "to", "", "the secret that takes the values, `MOUNT/NAME`")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be done, and do nothing")
	f.BoolVar(&o.all, "all", false, "move every value that can move, not only those that look like secrets")
	f.StringSliceVar(&o.keep, "keep", nil, "values that stay in the file, by `NAME`")
	f.StringSliceVar(&o.only, "only", nil, "values that move, by `NAME`, and no others")
	f.BoolVar(&o.replace, "replace", false, "where the secret has another value under the same name, make a new version")
	f.StringVar(&o.as, "as", "", "what becomes of a Kubernetes manifest: `template`; sealed and external are not there yet")
	f.StringVar(&o.from, "from", "", "the tool that the file is from: `sops`, doppler or infisical; mostly it shows by itself")
	f.StringSliceVar(&o.maps, "map", nil, "which mount stands for a place in references of op and vals, `PLACE=MOUNT`, for instance op:Private=local")
	f.BoolVar(&o.rollback, "rollback", false, "write back what the files of a migration held: of its ID, of a file, or of your last one here")
	f.StringVar(&o.out, "out", "", "with --rollback: into this `FOLDER`, and leave the files as they are")
	f.BoolVar(&o.resume, "resume", false, "go on with a migration that was cut off, by its ID")
	f.BoolVar(&o.list, "list", false, "show the migrations that are kept")
	f.BoolVar(&o.forget, "forget", false, "destroy what is kept of a migration, by its ID")
	return cmd
}

// check settles what the flags mean together.
func (o *migrateOptions) check() error {
	modes := 0
	for _, on := range []bool{o.rollback, o.resume, o.list, o.forget} {
		if on {
			modes++
		}
	}
	switch {
	case modes > 1:
		return command.Usage("--rollback, --resume, --list and --forget exclude each other")
	case modes == 1 && (o.to != "" || o.dryRun || o.all || o.replace || len(o.keep)+len(o.only)+len(o.maps) > 0 || o.as != "" || o.from != ""):
		return command.Usage("--rollback, --resume, --list and --forget take none of the flags of a new migration")
	case o.list && len(o.files) > 0:
		return command.Usage("--list takes no arguments")
	case modes == 1 && len(o.files) > 1, o.forget && len(o.files) == 0:
		return command.Usage("name one migration, by its ID or by one of its files")
	case o.out != "" && !o.rollback:
		return command.Usage("--out goes with --rollback")
	case modes == 1:
		return nil
	case len(o.files) == 0:
		return keyturn.E(keyturn.Invalid, "no file was named", "for instance: keyturn migrate .env --to local/myapp")
	case o.to == "":
		return keyturn.E(keyturn.Invalid, "it is not said where the values go", "for instance: --to local/myapp")
	case len(o.keep) > 0 && len(o.only) > 0:
		return command.Usage("--keep and --only exclude each other")
	case o.all && len(o.only) > 0:
		return command.Usage("--all and --only exclude each other")
	}
	return o.words()
}

// words checks what takes one of a few words, and references.
func (o *migrateOptions) words() error {
	switch o.as {
	case "", "template":
	case "sealed", "external":
		return keyturn.E(keyturn.Unsupported, "--as "+o.as+" comes with Kubernetes, which this keyturn does not speak to yet", "--as template works now")
	default:
		return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(o.as)+"' is nothing that a manifest can become", "say --as template")
	}
	if formats := []string{"", "sops", "doppler", "infisical"}; !slices.Contains(formats, o.from) {
		e := keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(o.from)+"' is not a tool whose files are known", "there are sops, doppler and infisical; other files are read as what they are, without --from")
		switch o.from {
		case "op", "1password", "vals":
			e.Hint = "references of op and vals are found by themselves: leave --from out, and say with --map which mounts stand for their places"
		case "env", "dotenv", "compose", "kubernetes", "json", "yaml":
			e.Hint = "leave --from out: what kind of file it is shows by itself"
		}
		return e
	}
	o.mounts = map[string]string{}
	for _, m := range o.maps {
		place, mount, ok := strings.Cut(m, "=")
		if !ok || place == "" || mount == "" {
			return keyturn.E(keyturn.Invalid, "--map takes PLACE=MOUNT", "for instance --map op:Private=local")
		}
		o.mounts[place] = strings.TrimSuffix(mount, "/")
	}
	var err error
	if o.ref, err = keyturn.ParseRef(o.to); err != nil {
		return err
	}
	if o.ref.Field() != "" || o.ref.Version() != "" {
		return keyturn.E(keyturn.Invalid, "--to takes a whole secret: the names in the file become its fields", "say --to "+keyturn.Quote(o.ref.Secret().Short())).About(o.ref)
	}
	return nil
}
