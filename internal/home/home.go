// Package home manages keyturn's own folder. It finds the folder, and makes, opens,
// rekeys, backs up and restores the store in it as a whole, with its root key. It knows
// nothing of single secrets.
package home

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/rules"
	"github.com/keyturn/keyturn/internal/session"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/rootkey"
)

// Path returns where keyturn's own folder is: how.Home, else KEYTURN_HOME, else a folder
// among the user's data. A relative path is seen from dir. It returns Invalid where the
// environment names no home folder of the user.
func Path(how session.How, env func(name string) string, dir string) (string, error) {
	path := how.Home
	if path == "" {
		path = env("KEYTURN_HOME")
	}
	if path == "" {
		data := dataFolder(env)
		if data == "" {
			return "", keyturn.E(keyturn.Invalid, "no home folder is known", "set KEYTURN_HOME to the folder that keyturn may use")
		}
		path = filepath.Join(data, "keyturn")
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return filepath.Clean(path), nil
}

// dataFolder returns where programs of this system keep a user's data; "" where that is
// not known.
func dataFolder(env func(name string) string) string {
	user := env("HOME")
	switch {
	case runtime.GOOS == "windows":
		return env("LocalAppData")
	case runtime.GOOS == "darwin" && user != "":
		return filepath.Join(user, "Library", "Application Support")
	case runtime.GOOS != "darwin" && filepath.IsAbs(env("XDG_DATA_HOME")):
		return env("XDG_DATA_HOME")
	case runtime.GOOS != "darwin" && user != "":
		return filepath.Join(user, ".local", "share")
	}
	return ""
}

// Folder is keyturn's own folder, with its store, as one command sees it.
type Folder struct {
	How     session.How
	Facts   session.Facts // the folder's path, the caller, and the configuration
	Env     func(name string) string
	Dir     string          // where keyturn was started; relative paths are seen from there
	Err     io.StringWriter // takes what a person should know beside the answer
	Now     func() time.Time
	Options state.Options // to open the store with
}

// abs returns a path seen from the folder that keyturn was started in.
func (f Folder) abs(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(f.Dir, path)
}

// Open opens the store. Where another process replaces the root key between two looks,
// Open looks for it once more. It returns NotFound where there is no store, and says so
// where a restore that was killed is the reason.
func (f Folder) Open(ctx context.Context) (*Store, error) {
	if err := guard(f.Facts.Home); err != nil {
		return nil, err
	}
	for again := 0; ; again++ {
		s := &Store{Folder: f}
		db, err := state.Open(ctx, f.Facts.Home, s.load(ctx), f.Options)
		if err == nil {
			s.db = db
			return s, nil
		}
		if keyturn.AsError(err).Code != keyturn.Sealed || again == 3 {
			return nil, cutShort(f.Facts.Home, err)
		}
		if now, peekErr := state.Peek(ctx, f.Facts.Home, f.Options); peekErr != nil || spotOf(now) == s.at {
			return nil, err
		}
	}
}

// Peek returns what can be known of the store in a folder without its root key. Its
// errors are those of Open.
func Peek(ctx context.Context, folder string, o state.Options) (session.StoreFacts, error) {
	f, err := state.Peek(ctx, folder, o)
	return factsOf(f), cutShort(folder, err)
}

func factsOf(f state.Facts) session.StoreFacts {
	return session.StoreFacts{ID: f.ID, Path: f.Path, RootKey: f.Kind, KeyAt: spotOf(f).shown(filepath.Dir(f.Path))}
}

// Make makes the store with its first record, and opens it. kind says where its root key
// is kept; "" for the usual way of this machine. Make returns Denied where the rules do
// not let the caller make a store, and Conflict where there is one already.
func (f Folder) Make(ctx context.Context, kind string) (session.Created, *Store, error) {
	none := session.Created{}
	op := keyturn.CreateStore{Store: state.NewID()}
	d := f.Facts.Rules.Decide(rules.Request{Actor: f.Facts.Actor, Verb: op.Verb()})
	if d.Effect != rules.Allow {
		e := keyturn.E(keyturn.Denied, f.Facts.Actor.Principal()+" may not make a store: "+d.Why, "a person does it with 'keyturn init'")
		e.By = "rule"
		return none, nil, e
	}
	path := filepath.Join(f.Facts.Home, state.File)
	if _, err := os.Lstat(path); err == nil {
		return none, nil, keyturn.E(keyturn.Conflict, "there is a store already at "+keyturn.Clean(path), "'keyturn status' tells about it")
	}
	if e := interrupted(f.Facts.Home); e != nil {
		return none, nil, keyturn.E(keyturn.Conflict, e.Message, e.Hint)
	}
	if err := guard(f.Facts.Home); err != nil {
		return none, nil, err
	}
	if kind == "" {
		kind = f.usualKind()
	}
	s, err := f.create(ctx, op.Store, kind)
	if err != nil {
		return none, nil, err
	}
	op.RootKey = kind
	if err := recordOwn(ctx, audit.New(s.db, f.Now), op.Store, op, f.Facts, d.Where()); err != nil {
		_ = s.Close()
		return none, nil, err
	}
	now, err := placeOf(f.Facts.Home)
	if err == nil {
		err = s.learn(ctx, &journal.Machine{}, now)
	}
	if err != nil {
		_ = s.Close()
		return none, nil, err
	}
	return session.Created{StoreFacts: s.StoreFacts(), AuditID: op.Store}, s, nil
}

// create makes a store of an id, with a new root key of a kind.
func (f Folder) create(ctx context.Context, id, kind string) (*Store, error) {
	keys := f.keysOf(id)
	key, place, err := keys.New(ctx, kind)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	opts := f.Options
	opts.ID, opts.Kind, opts.Place = id, kind, place
	db, err := state.Create(ctx, f.Facts.Home, [32]byte(key), opts)
	if err != nil {
		f.discard(id, keys, spot{kind, place})
		return nil, err
	}
	return &Store{Folder: f, db: db, keys: keys, at: spot{kind, place}, root: bytes.Clone(key)}, nil
}

// discard removes the root key of a store that was not made. The key stays where the
// store was made after all: what failed, or was cut short, may have come after the store
// got its name.
func (f Folder) discard(id string, keys rootkey.Keeper, at spot) {
	now, err := state.Peek(context.Background(), f.Facts.Home, f.Options)
	if errors.Is(err, keyturn.NotFound) || err == nil && now.ID != id {
		_ = keys.Discard(at.Kind, at.Place)
	}
}
