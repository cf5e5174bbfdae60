package home

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/verify"
	"github.com/keyturn/keyturn/internal/backup"
	"github.com/keyturn/keyturn/internal/durable"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/rules"
	"github.com/keyturn/keyturn/internal/session"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/rootkey"
)

// restoring is one restore on its way: the backup is opened and verified in a private
// folder, becomes a store of its own there, and is then published.
type restoring struct {
	Folder
	o    session.RestoreOptions
	rule string

	dir      string // private, below the home folder
	manifest backup.Manifest
	root     []byte // the backup's root key
	found    *found // the store that is there already; nil for none
	out      session.Restored
}

// Restore puts a backup in the place of the store, or only verifies it. The backup is
// opened and verified first, and never replaces another store. A restore that is cut off
// goes on when it is run again.
func (f Folder) Restore(ctx context.Context, o session.RestoreOptions) (session.Restored, error) {
	r := &restoring{Folder: f, o: o}
	if err := r.allowed(); err != nil {
		return r.out, r.refused(ctx, err)
	}
	home := r.Facts.Home
	if _, err := os.Lstat(home); errors.Is(err, fs.ErrNotExist) {
		defer os.Remove(home) // which fails where anything is in it
	}
	if err := guard(home); err != nil {
		return r.out, err
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return r.out, unwritten(home, err)
	}
	release, err := rootkey.Hold(home)
	if err != nil {
		return r.out, err
	}
	defer release()
	r.sweep(ctx)
	if r.dir, err = scratch(home, scratchPrefix); err != nil {
		return r.out, err
	}
	defer os.RemoveAll(r.dir)
	if err := r.unpack(ctx); err != nil {
		return r.out, err
	}
	defer clear(r.root)
	if o.Check {
		return r.out, r.verify(ctx)
	}
	if err := r.verify(ctx); err != nil {
		return r.out, err
	}
	if r.found, err = r.look(ctx); err != nil {
		return r.out, err
	}
	if err := r.replaces(ctx); err != nil {
		return r.out, err
	}
	return r.out, r.install(ctx)
}

const (
	scratchPrefix = "restore-"
	maxNote       = 64 << 10
	noteName      = "root-key.json" // in the private folder: which root key was made for it
)

// made says which root key was made for a store that is not published yet.
type made struct {
	Store string `json:"store"`
	spot
}

// note writes down which root key is about to be made.
func (r *restoring) note(kind, place string) error {
	text, err := json.Marshal(made{r.manifest.Store, spot{Kind: kind, Place: place}})
	if err != nil {
		return err
	}
	path := filepath.Join(r.dir, noteName)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return unwritten(path, err)
	}
	return nil
}

// sweep removes the folders and the root keys that killed restores left behind, but not
// the root key that the store names. The caller holds the lock on restores.
func (r *restoring) sweep(ctx context.Context) {
	left, _ := filepath.Glob(filepath.Join(r.Facts.Home, scratchPrefix+"*"))
	if len(left) == 0 {
		return
	}
	now, err := state.Peek(ctx, r.Facts.Home, r.Options)
	if err != nil && !errors.Is(err, keyturn.NotFound) {
		return // which root key it needs is not known
	}
	for _, dir := range left {
		var m made
		if text, _, err := durable.ReadRegular(filepath.Join(dir, noteName), maxNote); err == nil && json.Unmarshal(text, &m) == nil && m.spot != spotOf(now) {
			_ = rootkey.Keeper{Dir: r.Facts.Home, Store: m.Store}.Remove(m.Kind, m.Place)
		}
		_ = os.RemoveAll(dir)
	}
}

// allowed decides as broker would, which needs a store to be there.
func (r *restoring) allowed() error {
	op := keyturn.RestoreStore{}
	d := r.Facts.Rules.Decide(rules.Request{Actor: r.Facts.Actor, Verb: op.Verb()})
	if r.Facts.Actor.Kind == keyturn.Person && d.Effect == rules.Allow {
		r.rule = d.Where()
		return nil
	}
	why := d.Why
	if r.Facts.Actor.Kind != keyturn.Person {
		why = "only a person may back up or restore the whole store"
	}
	e := keyturn.E(keyturn.Denied, r.Facts.Actor.Principal()+" may not restore a store: "+why, "a person has to do it, at a terminal of their own")
	e.By = "rule"
	return e
}

// refused records the refusal of a restore in the store that is there, if it opens, and
// returns why.
func (r *restoring) refused(ctx context.Context, why error) error {
	f := r.Folder
	f.How.Silent = true
	there, err := f.Open(ctx)
	if err != nil {
		return why
	}
	defer there.Close()
	op := keyturn.RestoreStore{Store: there.db.Stats().ID}
	form, err := keyturn.EncodeOp(op)
	if err != nil {
		return err
	}
	hash, err := keyturn.HashOp(op)
	if err != nil {
		return err
	}
	log, forwarded, err := there.Log(ctx)
	if err != nil {
		return err
	}
	defer forwarded()
	err = log.Append(context.WithoutCancel(ctx), keyturn.Record{ID: keyturn.NewID(r.Now()), Phase: keyturn.Refusal, Actor: &r.Facts.Actor, Door: "cli",
		Op: form, OpHash: hash.String(), Code: keyturn.Denied, Status: "denied", Config: r.Facts.Operator.Digest()})
	if err != nil {
		keyturn.AsError(why).Err = err
	}
	return why
}

// unpack decrypts the backup into the private folder.
func (r *restoring) unpack(ctx context.Context) error {
	shown := "the backup '" + keyturn.Clean(r.o.File) + "'"
	src, err := durable.OpenInput(ctx, r.abs(r.o.File))
	if errors.Is(err, fs.ErrNotExist) {
		return keyturn.E(keyturn.NotFound, "there is no backup '"+keyturn.Clean(r.o.File)+"'", "name the file that 'keyturn store backup' made").Because(err)
	}
	if errors.Is(err, fs.ErrPermission) {
		return keyturn.E(keyturn.Unavailable, shown+" cannot be read", "check that you may read it").Because(err)
	}
	if err != nil {
		return session.Unread(ctx, shown, err)
	}
	defer src.Close()
	ids, err := r.identities(ctx)
	if err != nil {
		return err
	}
	path := filepath.Join(r.dir, state.File)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return unwritten(path, err)
	}
	var key []byte
	r.manifest, key, err = backup.Read(src, ids, until(ctx, f))
	defer clear(key)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return unwritten(path, err)
	}
	var ok bool
	if r.root, ok = rootkey.Parse(key); !ok {
		return brokenBackup(nil)
	}
	r.out.ID, r.out.Made, r.out.Writer = r.manifest.Store, r.manifest.Time, r.manifest.Writer
	r.out.Log = keyturn.LogMark{Size: r.manifest.Log.Size, Root: r.manifest.Log.Root}
	return nil
}

// identities returns the keys that the caller named to open the backup with.
func (r *restoring) identities(ctx context.Context) (ids backup.Identities, err error) {
	for _, name := range r.o.Identities {
		text, err := session.ReadFile(ctx, r.Dir, name)
		if err != nil {
			return ids, err
		}
		more, err := backup.ParseIdentities(text, func() (keyturn.Value, error) {
			if !r.How.Desk.Possible() {
				return keyturn.Value{}, keyturn.E(keyturn.Invalid, "the identity '"+keyturn.Clean(name)+"' has a passphrase of its own, and there is no terminal to ask for it", "do it in a terminal")
			}
			return r.How.Desk.Secret(ctx, "Passphrase of the identity "+name)
		})
		clear(text)
		if err != nil {
			return ids, err
		}
		ids = ids.And(more)
	}
	if r.o.Passphrase {
		pass, err := r.backupPassphrase(ctx, false)
		if err != nil {
			return ids, err
		}
		more, err := backup.PassphraseIdentity(pass)
		if err != nil {
			return ids, err
		}
		ids = ids.And(more)
	}
	if ids.Empty() {
		return ids, keyturn.E(keyturn.Invalid, "nothing was given that could open the backup", "say --identity KEYFILE, or --passphrase")
	}
	return ids, nil
}

func brokenBackup(err error) error {
	e := keyturn.E(keyturn.Corrupt, "what is in the backup is not a whole store", "nothing was restored; take an older backup").Because(err)
	if err != nil {
		e.Message += ": " + keyturn.AsError(err).Message
	}
	return e
}

// verify opens the backup's store with the backup's root key and checks all of it: each
// record of its log, all state beside the log, and that both are what the backup's maker
// signed.
func (r *restoring) verify(ctx context.Context) error {
	db, err := r.unpacked(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	log := audit.New(db, r.Now)
	if r.out.VerifierKey, err = log.VerifierKey(); err != nil {
		return err
	}
	report, err := log.VerifyAgainst(ctx, []byte(r.manifest.Log.Checkpoint))
	if err == nil {
		err = db.VerifyValues(ctx)
	}
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return brokenBackup(err)
	}
	if db.Stats().ID != r.manifest.Store || report.Size != r.manifest.Log.Size || hex.EncodeToString(report.Root[:]) != r.manifest.Log.Root {
		return brokenBackup(nil)
	}
	return r.expected(ctx, log)
}

// expected checks the backup's log against the key and the checkpoint that the caller
// named. Recipients are public, so anybody can make a backup for one.
func (r *restoring) expected(ctx context.Context, log *audit.Log) error {
	if r.o.Key != "" {
		if _, err := verify.OpenCheckpoint([]byte(r.manifest.Log.Checkpoint), r.o.Key); err != nil {
			return err
		}
	}
	if r.o.Checkpoint == "" {
		return nil
	}
	note, err := session.ReadFile(ctx, r.Dir, r.o.Checkpoint)
	if err != nil {
		return err
	}
	_, err = log.VerifyAgainst(ctx, note)
	return err
}

// unpacked opens the store in the private folder with the backup's root key.
func (r *restoring) unpacked(ctx context.Context) (*state.DB, error) {
	db, err := state.Open(ctx, r.dir, func(string, string, string) ([]byte, error) { return r.root, nil }, r.Options)
	if e := keyturn.AsError(err); e != nil && e.Code != keyturn.Invalid && e.Code != keyturn.Unavailable && ctx.Err() == nil {
		return nil, brokenBackup(err)
	}
	return db, err
}

// replaces returns Conflict where a store is in the way and the options do not say that
// it is to be replaced. It asks the person before it agrees.
func (r *restoring) replaces(ctx context.Context) error {
	f := r.found
	if f == nil {
		return nil
	}
	if f.other {
		return keyturn.E(keyturn.Conflict, "the backup was not made of the store at '"+keyturn.Clean(f.path())+"': it has the same id, and its log another key",
			"somebody made it look like one of yours; 'keyturn audit checkpoint -o json' tells the key of your log")
	}
	if f.id != "" && f.id != r.manifest.Store {
		return keyturn.E(keyturn.Conflict, "there is another store at '"+keyturn.Clean(f.path())+"', not an older or newer one of the backup's", "restore to another folder: KEYTURN_HOME=DIR keyturn store restore …")
	}
	if !r.o.Replace {
		return keyturn.E(keyturn.Conflict, "there is a store already at '"+keyturn.Clean(f.path())+"': "+r.compared(),
			"--replace moves its files aside (nothing is deleted) and puts the backup in its place, which the log then tells")
	}
	if f.forked && !r.o.Forked {
		return keyturn.E(keyturn.Conflict, capital(r.compared())+": the backup is neither an older nor a newer one of that store",
			"where the store was restored from an older backup before, that is so: --replace --forked; else look for another backup")
	}
	return r.o.Confirm(ctx, "Move that store aside and put the backup in its place? "+capital(r.compared()))
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}

// compared says how the backup and the found store differ.
func (r *restoring) compared() string {
	f := r.found
	switch {
	case f.mark == nil:
		return "it cannot be read (" + f.why + "), so whether it is newer than the backup, and whether the backup was made of it, is not known"
	case f.forked:
		return fmt.Sprintf("its log and the backup's went different ways; it has %s records, the backup %s", count(f.mark.Size), count(r.manifest.Log.Size))
	case f.mark.Size < r.manifest.Log.Size:
		return "the backup is newer by " + records(r.manifest.Log.Size-f.mark.Size)
	case f.mark.Size > r.manifest.Log.Size:
		return "the backup is older by " + records(f.mark.Size-r.manifest.Log.Size)
	}
	return "its log ends where the backup's does"
}

func count(n int64) string { return strconv.FormatInt(n, 10) }

func records(n int64) string {
	if n == 1 {
		return "one record of the log"
	}
	return count(n) + " records of the log"
}

// install gives the unpacked store a new root key and a record of where the store comes
// from, and publishes it.
func (r *restoring) install(ctx context.Context) error {
	kind, err := r.kind(ctx)
	if err != nil {
		return err
	}
	keys := r.keysOf(r.manifest.Store)
	place, err := keys.Place(kind)
	if err != nil {
		return err
	}
	if err := r.note(kind, place); err != nil {
		return err
	}
	root, err := keys.Make(ctx, kind, place)
	if err != nil {
		if e := keyturn.AsError(err); r.o.RootKey == "" && (e.Code == keyturn.Sealed || e.Code == keyturn.Unavailable) {
			e.Hint += "\nthe store had its root key in that way; --key says another one: keychain, file or passphrase"
		}
		return err
	}
	defer clear(root)
	published := false
	defer func() {
		if !published {
			_ = keys.Remove(kind, place)
		}
	}()
	if err := r.settle(ctx, [rootkey.Size]byte(root), spot{Kind: kind, Place: place}); err != nil {
		return err
	}
	if r.found != nil {
		if err := r.takeAside(ctx); err != nil {
			return err
		}
		r.out.Aside = r.found.dir
	}
	// From here on the store may be published, so its root key stays, whatever error comes.
	published = true
	if err := state.Restore(ctx, r.Facts.Home, filepath.Join(r.dir, state.File), r.Options); err != nil {
		if _, there := os.Lstat(filepath.Join(r.Facts.Home, state.File)); errors.Is(there, fs.ErrNotExist) {
			published = false
			if r.found != nil && r.found.moved {
				err = errors.Join(err, r.found.moveBack(r.Facts.Home))
			}
		}
		return err
	}
	_ = os.Remove(filepath.Join(r.dir, noteName)) // it is no stray any more
	if r.found != nil {
		r.found.done()
	}
	path := filepath.Join(r.Facts.Home, state.File)
	r.out.StoreFacts = session.StoreFacts{ID: r.manifest.Store, Path: path, RootKey: kind, KeyAt: spot{Kind: kind, Place: place}.shown(r.Facts.Home)}
	return nil
}

// kind returns the kind of the new root key. Where the options name none, it is one that
// protects no less than the backup's and the found store's.
func (r *restoring) kind(ctx context.Context) (string, error) {
	if r.o.RootKey != "" {
		return r.o.RootKey, nil
	}
	was, err := state.Peek(ctx, r.dir, r.Options)
	if err != nil {
		return "", err
	}
	kinds := []string{r.usualKind(), was.Kind}
	if r.found != nil {
		kinds = append(kinds, r.found.at.Kind)
	}
	return slices.MaxFunc(kinds, func(a, b string) int {
		return slices.Index(rootkey.Kinds(), a) - slices.Index(rootkey.Kinds(), b)
	}), nil
}

// forget removes requests, approvals, sealed values and trust, and returns how many
// items that was: since the backup was made an approval may have been used, a request
// refused, or trust withdrawn. Passphrases of approvers stay, and so does what migrations
// keep, which is nowhere else.
func forget(ctx context.Context, db *state.DB) (n int, err error) {
	pinned, err := journal.New(db, nil).ForgetMachine(ctx)
	if err != nil {
		return 0, err
	}
	if pinned {
		n++
	}
	for _, kind := range journal.Pending() {
		var ids []string
		for it, err := range db.Items(ctx, kind) {
			if err != nil {
				return n, err
			}
			ids = append(ids, it.ID)
		}
		for _, id := range ids {
			err := db.UpdateItem(ctx, kind, id, func(keyturn.Item) (keyturn.Item, error) { return keyturn.Item{}, nil })
			if err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}

// settle gives the unpacked store its new root key, and records the restore in its log.
func (r *restoring) settle(ctx context.Context, root [rootkey.Size]byte, at spot) error {
	db, err := r.unpacked(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.SetRoot(ctx, root, at.Kind, at.Place); err != nil {
		return err
	}
	if err := forgetChange(ctx, db); err != nil { // it spoke of places elsewhere
		return err
	}
	if r.out.Forgotten, err = forget(ctx, db); err != nil {
		return err
	}
	now, err := placeOf(r.Facts.Home)
	if err != nil {
		return err
	}
	if err := (&Store{Folder: r.Folder, db: db}).learn(ctx, &journal.Machine{}, now); err != nil {
		return err
	}
	err = journal.New(db, r.Now).Machines.Change(ctx, func(m *journal.Machine) error { m.Settled = true; return nil })
	if err != nil {
		return err
	}
	op := keyturn.RestoreStore{Store: r.manifest.Store, RootKey: at.Kind, Backup: r.out.Log, Made: r.manifest.Time.UTC(), Forgotten: r.out.Forgotten}
	if r.found != nil {
		op.Replaced, op.Unread, op.Forked = r.found.mark, r.found.mark == nil, r.found.forked
		r.out.Replaced = r.found.mark
		own, err := audit.New(db, r.Now).Restored(ctx)
		if err != nil {
			return err
		}
		op.Earlier = verify.NotIn(own, r.found.told)
	}
	id := keyturn.NewID(r.Now())
	if err := recordOwn(ctx, audit.New(db, r.Now), id, op, r.Facts, r.rule); err != nil {
		return err
	}
	r.out.AuditID = id
	return db.Close()
}
