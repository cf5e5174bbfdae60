package home

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/keyturn/keyturn/internal/session"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/crashlab"
	"github.com/keyturn/keyturn/internal/state/rootkey"
)

// rekeyOnFailingDisk begins a change of the root key on a disk whose syncs fail, from
// the nth on and some times, and returns how often one failed. What the programs
// wrote is all there when the store is opened next: also a commit whose sync failed.
func rekeyOnFailingDisk(t *testing.T, nth, times int) (failed int) {
	t.Helper()
	home := t.TempDir()
	keys := rootkey.Keeper{Dir: home, Store: state.NewID()}
	root, place, err := keys.New(t.Context(), rootkey.File)
	if err != nil {
		t.Fatal(err)
	}
	made, err := state.Create(t.Context(), home, [rootkey.Size]byte(root), state.Options{ID: keys.Store, Kind: rootkey.File, Place: place})
	if err != nil {
		t.Fatal(err)
	}
	if err := made.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(home, state.File))
	if err != nil {
		t.Fatal(err)
	}
	disk := crashlab.New(crashlab.Files{state.File: file}, crashlab.Faults{})
	t.Cleanup(disk.Close)

	options := state.Options{VFS: crashlab.VFS}
	s := &Store{Folder: Folder{Facts: session.Facts{Home: disk.Dir}, Options: options}}
	load := func(id, kind, place string) ([]byte, error) { return keys.Load(t.Context(), kind, place) }
	if s.db, err = state.Open(t.Context(), disk.Dir, load, options); err != nil {
		t.Fatal(err)
	}
	s.keys = keys
	syncs := 0
	disk.SetFaults(crashlab.Faults{Fail: func(op crashlab.Op) error {
		if op.Kind != crashlab.Sync {
			return nil
		}
		if syncs++; syncs <= nth || syncs > nth+times {
			return nil
		}
		failed++
		return errors.New("planted: the disk fails")
	}})
	_, changeErr := s.change(t.Context(), spot{rootkey.File, place}, rootkey.File)
	if failed == 0 && changeErr != nil {
		t.Fatalf("sync %d, %d times: nothing failed, and the change says %v", nth, times, changeErr)
	}
	if changeErr != nil { // the same program says it again, on the same disk
		if c, err := s.begun(t.Context()); err == nil && c != nil && nowAt(t, s) != c.To {
			_ = s.undo(t.Context(), c)
		}
	}
	image := disk.Live()
	_ = s.db.Close()

	again := crashlab.New(image, crashlab.Faults{})
	t.Cleanup(again.Close)
	s.Facts.Home = again.Dir
	if s.db, err = state.Open(t.Context(), again.Dir, load, options); err != nil {
		t.Fatalf("sync %d, %d times (%v): the store does not open with the root key that it names: %v", nth, times, changeErr, err)
	}
	defer s.db.Close()
	begun, err := s.begun(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now := nowAt(t, s)
	switch {
	case begun == nil:
	case begun.To == now:
		err = s.finish(t.Context(), begun, now)
	default:
		err = s.undo(t.Context(), begun)
	}
	if err != nil {
		t.Fatalf("sync %d, %d times: the next rekey does not go on: %v", nth, times, err)
	}
	left, _ := filepath.Glob(filepath.Join(home, "*.key"))
	if len(left) != 1 || filepath.Base(left[0]) != now.Place {
		t.Errorf("sync %d, %d times: root keys %v, and the store names %s", nth, times, left, now.Place)
	}
	return failed
}

func nowAt(t *testing.T, s *Store) spot {
	t.Helper()
	now, err := s.held(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// TestRekeyOnAFailingDisk has each sync of a change of the root key fail, once or
// from then on: whatever came of the commit, the root key that the store names when
// it is opened next is kept, and the next rekey leaves one.
func TestRekeyOnAFailingDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	failed := 0
	for _, times := range []int{1, 2, 1 << 30} {
		for nth := 0; ; nth++ {
			n := rekeyOnFailingDisk(t, nth, times)
			if n == 0 {
				break
			}
			failed += n
		}
	}
	if failed < 6 {
		t.Errorf("only %d syncs failed: the test proves nothing", failed)
	}
}
