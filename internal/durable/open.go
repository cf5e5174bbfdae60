package durable

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Here files are opened that keyturn did not make a moment ago. There are two kinds. Keys,
// stores, configurations and whatever else is read as it lies there are regular files and
// nothing else: OpenRegular and ReadRegular, which never wait. What a caller names for one
// command may be a pipe, too: OpenInput and ReadInput, which wait only as long as their
// context lasts.

var (
	// ErrIrregular is a pipe, a socket, a device or a folder where a file is needed.
	ErrIrregular = errors.New("not a regular file")
	// ErrLarge is a file with more in it than is read.
	ErrLarge = errors.New("too large")
	// ErrNoWriter is a named pipe that nobody opens to write.
	ErrNoWriter = errors.New("a pipe that nobody writes to")
	// ErrNamedPipe is a named pipe that would be written to.
	ErrNamedPipe = errors.New("a named pipe")
)

// OpenRegular opens a regular file. flag is as for os.OpenFile; a file that it makes is
// for its owner only. What is something else is ErrIrregular, and is not opened: a pipe
// would wait, and what a device does is its own.
func OpenRegular(path string, flag int) (*os.File, fs.FileInfo, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, info, ErrIrregular
	}
	f, err := os.OpenFile(path, flag|doNotWait, 0o600)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() { // it was exchanged meanwhile
		err = ErrIrregular
	}
	if err != nil {
		_ = f.Close()
		return nil, info, err
	}
	return f, info, nil
}

// ReadRegular reads a regular file of at most limit bytes; a larger one is ErrLarge.
func ReadRegular(path string, limit int64) ([]byte, fs.FileInfo, error) {
	f, info, err := OpenRegular(path, os.O_RDONLY)
	if err != nil {
		return nil, info, err
	}
	defer f.Close()
	data, err := readAll(f, limit)
	return data, info, err
}

func readAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, ErrLarge
	}
	return data, err
}

// WriterWait is how long OpenInput waits for somebody to open a named pipe to write.
const WriterWait = 2 * time.Second

// Input is what OpenInput opened. Its Read ends with the context, too.
type Input struct {
	io.Reader
	file *os.File
}

// Stat describes what was opened.
func (in *Input) Stat() (fs.FileInfo, error) { return in.file.Stat() }

// Close closes the file.
func (in *Input) Close() error { return in.file.Close() }

// OpenInput opens what a caller named: a regular file, a pipe, a terminal or another
// device that is read byte by byte. A named pipe that nobody opens to write within
// WriterWait is ErrNoWriter; the end of ctx ends the waiting, and that of each Read, with
// its error. Anything else is ErrIrregular.
func OpenInput(ctx context.Context, path string) (*Input, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	switch mode := info.Mode(); {
	case mode.IsRegular():
		f, _, err := OpenRegular(path, os.O_RDONLY)
		if err != nil {
			return nil, err
		}
		return &Input{Reader: f, file: f}, nil
	case mode.Type() != fs.ModeNamedPipe && mode&fs.ModeCharDevice == 0:
		return nil, ErrIrregular
	}
	type result struct {
		f   *os.File
		err error
	}
	opened := make(chan result, 1)
	go func() {
		f, err := os.Open(path) // of a pipe, this waits for a writer
		opened <- result{f, err}
	}()
	late := time.NewTimer(WriterWait)
	defer late.Stop()
	select {
	case r := <-opened:
		if r.err != nil {
			return nil, r.err
		}
		return &Input{Reader: Until(ctx, r.f), file: r.f}, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-late.C:
		err = ErrNoWriter
	}
	go func() {
		if r := <-opened; r.err == nil {
			_ = r.f.Close()
		}
	}()
	// The one that waits above goes on once there is a writer: this one.
	if f, err := os.OpenFile(path, os.O_WRONLY|doNotWait, 0); err == nil {
		_ = f.Close()
	}
	return nil, err
}

// ReadInput is OpenInput, and reads at most limit bytes; more are ErrLarge.
func ReadInput(ctx context.Context, path string, limit int64) ([]byte, error) {
	in, err := OpenInput(ctx, path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return readAll(in, limit)
}

// Until returns a reader of r that ends with ctx, with the context's error, also while a
// Read of r waits. What r reads then is lost.
func Until(ctx context.Context, r io.Reader) io.Reader {
	return &until{ctx: ctx, r: r, buf: make([]byte, 32<<10)}
}

type until struct {
	ctx  context.Context
	r    io.Reader
	buf  []byte
	rest []byte // of buf: read and not handed out
	err  error  // behind rest
}

// Read implements io.Reader.
func (u *until) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	if len(u.rest) == 0 && u.err == nil {
		type result struct {
			n   int
			err error
		}
		done := make(chan result, 1)
		go func() {
			n, err := u.r.Read(u.buf)
			done <- result{n, err}
		}()
		select {
		case <-u.ctx.Done():
			return 0, u.ctx.Err() // buf is the other one's now; nothing here uses it again
		case r := <-done:
			u.rest, u.err = u.buf[:r.n], r.err
		}
	}
	if len(u.rest) == 0 {
		return 0, u.err
	}
	n := copy(p, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

// writeWait is how long WriteThrough waits for whoever reads.
const writeWait = 10 * time.Second

// WriteThrough writes data to what is no file: a terminal or a like device, or a
// descriptor of this process, /dev/fd/N. A named pipe is ErrNamedPipe, since it could have
// no reader; anything else is ErrIrregular.
func WriteThrough(path string, data []byte) error {
	if err := CanWriteThrough(path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|doNotWait, 0)
	if err != nil {
		return err
	}
	_ = f.SetWriteDeadline(time.Now().Add(writeWait)) // of a device it may have none
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// CanWriteThrough returns the error that WriteThrough would return for what is at path.
func CanWriteThrough(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case info.Mode()&fs.ModeCharDevice != 0:
		return nil
	case info.Mode().Type() != fs.ModeNamedPipe:
		return ErrIrregular
	case !isDescriptor(path):
		return ErrNamedPipe
	}
	return nil
}

// isDescriptor reports whether path names a descriptor of this process, by whatever links.
func isDescriptor(path string) bool {
	names, _ := Names(path)
	for _, name := range names {
		folder, err := filepath.EvalSymlinks(filepath.Dir(name))
		if err == nil && (folder == "/dev/fd" || folder == "/proc/"+strconv.Itoa(os.Getpid())+"/fd") {
			return true
		}
	}
	return false
}
