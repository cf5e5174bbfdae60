package forward

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit/verify"
	"github.com/keyturn/keyturn/internal/durable"
)

// file appends lines to a file, which may be moved away at any time: then a new one
// is begun. It finds its place again by its own last line.
type file struct {
	path string
	sync bool // a row counts as sent when it is on the disk

	f    *os.File
	size int64 // after our last write
	last keyturn.LogEntry
}

func (s *file) at() (keyturn.LogEntry, bool, error) {
	if s.f != nil {
		// Ours still, and nobody else wrote?
		ours, err := s.f.Stat()
		there, statErr := os.Stat(s.path)
		if err == nil && statErr == nil && os.SameFile(ours, there) && ours.Size() == s.size && s.size > 0 {
			return s.last, true, nil
		}
		s.reset()
	}
	f, fi, err := durable.OpenRegular(s.path, os.O_RDWR|os.O_CREATE|os.O_APPEND)
	if errors.Is(err, durable.ErrIrregular) {
		return keyturn.LogEntry{}, false, notOurs(s.path)
	}
	if err != nil {
		return keyturn.LogEntry{}, false, err
	}
	s.f, s.size = f, fi.Size()
	if err := s.find(); err != nil {
		s.reset()
		return keyturn.LogEntry{}, false, err
	}
	return s.last, s.size > 0, nil
}

// find reads the last whole line, and cuts off one that a crash tore.
func (s *file) find() error {
	s.last = keyturn.LogEntry{}
	tail := make([]byte, 0, 64<<10)
	for size := int64(64 << 10); ; size *= 4 {
		from := max(0, s.size-size)
		tail = append(tail[:0], make([]byte, s.size-from)...)
		if _, err := s.f.ReadAt(tail, from); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		end := bytes.LastIndexByte(tail, '\n') // of the last whole line
		begin := bytes.LastIndexByte(tail[:max(end, 0)], '\n') + 1
		if begin == 0 && from > 0 {
			if size > 2*verify.MaxLine {
				return notOurs(s.path)
			}
			continue
		}
		if end < 0 {
			if len(tail) > 0 && !bytes.HasPrefix([]byte(`{"seq":`), tail[:min(len(tail), 7)]) {
				return notOurs(s.path)
			}
			return s.cut(from)
		}
		e, ok := verify.ParseLine(tail[begin:end])
		if !ok {
			return notOurs(s.path)
		}
		s.last = keyturn.LogEntry{Seq: e.Seq, Leaf: e.Leaf}
		return s.cut(from + int64(end) + 1)
	}
}

func (s *file) cut(size int64) error {
	if size == s.size {
		return nil
	}
	s.size = size
	return os.Truncate(s.path, size) // Windows truncates nothing that is open to append
}

func notOurs(path string) error {
	return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(path)+"' is not a file of forwarded records", "name another file, or one that does not exist")
}

func (s *file) send(ctx context.Context, e keyturn.LogEntry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	line := append(verify.Line(e), '\n')
	if _, err := s.f.Write(line); err != nil {
		return err
	}
	s.size += int64(len(line))
	s.last = keyturn.LogEntry{Seq: e.Seq, Leaf: e.Leaf}
	return nil
}

func (s *file) flush() error {
	if s.sync {
		return s.f.Sync()
	}
	return nil
}

func (s *file) reset() {
	if s.f != nil {
		_ = s.f.Close()
		s.f = nil
	}
}
