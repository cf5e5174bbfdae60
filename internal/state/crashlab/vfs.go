package crashlab

import (
	"path/filepath"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
)

// VFS is the name under which this package's file system is registered with
// SQLite, for state.Options. It serves all disks: a path is one's Dir and a name.
const VFS = "crashlab"

func init() { vfs.Register(VFS, fileSystem{}) }

type fileSystem struct{}

// at finds the disk and the file's name on it.
func at(path string) (*Disk, string, error) {
	d, ok := disks.Load(filepath.Base(filepath.Dir(path)))
	if !ok {
		return nil, "", sqlite3.CANTOPEN
	}
	return d.(*Disk), filepath.Base(path), nil
}

// Open opens a file, or makes it.
func (fileSystem) Open(path string, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	d, name, err := at(path)
	if err != nil {
		return nil, flags, err
	}
	create := flags&vfs.OPEN_CREATE != 0
	h, err := d.open(name, create, flags&vfs.OPEN_EXCLUSIVE != 0)
	if err != nil {
		return nil, flags, err
	}
	f := &file{handle: h, readOnly: flags&vfs.OPEN_READONLY != 0, drop: flags&vfs.OPEN_DELETEONCLOSE != 0}
	// As SQLite's own does it, and that of package vfs: the name of a journal or
	// WAL is made durable with the first sync of the file.
	f.syncDir = create && flags&(vfs.OPEN_MAIN_JOURNAL|vfs.OPEN_SUPER_JOURNAL|vfs.OPEN_WAL) != 0
	f.shm = vfs.NewSharedMemory(d.shm+name, flags)
	return f, flags, nil
}

// Delete removes a file.
func (fileSystem) Delete(path string, syncDir bool) error {
	d, name, err := at(path)
	if err != nil {
		return err
	}
	if !d.Exists(name) {
		return sqlite3.IOERR_DELETE_NOENT
	}
	if err := d.Remove(name); err != nil {
		return err
	}
	if syncDir {
		return vfs.SystemError(d.SyncDir(""), sqlite3.IOERR_DIR_FSYNC)
	}
	return nil
}

// Access reports whether there is a file; all can be read and written.
func (fileSystem) Access(path string, _ vfs.AccessFlag) (bool, error) {
	d, name, err := at(path)
	return err == nil && d.Exists(name), nil
}

// FullPathname returns path: state's are absolute.
func (fileSystem) FullPathname(path string) (string, error) { return path, nil }

type lockLevel = vfs.LockLevel

const (
	lockShared    = vfs.LOCK_SHARED
	lockReserved  = vfs.LOCK_RESERVED
	lockPending   = vfs.LOCK_PENDING
	lockExclusive = vfs.LOCK_EXCLUSIVE
)

// file is a file that SQLite has open.
type file struct {
	*handle
	level                   lockLevel
	readOnly, drop, syncDir bool
	// shm is memory that the connections to a database share: a mapped file
	// beside the simulated disk, under a name that no other disk has. A crash
	// leaves it behind as a machine leaves its memory.
	shm vfs.SharedMemory
}

var (
	_ vfs.FileSharedMemory = (*file)(nil)
	_ vfs.FileLockState    = (*file)(nil)
	_ vfs.FilePragma       = (*file)(nil)
)

// SharedMemory is that of the WAL's index.
func (f *file) SharedMemory() vfs.SharedMemory { return f.shm }

func (f *file) Close() error {
	if f.shm != nil {
		_ = f.shm.Close()
	}
	_ = f.Unlock(vfs.LOCK_NONE)
	if f.drop {
		_ = f.disk.Remove(f.name)
	}
	return nil
}

// ReadAt reads what was written, durable or not.
func (f *file) ReadAt(p []byte, off int64) (int, error) { return f.readAt(p, off) }

// WriteAt writes; durable after Sync.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	if f.readOnly {
		return 0, sqlite3.READONLY
	}
	return f.writeAt(p, off)
}

// Truncate sets the size; durable after Sync.
func (f *file) Truncate(size int64) error { return f.truncate(size) }

// Sync makes the file durable, and its name where it is a new journal.
func (f *file) Sync(vfs.SyncFlag) error {
	if err := f.sync(); err != nil {
		return err
	}
	if f.syncDir {
		f.syncDir = false
		return vfs.SystemError(f.disk.SyncDir(""), sqlite3.IOERR_DIR_FSYNC)
	}
	return nil
}

// Size is in bytes.
func (f *file) Size() (int64, error) { return f.size() }

// Lock raises the lock; SQLite's BUSY where another has it.
func (f *file) Lock(want lockLevel) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.cut {
		return errPower
	}
	if f.level >= want {
		return nil
	}
	if f.disk.files[f.inode].locks.lock(f, want) != nil {
		return sqlite3.BUSY
	}
	return nil
}

// Unlock lowers the lock.
func (f *file) Unlock(to lockLevel) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.disk.files[f.inode].locks.unlock(f, to)
	return nil
}

// CheckReservedLock reports whether anybody is about to write.
func (f *file) CheckReservedLock() (bool, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	l := f.disk.files[f.inode].locks
	return l.reserved != nil || l.pending != nil, nil
}

// LockState is the lock that the file has.
func (f *file) LockState() lockLevel { return f.level }

// SectorSize and DeviceCharacteristics are those of package vfs on a usual disk.
func (f *file) SectorSize() int { return 4096 }

// DeviceCharacteristics promises that a write leaves the bytes around it alone.
func (f *file) DeviceCharacteristics() vfs.DeviceCharacteristic {
	return vfs.IOCAP_SUBPAGE_READ | vfs.IOCAP_POWERSAFE_OVERWRITE
}

// Pragma lets a disk's faults swallow a PRAGMA.
func (f *file) Pragma(name, value string) (string, error) {
	f.disk.mu.Lock()
	swallow := f.disk.faults.Pragma
	f.disk.mu.Unlock()
	if swallow != nil && swallow(name, value) {
		return "", nil
	}
	return "", sqlite3.NOTFOUND
}
