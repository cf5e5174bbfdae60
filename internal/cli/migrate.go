package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/cli/term"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/migrate"
	"github.com/keyturn/keyturn/internal/session"
)

// migrateOptions are the flags of 'keyturn migrate'.
type migrateOptions struct {
	migrate.Options
	to, out                        string
	maps                           []string
	rollback, resume, list, forget bool
}

// migrateCommand returns the command 'keyturn migrate'.
func migrateCommand(c *command) *cobra.Command {
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
			o.Files = args
			if err := o.check(); err != nil {
				return err
			}
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error {
				m := &migrator{command: c, o: o, migrations: &migrate.Migrator{Session: s, Dir: c.Dir, Env: c.Env, Yes: c.Yes}}
				switch {
				case o.list:
					return m.list(ctx)
				case o.forget:
					return m.forget(ctx)
				case o.rollback && o.out != "":
					return m.extract(ctx)
				case o.rollback:
					return m.takeBack(ctx)
				case o.resume:
					return m.resume(ctx)
				}
				return m.migrate(ctx)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.to, "to", "", "the secret that takes the values, `MOUNT/NAME`")
	f.BoolVar(&o.DryRun, "dry-run", false, "show what would be done, and do nothing")
	f.BoolVar(&o.All, "all", false, "move every value that can move, not only those that look like secrets")
	f.StringSliceVar(&o.Keep, "keep", nil, "values that stay in the file, by `NAME`")
	f.StringSliceVar(&o.Only, "only", nil, "values that move, by `NAME`, and no others")
	f.BoolVar(&o.Replace, "replace", false, "where the secret has another value under the same name, make a new version")
	f.StringVar(&o.As, "as", "", "what becomes of a Kubernetes manifest: `template`; sealed and external are not there yet")
	f.StringVar(&o.From, "from", "", "the tool that the file is from: `sops`, doppler or infisical; mostly it shows by itself")
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
		return usage("--rollback, --resume, --list and --forget exclude each other")
	case modes == 1 && (o.to != "" || o.DryRun || o.All || o.Replace || len(o.Keep)+len(o.Only)+len(o.maps) > 0 || o.As != "" || o.From != ""):
		return usage("--rollback, --resume, --list and --forget take none of the flags of a new migration")
	case o.list && len(o.Files) > 0:
		return usage("--list takes no arguments")
	case modes == 1 && len(o.Files) > 1, o.forget && len(o.Files) == 0:
		return usage("name one migration, by its ID or by one of its files")
	case o.out != "" && !o.rollback:
		return usage("--out goes with --rollback")
	case modes == 1:
		return nil
	case len(o.Files) == 0, o.to == "":
		return o.Check()
	case len(o.Keep) > 0 && len(o.Only) > 0:
		return usage("--keep and --only exclude each other")
	case o.All && len(o.Only) > 0:
		return usage("--all and --only exclude each other")
	}
	o.Mounts = map[string]string{}
	for _, m := range o.maps {
		place, mount, ok := strings.Cut(m, "=")
		if !ok || place == "" || mount == "" {
			return keyturn.E(keyturn.Invalid, "--map takes PLACE=MOUNT", "for instance --map op:Private=local")
		}
		o.Mounts[place] = strings.TrimSuffix(mount, "/")
	}
	var err error
	if o.To, err = keyturn.ParseRef(o.to); err != nil {
		return err
	}
	return o.Check()
}

// migrator is one run of the command.
type migrator struct {
	*command
	migrations *migrate.Migrator
	o          migrateOptions
}

// named is the migration that the command line names; "" for none.
func (m *migrator) named() string {
	if len(m.o.Files) == 0 {
		return ""
	}
	return m.o.Files[0]
}

// migrate runs a new migration, or goes on with one of the same files.
func (m *migrator) migrate(ctx context.Context) error {
	p, err := m.migrations.Plan(ctx, m.o.Options)
	if err != nil {
		return err
	}
	defer p.Close()
	if p.CutOff != nil {
		return m.wentOn(p.Apply(ctx))
	}
	if !m.JSON() {
		if err := m.showPlan(p); err != nil {
			return err
		}
	}
	if err := p.CheckMount(); err != nil {
		return err
	}
	if m.o.DryRun || p.Empty() {
		return m.planned(p)
	}
	if err := p.Confirm(ctx); err != nil {
		return err
	}
	out, err := p.Apply(ctx)
	if err != nil {
		return m.halfDone(err)
	}
	return m.done(p, out)
}

// halfDone tells how to go on after an interrupt, and returns other errors as they
// are.
func (m *migrator) halfDone(err error) error {
	var half *migrate.Interrupted
	if !errors.As(err, &half) {
		return err
	}
	m.Say("the migration %s is half done; go on with: keyturn migrate --resume %s", half.ID, half.ID)
	return term.ErrInterrupted
}

// showPlan prints what moves and what stays, and why.
func (m *migrator) showPlan(p *migrate.Plan) error {
	var rows [][]string
	last := ""
	for _, x := range p.Values {
		file, becomes := "", "stays"
		if x.File != last {
			file, last = keyturn.Clean(x.File), x.File
		}
		if !x.Ref.IsZero() {
			becomes = keyturn.Clean(x.Ref.Short())
		}
		rows = append(rows, []string{file, keyturn.Clean(x.Name), becomes, keyturn.Clean(x.Why)})
	}
	if len(rows) == 0 {
		return nil
	}
	return m.Table([]string{"FILE", "NAME", "BECOMES", "WHY"}, rows)
}

// tell says what the owner of the files should know beside the answer.
func (m *migrator) tell(p *migrate.Plan, notices []string) {
	for _, f := range p.Files {
		if f.Link() {
			m.Say("note: %s is a link; the file is %s", keyturn.Clean(f.Name()), keyturn.Clean(f.Path()))
		}
	}
	for _, n := range notices {
		m.Say("note: %s", keyturn.CleanLines(n))
	}
}

// planned prints the end where nothing is to be done: a dry run, or nothing to move.
func (m *migrator) planned(p *migrate.Plan) error {
	if m.JSON() {
		return m.Print(p.Document())
	}
	m.tell(p, p.Notices)
	if p.Empty() {
		return m.Line("nothing to migrate")
	}
	said := "would write"
	if n := len(p.Fields()); n > 0 {
		said = "would store " + migrate.Counted(n, "value") + " in " + keyturn.Clean(p.To.Short())
		if len(p.Files) > 0 {
			said += " and write"
		}
	}
	return m.Line("%s%s; nothing was done (--dry-run)", said, namesOf(p, " "))
}

// namesOf are the names of the files that are written, in a sentence after before.
func namesOf(p *migrate.Plan, before string) string {
	var out []string
	for _, f := range p.Files {
		out = append(out, keyturn.Clean(f.Name()))
	}
	if len(out) == 0 {
		return ""
	}
	return before + strings.Join(out, ", ")
}

// done prints what was done, and what comes next.
func (m *migrator) done(p *migrate.Plan, out *migrate.Outcome) error {
	said := stored(p, out)
	if m.JSON() {
		return term.Done(said, m.Print(out.Document(p)))
	}
	m.tell(p, out.Notices)
	lines := []string{}
	if len(p.Fields()) > 0 {
		lines = append(lines, said+"  "+m.Dim("→ "+answer.Target(out.Receipt, out.Target)))
	}
	if len(p.Files) > 0 {
		lines = append(lines, filesWritten(namesOf(p, ""), out))
	}
	for _, n := range p.Next {
		lines = append(lines, "use it with: "+m.Bold(n))
	}
	for _, l := range lines {
		if err := m.Line("%s", l); err != nil {
			return term.Done(said, err)
		}
	}
	for _, t := range out.Todo {
		m.Say("note: %s", t)
	}
	return nil
}

// stored says in a sentence what was stored.
func stored(p *migrate.Plan, out *migrate.Outcome) string {
	name, n := keyturn.Clean(p.To.Short()), len(p.Fields())
	switch {
	case n == 0:
		return "wrote" + namesOf(p, " ")
	case !out.Written:
		return name + " held " + migrate.Counted(n, "value") + " already, the same"
	}
	return "stored " + migrate.Counted(n, "value") + " in " + name + " version " + keyturn.Clean(out.Secret.Version) + ", read back and compared"
}

// filesWritten says which files were written, and to a caller who may take that back, how.
func filesWritten(files string, out *migrate.Outcome) string {
	if !out.MayTakeBack {
		return "wrote " + files
	}
	return "wrote " + files + "; take it back with: keyturn migrate --rollback " + out.Migration.ID
}

// list shows the migrations that are kept.
func (m *migrator) list(ctx context.Context) error {
	all, err := m.migrations.List(ctx)
	if err != nil {
		return err
	}
	if m.JSON() {
		return m.Answer(keyturn.ListMigrations{}, all)
	}
	var rows [][]string
	for _, x := range all.Migrations {
		var files []string
		for _, f := range x.Files {
			files = append(files, keyturn.Clean(f.Path))
		}
		phase := x.Phase
		if x.Open() && x.Phase != keyturn.MigrationBegun {
			phase += ", cut off"
		}
		rows = append(rows, []string{x.ID, describe.When(x.Began), phase, keyturn.Clean(x.Ref.Short()), strings.Join(files, " ")})
	}
	if len(rows) == 0 && m.OnTerminal() {
		return m.Line("no migrations are kept")
	}
	return m.Columns([]string{"ID", "BEGAN", "PHASE", "INTO", "FILES"}, rows)
}

// resume goes on with a migration that was cut off.
func (m *migrator) resume(ctx context.Context) error {
	return m.wentOn(m.migrations.Resume(ctx, m.named()))
}

// wentOn prints the end of a migration that was cut off.
func (m *migrator) wentOn(out *migrate.Outcome, err error) error {
	if err != nil {
		return m.halfDone(err)
	}
	for _, n := range out.Notices {
		m.Say("note: %s", n)
	}
	x := out.Found
	said := "went on with the migration " + x.ID + ", which was cut off: " + migrate.Counted(len(x.Fields), "value") + " in " + keyturn.Clean(x.Ref.Short())
	return m.ended(out, keyturn.ResumeMigration{}, said, filesWritten(migrate.Paths(x), out))
}

// takeBack writes back what the files held.
func (m *migrator) takeBack(ctx context.Context) error {
	out, err := m.migrations.TakeBack(ctx, m.named())
	if err != nil {
		return err
	}
	x := out.Found
	return m.ended(out, keyturn.RevertMigration{}, "taken back: "+migrate.Paths(x)+" as before the migration "+x.ID,
		keyturn.Clean(x.Ref.Short())+" stays in the store; if nothing uses it: keyturn delete "+keyturn.Quote(x.Ref.Short()))
}

// extract puts what the files held into the folder of --out.
func (m *migrator) extract(ctx context.Context) error {
	out, err := m.migrations.Extract(ctx, m.named(), m.o.out)
	if err != nil {
		return err
	}
	if m.JSON() {
		doc, err := answer.Of(keyturn.RevertMigration{Out: m.o.out}, &out.Migrated, answer.About{})
		if err != nil {
			return err
		}
		doc.Artifacts = out.Wrote
		return m.Print(doc)
	}
	for _, w := range out.Wrote {
		if err := m.Line("wrote %s, for its owner only", keyturn.Clean(w)); err != nil {
			return err
		}
	}
	return nil
}

// forget destroys what is kept of a migration.
func (m *migrator) forget(ctx context.Context) error {
	out, err := m.migrations.Forget(ctx, m.named())
	if err != nil {
		return err
	}
	return m.ended(out, keyturn.ForgetMigration{}, "destroyed what "+migrate.Paths(out.Found)+" held before the migration "+out.Found.ID)
}

// ended prints the answer of an operation on an earlier migration.
func (m *migrator) ended(out *migrate.Outcome, op keyturn.Op, said string, next ...string) error {
	if m.JSON() {
		return term.Done(said, m.Answer(op, &out.Migrated))
	}
	for _, l := range append([]string{said}, next...) {
		if err := m.Line("%s", l); err != nil {
			return term.Done(said, err)
		}
	}
	return nil
}
