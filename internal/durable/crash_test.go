package durable_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/durable"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/crashlab"
)

// noLinks is a file system without hard links.
type noLinks struct{ *crashlab.Disk }

func (noLinks) Link(string, string) error { return errors.New("no links here") }

var root = [32]byte(bytes.Repeat([]byte("R"), 32))

func rootOf(string, string, string) ([]byte, error) { return root[:], nil }

// store is a whole store, as its file.
func store(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	db, err := state.Create(t.Context(), dir, root, state.Options{Kind: "file", Place: "A"})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, state.File))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// publish makes a store under another name, publishes it, and crashes at every
// step: what is there is a whole store or none, and a whole one when it was
// answered with success.
func publish(ctx context.Context, data []byte, faults crashlab.Faults, links bool) (images int, bad error) {
	d := crashlab.New(crashlab.Files{"bystander": []byte("b")}, faults)
	defer d.Close()
	var restore func()
	if links {
		restore = durable.Simulate(d)
	} else {
		restore = durable.Simulate(noLinks{d})
	}
	defer restore()
	path := filepath.Join(d.Dir, state.File)
	temp := durable.TempName(path)
	if err := errors.Join(durable.New(temp), d.WriteFile(temp, data), durable.Publish(temp, path)); err != nil {
		return 0, err
	}
	answered := d.Now()
	if err := durable.Publish(path, path); !errors.Is(err, fs.ErrExist) {
		return 0, fmt.Errorf("a name that is taken: %v", err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	d.Images(crashlab.Plan{Random: 24, Prefixes: 6, Sector: 512}, rng, func(img crashlab.Image) bool {
		images++
		is, there := img.Files[state.File]
		switch {
		case string(img.Files["bystander"]) != "b":
			bad = errors.New("another file was lost")
		case !there && img.At >= answered:
			bad = errors.New("a store that was answered with success is not there")
		case there && !links && len(is) == 0:
			// The name was taken, and the file is not there yet.
		case there && !bytes.Equal(is, data):
			bad = fmt.Errorf("a part of a store is there: %d bytes of %d", len(is), len(data))
		case there:
			bad = opens(ctx, img.Files)
		}
		if bad != nil {
			bad = fmt.Errorf("crash at step %d, %s survives: %w", img.At, img.How, bad)
		}
		return bad == nil
	})
	return images, bad
}

func opens(ctx context.Context, files crashlab.Files) error {
	d := crashlab.New(files, crashlab.Faults{})
	defer d.Close()
	db, err := state.Open(ctx, d.Dir, rootOf, state.Options{VFS: crashlab.VFS})
	if err != nil {
		return err
	}
	return errors.Join(db.VerifyState(ctx), db.Close())
}

// TestCrashPublish: whoever is cut off while a file gets its name leaves no file or
// a whole one; and the same with steps left out is caught. Where the file system has
// no links, an empty file may be left.
func TestCrashPublish(t *testing.T) {
	data := store(t)
	images, err := publish(t.Context(), data, crashlab.Faults{}, true)
	if err != nil {
		t.Error(err)
	}
	without, err := publish(t.Context(), data, crashlab.Faults{}, false)
	if err != nil {
		t.Errorf("without links: %v", err)
	}
	if images += without; images < 100 {
		t.Errorf("only %d images", images)
	}
	t.Logf("%d images: a whole store or none", images)
	for name, c := range map[string]struct {
		swallow crashlab.Kind
		want    string
	}{
		"the folder is not synced": {crashlab.SyncDir, "is not there"},
		"the file is not synced":   {crashlab.Sync, "a part of a store"},
	} {
		_, err := publish(t.Context(), data, crashlab.Faults{Swallow: func(op crashlab.Op) bool { return op.Kind == c.swallow }}, true)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: not caught: %v", name, err)
		} else {
			t.Logf("%s: caught: %v", name, err)
		}
	}
}
