package home

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/durable"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/state"
)

// machines is where the store keeps what it knows of this machine.
func (s *Store) machines() journal.Machines { return journal.New(s.db, s.Now).Machines }

// Machine returns what the store knows of this machine. What it does not know yet, because
// the store is new here, it learns of a person: which folder it is in, and the person's
// environment. moved is set where the store is neither in the folder that it knows, nor is
// that folder here under another name.
func (s *Store) Machine(ctx context.Context) (m journal.Machine, moved *keyturn.Error, err error) {
	if m, err = s.machines().Get(ctx); err != nil {
		return m, nil, err
	}
	now, err := placeOf(s.Facts.Home)
	if err != nil {
		return m, nil, err
	}
	if m.Folder != nil && !stands(*m.Folder, now) {
		message := "this store belongs to '" + keyturn.Clean(m.Folder.Path) + "', and was moved or copied to '" + keyturn.Clean(now.Path) + "'"
		if m.Folder.Path == now.Path {
			message = "another folder is in the place of '" + keyturn.Clean(now.Path) + "', to which this store belongs: it may be a copy"
		}
		moved := keyturn.E(keyturn.Denied, message,
			"a copy has budgets and approvals of its own, which the other one's log does not tell; if there is only this one: keyturn store adopt").With(keyturn.StoreMoved)
		moved.By = "person"
		return m, moved, nil
	}
	if s.Facts.Actor.Kind != keyturn.Person || m.Folder != nil && *m.Folder == now && m.Env != nil {
		return m, nil, nil
	}
	return m, nil, s.learn(ctx, &m, now)
}

// learn has the store know its folder, and where the caller is a person who is the first
// one, that person's environment.
func (s *Store) learn(ctx context.Context, m *journal.Machine, now journal.Folder) error {
	return s.machines().Change(ctx, func(have *journal.Machine) error {
		have.Folder = &now
		if have.Env == nil && s.Facts.Actor.Kind == keyturn.Person {
			have.Env = TrustedEnv(s.Env)
		}
		*m = *have
		return nil
	})
}

// Adopt has the store belong to the folder that it is in.
func (s *Store) Adopt(ctx context.Context, op keyturn.AdoptStore) error {
	now, err := placeOf(s.Facts.Home)
	if err != nil {
		return err
	}
	if op.Path != now.Path {
		return keyturn.E(keyturn.Conflict, "the store is in '"+keyturn.Clean(now.Path)+"', not in '"+keyturn.Clean(op.Path)+"'", "keyturn store adopt")
	}
	return s.learn(ctx, &journal.Machine{}, now)
}

// Place returns the operation that adopts the folder that the store is in.
func (s *Store) Place() (keyturn.AdoptStore, error) {
	now, err := placeOf(s.Facts.Home)
	return keyturn.AdoptStore{Path: now.Path}, err
}

// placeOf names keyturn's own folder, without links.
func placeOf(home string) (journal.Folder, error) {
	real, err := filepath.EvalSymlinks(home)
	if err != nil {
		return journal.Folder{}, unwritten(home, err)
	}
	info, err := os.Stat(real)
	if err != nil {
		return journal.Folder{}, unwritten(home, err)
	}
	return journal.Folder{Path: real, Inode: durable.Inode(info)}, nil
}

// stands reports whether the folder now is the one that a store knows: by its path and
// inode, or, moved or seen under another name, by its inode. Another file system can have that inode
// too, so that it does not count while there is another store in the folder that is known.
func stands(known, now journal.Folder) bool {
	if known.Path == now.Path {
		return known.Inode == now.Inode || known.Inode == 0 || now.Inode == 0
	}
	if known.Inode == 0 || known.Inode != now.Inode {
		return false
	}
	before, err := os.Stat(filepath.Join(known.Path, state.File))
	if err != nil {
		return true // it has gone from there
	}
	here, err := os.Stat(filepath.Join(now.Path, state.File))
	return err == nil && os.SameFile(before, here)
}

// Held returns the operator's file that counts for agents and services, as it was pinned;
// where none is pinned, the system's, if only root can change it. It is nil where there is
// none, or where it can no longer be read.
func Held(m journal.Machine) *config.Operator {
	var o *config.Operator
	var err error
	switch system := config.SystemFile(); {
	case m.Config != nil:
		o, err = config.LoadPinned(m.Config.Path, m.Config.Text)
	case config.Rooted(system):
		o, err = config.LoadOperator(config.Locations{Explicit: system})
	}
	if err != nil {
		return nil
	}
	return o
}

// TrustedEnv returns "NAME=value" of what names the person and where programs are found,
// sorted by the names. Of PATH only the folders remain that are absolute and that not
// everybody may write to.
func TrustedEnv(env func(name string) string) []string {
	names := []string{"HOME", "LOGNAME", "PATH", "SHELL", "USER"}
	if runtime.GOOS == "windows" {
		names = []string{"APPDATA", "HOME", "LOCALAPPDATA", "PATH", "USERNAME", "USERPROFILE"}
	}
	out := []string{}
	for _, name := range names {
		value := env(name)
		if name == "PATH" {
			value = trustedPath(value)
		}
		if value != "" && !strings.ContainsRune(value, 0) {
			out = append(out, name+"="+value)
		}
	}
	return out
}

func trustedPath(list string) string {
	var out []string
	for _, dir := range filepath.SplitList(list) {
		if filepath.IsAbs(dir) && !openToAll(dir) {
			out = append(out, dir)
		}
	}
	return strings.Join(out, string(filepath.ListSeparator))
}

// openToAll reports whether everybody may write to a folder, or, where it does not exist, to
// the one in which it would be made.
func openToAll(dir string) bool {
	for dir = filepath.Clean(dir); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err == nil {
			return runtime.GOOS != "windows" && info.Mode().Perm()&0o002 != 0
		}
		if filepath.Dir(dir) == dir {
			return false
		}
	}
}
