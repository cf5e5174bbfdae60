package launch

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/keyturn/keyturn"
)

// stream carries the child's output from a pipe or PTY through a filter to one
// of our own streams.
type stream struct {
	src    *os.File
	sink   *sink
	filter io.WriteCloser
	done   chan struct{} // closed when pump has returned

	reading atomic.Int64 // since when pump waits for input, in Unix ns; 0: it does not
	copied  atomic.Int64 // bytes read
	stopped atomic.Bool  // nothing may be written any more

	mu     sync.Mutex // over filter, closed and err
	closed bool
	err    error
}

// sink is where a filter writes. It remembers that the destination failed,
// whatever the filter makes of the error.
type sink struct {
	dst io.Writer
	mu  sync.Mutex
	err error
}

func (s *sink) Write(p []byte) (int, error) {
	n, err := s.dst.Write(p)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.err == nil {
			s.err = err
		}
	}
	return n, err
}

func (s *sink) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func newStream(src *os.File, dst io.Writer, f Filter) *stream {
	s := &stream{src: src, sink: &sink{dst: dst}, done: make(chan struct{})}
	s.filter = f(s.sink)
	return s
}

// pump copies until the input ends or the output fails. When the output fails
// it closes the input at once, so that the child gets SIGPIPE as it would
// without us, and hangs nowhere.
func (s *stream) pump() {
	defer close(s.done)
	buf := make([]byte, 32<<10)
	for {
		s.reading.Store(time.Now().UnixNano())
		n, err := s.src.Read(buf)
		s.reading.Store(0)
		s.copied.Add(int64(n))
		if s.stopped.Load() {
			break
		}
		if n > 0 && s.guard(func() error { _, err := s.filter.Write(buf[:n]); return err }) != nil {
			break
		}
		if err != nil {
			break // end of file, or EIO when nobody has a PTY open any more
		}
	}
	clear(buf)
	_ = s.src.Close()
	s.finish()
}

// guard calls the filter. A filter that panics must not take the process down,
// because terminal and files need putting right; and what it panicked with may
// hold output.
func (s *stream) guard(call func() error) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		if recover() != nil {
			s.closed = true
			err = errors.New("the output filter panicked")
		}
		if err != nil && s.err == nil {
			s.err = err
		}
	}()
	if s.closed {
		return errors.New("the output is closed")
	}
	return call()
}

// finish closes the filter, once.
func (s *stream) finish() {
	_ = s.guard(func() error { s.closed = true; return s.filter.Close() })
}

// silent returns how long the stream has been waiting for input, and false
// while it is busy.
func (s *stream) silent() (time.Duration, bool) {
	ns := s.reading.Load()
	return time.Since(time.Unix(0, ns)), ns != 0
}

// abandon gives the stream up although its input has not ended.
func (s *stream) abandon() {
	select {
	case <-s.done:
		return
	default:
	}
	s.stopped.Store(true)
	if s.src.SetReadDeadline(time.Unix(1, 0)) == nil {
		select {
		case <-s.done:
			return
		case <-time.After(time.Second): // it is writing to someone who does not read
		}
	}
	// Pump hangs in a read or a write, and ends with it.
	if s.mu.TryLock() {
		s.mu.Unlock()
		s.finish()
	}
}

// failure tells what went wrong with the stream. A reader that went away is no
// failure.
func (s *stream) failure() error {
	s.mu.Lock()
	err := s.err
	s.mu.Unlock()
	if cause := s.sink.failure(); cause != nil {
		err = cause
	}
	return outputError(err)
}

// outputError is the error of Run for an error of a stream of ours; nil where its reader
// has gone.
func outputError(err error) error {
	if err == nil || errors.Is(err, syscall.EPIPE) || errors.Is(err, brokenPipe) {
		return nil
	}
	return keyturn.E(keyturn.Unavailable, "the command's output could not be written", "the command may have been ended by it").Because(err)
}

// Show writes what a Filter has held back until the end. Its error is that of Run for
// output that could not be written.
func Show(dst io.Writer, p []byte) error {
	_, err := dst.Write(p)
	return outputError(err)
}

// drain waits, after the child's end, for what it has written. Programs that it
// left behind may hold the other end open for ever: a stream that is silent for
// linger is given up, and one that trickles or floods is after ten times that,
// when everything that can be the child's own has gone through. A signal that
// asks to end cuts it short.
func (w *wiring) drain(sigs <-chan os.Signal, linger time.Duration) error {
	const pipe = 1 << 20 // the most that a pipe or PTY holds
	end := time.Now()
	tick := time.NewTicker(max(min(linger/10, 20*time.Millisecond), time.Millisecond))
	defer tick.Stop()
	var failures []error
	for _, s := range w.streams {
		before := s.copied.Load()
		for waiting := true; waiting; {
			select {
			case <-s.done:
				waiting = false
			case sig := <-sigs:
				waiting = !ends(sig)
			case <-tick.C:
				after := time.Since(end)
				silent, ok := s.silent()
				quiet := ok && min(silent, after) > linger
				empty := ok && silent > 10*time.Millisecond || s.copied.Load()-before > pipe
				waiting = !quiet && !(empty && after > 10*linger)
			}
		}
		s.abandon() // nothing happens when it is done
		failures = append(failures, s.failure())
	}
	return first(failures)
}
