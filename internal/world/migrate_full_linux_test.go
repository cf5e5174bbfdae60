package world_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/keyturn/keyturn/internal/world"
)

// TestMigrateOnAFullDisk gives a migration less and less room, for the store and
// for the files, so that each of its writes fails once: it says so, each file is
// as it was or rewritten, no value is lost, and with room again the same command
// ends it. It needs a file system of its own, which only root can make.
func TestMigrateOnAFullDisk(t *testing.T) {
	for _, c := range []struct {
		what         string
		store, files bool // lie on the small disk
		step, most   int64
	}{
		{"the disk of the files", false, true, 4 << 10, 8 << 10},
		{"the disk of the store", true, false, 16 << 10, 256 << 10},
		{"the one disk", true, true, 32 << 10, 512 << 10},
	} {
		t.Run(c.what, func(t *testing.T) {
			failed, ended, half := 0, 0, 0
			disk := t.TempDir()
			if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=2m"); err != nil {
				t.Skipf("no small file system can be made here: %v", err)
			}
			t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
			for room := int64(0); room <= c.most; room += c.step {
				m := world.New(t)
				if c.store {
					m = m.As("KEYTURN_HOME=" + filepath.Join(disk, "store"))
				}
				if c.files {
					m.Work = filepath.Join(disk, "work")
					if err := os.Mkdir(m.Work, 0o700); err != nil {
						t.Fatal(err)
					}
				}
				m.Must("", "init", "--key", "file")
				p := newProject(t, m, 1)
				fill(t, disk, room)
				out := m.Run("", p.args()...)
				rewritten := p.state(t, "without room")
				if out.Status == 0 {
					ended++
				} else {
					failed++
					if !strings.Contains(out.Stderr, "space") && !strings.Contains(out.Stderr, "disk") && !strings.Contains(out.Stderr, "could not be recorded") {
						t.Errorf("with %d bytes: exit status %d, and nothing about the disk:\n%s", room, out.Status, out.Stderr)
					}
					if rewritten > 0 {
						half++
					}
				}
				if err := os.Remove(filepath.Join(disk, "filler")); err != nil {
					t.Fatal(err)
				}
				if rewritten > 0 {
					p.stored(t, m, "without room")
				}
				m.Must("", p.args()...)
				if p.state(t, "with room again") != 2 {
					t.Errorf("with %d bytes, then room: not all files are rewritten", room)
				}
				p.stored(t, m, "with room again")
				back := []string{"migrate", "--rollback", filepath.Join(p.dir, ".env")}
				if room == 0 && !c.store { // nor is it taken back without room: the originals are larger
					fill(t, disk, 0)
					if out := m.Run("", back...); out.Status != 7 || !strings.Contains(out.Stderr, "space") {
						t.Errorf("taken back without room: exit status %d\n%s", out.Status, out.Stderr)
					}
					p.state(t, "taken back without room")
					if err := os.Remove(filepath.Join(disk, "filler")); err != nil {
						t.Fatal(err)
					}
				}
				m.Must("", back...)
				if p.state(t, "taken back") != 0 {
					t.Errorf("with %d bytes: not all files are as they were", room)
				}
				p.only(t, "taken back")
				m.Must("", "audit", "verify")
				for _, dir := range []string{"store", "work"} {
					if err := os.RemoveAll(filepath.Join(disk, dir)); err != nil {
						t.Fatal(err)
					}
				}
			}
			t.Logf("%d times there was too little room (%d times with a file rewritten already), %d times enough; 0 values and 0 files lost", failed, half, ended)
			if failed == 0 || ended == 0 {
				t.Error("the disk was never full, or always")
			}
		})
	}
}

// TestMigrateReadOnly: where files cannot be written nothing is stored, and the
// message says so.
func TestMigrateReadOnly(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("no file system can be made here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	m := world.New(t)
	m.Must("", "init", "--key", "file")
	m.Work = disk
	p := newProject(t, m, 1)
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if out := m.Run("", p.args()...); out.Status != 7 || !strings.Contains(out.Stderr, "cannot be written") {
		t.Errorf("exit status %d\n%s", out.Status, out.Stderr)
	}
	if out := m.Run("", "get", p.ref); out.Status != 3 {
		t.Errorf("something is stored: exit status %d\n%s", out.Status, out.Stdout)
	}
	m.Must("", append(p.args(), "--dry-run")...)
}

// fill leaves so many bytes of a file system.
func fill(t *testing.T, disk string, room int64) {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(disk, &st); err != nil {
		t.Fatal(err)
	}
	free := int64(st.Bfree)*st.Bsize - room
	if err := os.WriteFile(filepath.Join(disk, "filler"), make([]byte, max(0, free)), 0o600); err != nil {
		t.Fatal(err)
	}
}
