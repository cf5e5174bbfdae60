package crashlab

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
)

// Kind is what an operation does to a disk.
type Kind string

// The kinds. Those of files are durable with the next Sync of the file, those of
// names with the next SyncDir.
const (
	Write    Kind = "write"
	Truncate Kind = "truncate"
	Sync     Kind = "sync"
	Create   Kind = "create" // a new file under a name; a link where the file has one already
	Remove   Kind = "remove"
	Rename   Kind = "rename" // in one step, over what is there
	SyncDir  Kind = "syncdir"
	// FailedSync is a Sync that failed on a disk that forgets.
	FailedSync Kind = "failed sync"
)

// Op is one operation that a disk was asked for.
type Op struct {
	Kind  Kind
	Name  string // of the file, without its folder
	To    string // of a Rename
	Off   int64  // of a Write; the new size of a Truncate
	Data  []byte // of a Write
	inode int    // which file, whatever its name is by now
}

// Faults are what is wrong with a disk. Each may be nil.
type Faults struct {
	// Fail returns the error of an operation that is then not done. It is asked
	// ahead of each, also of writes.
	Fail func(Op) error
	// Forget has a Sync that fails lose what it was to make durable, while reads still
	// see it and the next Sync succeeds: as Linux does, which marks the pages clean
	// (https://lwn.net/Articles/752063/).
	Forget bool
	// Swallow reports whether an operation is answered with success and not done
	// on the disk. Only of syncs: reads still see what was written.
	Swallow func(Op) bool
	// Pragma reports whether a PRAGMA of SQLite is answered with success and not
	// done.
	Pragma func(name, value string) bool
}

// Disk is one folder on a disk that remembers what it was asked for in which
// order. It is safe for concurrent use.
type Disk struct {
	// Dir is the folder's path. Only the file system of this package knows it.
	Dir string

	id     string
	shm    string // prefix of the files that back shared memory
	faults Faults

	mu      sync.Mutex
	files   []*content
	names   map[string]int // what programs see
	journal []Op
	base    Files
	cut     bool
}

// content is what programs see of a file.
type content struct {
	data  []byte
	locks locks
}

// Files are the contents of a folder by name.
type Files map[string][]byte

var (
	disks   sync.Map // id: *Disk
	lastID  atomic.Int64
	shmRoot = sync.OnceValue(func() string {
		if fi, err := os.Stat("/dev/shm"); err == nil && fi.IsDir() {
			return "/dev/shm"
		}
		return os.TempDir()
	})
)

// New returns a disk that holds files, durably. Close frees it.
func New(files Files, faults Faults) *Disk {
	id := "crashlab-" + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatInt(lastID.Add(1), 10)
	d := &Disk{Dir: filepath.Join(string(filepath.Separator), "crashlab", id), id: id, shm: filepath.Join(shmRoot(), id+"-"),
		faults: faults, names: map[string]int{}, base: files}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		d.names[name] = len(d.files)
		d.files = append(d.files, &content{data: slices.Clone(files[name])})
	}
	disks.Store(id, d)
	return d
}

// PowerOff ends the disk: everything that still uses it fails from now on.
func (d *Disk) PowerOff() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cut = true
}

// Close frees what the disk holds. Whoever uses it must be done.
func (d *Disk) Close() {
	d.PowerOff()
	disks.Delete(d.id)
	left, _ := filepath.Glob(d.shm + "*")
	for _, f := range left {
		_ = os.Remove(f)
	}
}

// Now is the number of operations so far.
func (d *Disk) Now() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.journal)
}

// Journal returns the operations so far. Their data is not a copy.
func (d *Disk) Journal() []Op {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.journal)
}

// Live returns what programs see: the folder as it is without a crash.
func (d *Disk) Live() Files {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := Files{}
	for name, i := range d.names {
		out[name] = slices.Clone(d.files[i].data)
	}
	return out
}

// SetFaults changes what is wrong with the disk.
func (d *Disk) SetFaults(f Faults) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = f
}

var errPower = &fs.PathError{Op: "access", Path: "disk", Err: syscall.EIO}

// begin asks whether op may be done; with the lock held. Where only is set it is
// answered with success and not remembered.
func (d *Disk) begin(op Op) (only bool, err error) {
	if d.cut {
		return false, errPower
	}
	if d.faults.Fail != nil {
		if err := d.faults.Fail(op); err != nil {
			if op.Kind == Sync && d.faults.Forget {
				op.Kind = FailedSync
				d.journal = append(d.journal, op)
			}
			return false, &fs.PathError{Op: string(op.Kind), Path: op.Name, Err: err}
		}
	}
	return d.faults.Swallow != nil && d.faults.Swallow(op), nil
}

// do remembers op, unless it fails or is swallowed.
func (d *Disk) do(op Op) error {
	only, err := d.begin(op)
	if err == nil && !only {
		d.journal = append(d.journal, op)
	}
	return err
}

// A handle is an open file.
type handle struct {
	disk  *Disk
	name  string // under which it was opened
	inode int
}

func (d *Disk) open(name string, create, exclusive bool) (*handle, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, ok := d.names[name]
	switch {
	case d.cut:
		return nil, errPower
	case ok && create && exclusive:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrExist}
	case !ok && !create:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case !ok:
		i = len(d.files)
		if err := d.do(Op{Kind: Create, Name: name, inode: i}); err != nil {
			return nil, err
		}
		d.files = append(d.files, &content{})
		d.names[name] = i
	}
	return &handle{disk: d, name: name, inode: i}, nil
}

func (h *handle) readAt(p []byte, off int64) (int, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if h.disk.cut {
		return 0, errPower
	}
	data := h.disk.files[h.inode].data
	if off >= int64(len(data)) {
		return 0, io.EOF
	}
	n := copy(p, data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *handle) writeAt(p []byte, off int64) (int, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	op := Op{Kind: Write, Name: h.name, Off: off, Data: slices.Clone(p), inode: h.inode}
	if err := h.disk.do(op); err != nil {
		return 0, err
	}
	c := h.disk.files[h.inode]
	c.data = put(c.data, p, off)
	return len(p), nil
}

// put writes p at off into data, which grows with zeros where it has to.
func put(data, p []byte, off int64) []byte {
	data = grow(data, off+int64(len(p)))
	copy(data[off:], p)
	return data
}

func grow(data []byte, size int64) []byte {
	if n := size - int64(len(data)); n > 0 {
		data = append(data, make([]byte, n)...)
	}
	return data
}

func (h *handle) truncate(size int64) error {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if err := h.disk.do(Op{Kind: Truncate, Name: h.name, Off: size, inode: h.inode}); err != nil {
		return err
	}
	c := h.disk.files[h.inode]
	c.data = resize(c.data, size)
	return nil
}

func resize(data []byte, size int64) []byte {
	if size < int64(len(data)) {
		return slices.Clone(data[:size])
	}
	return grow(data, size)
}

func (h *handle) sync() error {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	return h.disk.do(Op{Kind: Sync, Name: h.name, inode: h.inode})
}

func (h *handle) size() (int64, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if h.disk.cut {
		return 0, errPower
	}
	return int64(len(h.disk.files[h.inode].data)), nil
}

// Create makes an empty file; fs.ErrExist where the name is taken. Like all steps by
// path it looks at the last element of the path alone.
func (d *Disk) Create(path string) error {
	_, err := d.open(filepath.Base(path), true, true)
	return err
}

// WriteFile writes a file, and makes it where it is missing. Nothing of it is
// durable yet.
func (d *Disk) WriteFile(path string, data []byte) error {
	h, err := d.open(filepath.Base(path), true, false)
	if err == nil {
		err = h.truncate(0)
	}
	const piece = 4096 // as programs write
	for at := 0; at < len(data) && err == nil; at += piece {
		_, err = h.writeAt(data[at:min(len(data), at+piece)], int64(at))
	}
	return err
}

// Sync makes the data of a file durable.
func (d *Disk) Sync(path string) error {
	h, err := d.open(filepath.Base(path), false, false)
	if err != nil {
		return err
	}
	return h.sync()
}

// SyncDir makes the names of the folder durable.
func (d *Disk) SyncDir(string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.do(Op{Kind: SyncDir})
}

// Remove takes a name away.
func (d *Disk) Remove(path string) error {
	return d.rename(Remove, filepath.Base(path), "")
}

// Link gives a file a second name; fs.ErrExist where that is taken.
func (d *Disk) Link(path, to string) error {
	return d.rename(Create, filepath.Base(path), filepath.Base(to))
}

// Rename gives a file another name, in one step, over what is there.
func (d *Disk) Rename(path, to string) error {
	return d.rename(Rename, filepath.Base(path), filepath.Base(to))
}

func (d *Disk) rename(kind Kind, name, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, ok := d.names[name]
	if !ok {
		return &fs.PathError{Op: string(kind), Path: name, Err: fs.ErrNotExist}
	}
	op := Op{Kind: kind, Name: name, To: to}
	if kind == Create {
		if _, ok := d.names[to]; ok {
			return &fs.PathError{Op: "link", Path: to, Err: fs.ErrExist}
		}
		op = Op{Kind: Create, Name: to, inode: i}
	}
	if err := d.do(op); err != nil {
		return err
	}
	if kind != Create {
		delete(d.names, name)
	}
	if kind != Remove {
		d.names[to] = i
	}
	return nil
}

// Exists reports whether there is a file of that name.
func (d *Disk) Exists(path string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.names[filepath.Base(path)]
	return ok
}

// locks are those of SQLite on a database file, among all handles of all
// processes: https://sqlite.org/lockingv3.html
type locks struct {
	shared            int
	reserved, pending *file
}

var errBusy = errors.New("busy")

// lock raises f's lock.
func (l *locks) lock(f *file, want lockLevel) error {
	switch want {
	case lockShared:
		if l.pending != nil {
			return errBusy
		}
		l.shared++
	case lockReserved:
		if l.reserved != nil || l.pending != nil {
			return errBusy
		}
		l.reserved = f
	case lockExclusive:
		if l.pending != nil && l.pending != f || l.reserved != nil && l.reserved != f {
			return errBusy
		}
		l.pending = f
		if l.shared > 1 {
			f.level = lockPending
			return errBusy
		}
	}
	f.level = want
	return nil
}

// unlock lowers f's lock.
func (l *locks) unlock(f *file, to lockLevel) {
	if f.level <= to {
		return
	}
	if l.reserved == f {
		l.reserved = nil
	}
	if l.pending == f {
		l.pending = nil
	}
	if to < lockShared && f.level >= lockShared {
		l.shared--
	}
	f.level = to
}
