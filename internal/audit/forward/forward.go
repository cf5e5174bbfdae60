// Package forward sends the rows of the audit log to files and to syslog, as the lines
// of an exported log: in order, each at least once, with its number. A sink that was
// down gets the missing rows later.
package forward

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit/verify"
	"github.com/keyturn/keyturn/internal/durable"
	"github.com/keyturn/keyturn/internal/filelock"
)

// Target is one place. Exactly one of File and Syslog is meant.
type Target struct {
	File     string // absolute path
	Syslog   string // Local, or udp://HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT
	Required bool   // nothing may happen that was not forwarded to it
}

// Local is the syslog of this machine.
const Local = "local"

// String names the target for people.
func (t Target) String() string {
	if t.File != "" {
		return "file " + t.File
	}
	return "syslog " + t.Syslog
}

// How long one place may take: to be locked by another process, and to be sent to.
const (
	maxLock = 5 * time.Second
	maxSend = 5 * time.Second
)

// maxClose is how long all places that are not required may hold up the end of a
// program together. One that was slow to fail is left alone for backOff, by every
// process: else each command would wait for it anew.
const (
	maxClose = time.Second
	slow     = maxClose / 2
	backOff  = 30 * time.Second
)

var errBackOff = errors.New("it was slow to fail a moment ago; it is tried again in half a minute")

// sink writes lines to one place.
type sink interface {
	// at returns what the place itself knows to be the last row that it has; ok is
	// false where it knows none.
	at() (e keyturn.LogEntry, ok bool, err error)
	// send writes one row; where ctx ends it gives up.
	send(ctx context.Context, e keyturn.LogEntry) error
	// flush makes sure of what was sent, as far as the place can.
	flush() error
	// reset drops a connection that failed.
	reset()
}

// Set is all places. It is safe for concurrent use, by several processes too.
// It implements audit.Forwarder.
type Set struct {
	folder string
	report func(Target, error)
	places []*place

	kick chan struct{}
	done chan struct{}
	mu   sync.Mutex
	ends bool
	late job

	closing context.Context // ends when Close has waited for long enough
	give    context.CancelFunc
}

type job struct {
	ctx  context.Context
	rows rowsFrom
	upto int64
}

type rowsFrom = func(ctx context.Context, from int64) iter.Seq2[keyturn.LogEntry, error]

type place struct {
	Target
	mu   sync.Mutex // one at a time in this process; a lock on the file of the place keeps others out
	sink sink
	told bool
}

// New returns the set of targets. In folder, which is made where it is missing, it
// keeps how far each has come. report is told once of each target that is not
// required and fails; nil: nobody.
func New(folder string, targets []Target, report func(Target, error)) *Set {
	s := &Set{folder: folder, report: report}
	s.closing, s.give = context.WithCancel(context.Background())
	for _, t := range targets {
		p := &place{Target: t, sink: newSyslog(t.Syslog)}
		if t.File != "" {
			p.sink = &file{path: t.File, sync: t.Required}
		}
		s.places = append(s.places, p)
	}
	return s
}

// Forward brings the required targets up to row upto before it returns, and the
// others soon after. Unavailable where a required one could not be brought there.
func (s *Set) Forward(ctx context.Context, rows rowsFrom, upto int64) error {
	var failed []*keyturn.Error
	later := false
	for _, p := range s.places {
		if !p.Required {
			later = true
			continue
		}
		if err := s.catchUp(ctx, p, rows, upto); err != nil {
			e := keyturn.E(keyturn.Unavailable, "the audit log cannot be forwarded to "+keyturn.Clean(p.String())+", and the operator's configuration requires it: "+Reason(err),
				"nothing was done; see to the place, or to 'audit' in the operator's configuration").Because(err)
			failed = append(failed, e)
		}
	}
	if later {
		s.leave(job{context.WithoutCancel(ctx), rows, upto})
	}
	if len(failed) > 0 {
		return keyturn.Join("the audit log cannot be forwarded", failed...)
	}
	return nil
}

// leave hands a job to the goroutine for what is not required.
func (s *Set) leave(j job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ends {
		return
	}
	s.late = j
	if s.kick == nil {
		s.kick, s.done = make(chan struct{}, 1), make(chan struct{})
		go s.work()
	}
	select {
	case s.kick <- struct{}{}:
	default: // it will see the newer job
	}
}

func (s *Set) work() {
	defer close(s.done)
	for range s.kick {
		s.mu.Lock()
		j := s.late
		s.mu.Unlock()
		var all sync.WaitGroup
		for _, p := range s.places {
			if p.Required {
				continue
			}
			all.Go(func() {
				err := s.tryToCatchUp(j, p)
				if err != nil && !p.told && s.report != nil {
					p.told = true
					s.report(p.Target, err)
				}
			})
		}
		all.Wait()
	}
}

// tryToCatchUp is catchUp for a place that is not required: it ends with Close, and
// leaves a place alone for a while that was slow to fail.
func (s *Set) tryToCatchUp(j job, p *place) error {
	ctx, cancel := context.WithCancel(j.ctx)
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	mark, err := s.openMark(p.Target)
	if err != nil {
		return err
	}
	defer mark.Close()
	if rest := time.Until(readFailed(mark).Add(backOff)); rest > 0 && rest <= backOff {
		return errBackOff
	}
	before, begun := readMark(mark).Seq, time.Now()
	err = s.catchUp(ctx, p, j.rows, j.upto)
	if err == nil || time.Since(begun) < slow {
		return err
	}
	if readMark(mark).Seq > before && s.closing.Err() != nil {
		return nil // it is well, and a long way behind: the next program goes on
	}
	return errors.Join(err, writeFailed(mark, time.Now()))
}

// Close waits for what is under way: a second at most for all places together that
// are not required, and then gives up what can be sent by the next program.
func (s *Set) Close() {
	s.mu.Lock()
	ends := s.ends
	s.ends = true
	if s.kick != nil && !ends {
		close(s.kick)
	}
	s.mu.Unlock()
	if s.done != nil {
		giveUp := time.AfterFunc(maxClose, s.give)
		<-s.done
		giveUp.Stop()
	}
	s.give()
	for _, p := range s.places {
		p.mu.Lock()
		p.sink.reset()
		p.mu.Unlock()
	}
}

// catchUp sends to p all rows behind those that it has, up to row upto at least.
func (s *Set) catchUp(ctx context.Context, p *place, rows rowsFrom, upto int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	mark, err := s.openMark(p.Target)
	if err != nil {
		return err
	}
	defer mark.Close()
	if err := s.hold(ctx, mark); err != nil {
		return err
	}
	last, known, err := p.sink.at()
	if err != nil {
		return err
	}
	ours := readMark(mark)
	if !known {
		last = ours
	}
	from, found, err := following(ctx, rows, last)
	if err != nil {
		return err
	}
	if known && !found && (last.Seq != ours.Seq || last.Leaf != ours.Leaf) {
		p.sink.reset()
		return foreign(p.Target)
	}
	sent := keyturn.LogEntry{}
	for e, err := range rows(ctx, from) {
		if err == nil {
			err = p.sink.send(ctx, e)
		}
		if err != nil {
			p.sink.reset()
			return errors.Join(err, writeMark(mark, sent))
		}
		if sent = e; e.Seq >= upto {
			break
		}
	}
	// Also where another process was here, which may not have come to it.
	if err := p.sink.flush(); err != nil {
		p.sink.reset()
		return err
	}
	return writeMark(mark, sent)
}

// following is the number behind last; 1 where the log does not have that row, as
// after an older copy of the store was restored: a row too often beats one lost.
func following(ctx context.Context, rows rowsFrom, last keyturn.LogEntry) (from int64, found bool, err error) {
	if last.Seq == 0 {
		return 1, false, nil
	}
	for e, err := range rows(ctx, last.Seq) {
		if err != nil {
			return 0, false, err
		}
		if e.Seq == last.Seq && e.Leaf == last.Leaf {
			return last.Seq + 1, true, nil
		}
		break
	}
	return 1, false, nil
}

// foreign is the error of a file whose last line is a row that neither this log has
// nor this store ever sent: that of another store would follow, and each of the two
// begin anew behind the other, again and again.
func foreign(t Target) error {
	return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(t.File)+"' ends with a record of another log", "name a file for each store, or move this one away")
}

// openMark opens the small file that says how far a target has come. It is locked
// while somebody sends to the target.
func (s *Set) openMark(t Target) (*os.File, error) {
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(t.String()))
	f, _, err := durable.OpenRegular(filepath.Join(s.folder, hex.EncodeToString(sum[:8])), os.O_RDWR|os.O_CREATE)
	return f, err
}

// hold waits for the lock, for a while. Where the system has none a row may be sent
// twice.
func (s *Set) hold(ctx context.Context, mark *os.File) error {
	end := time.Now().Add(maxLock)
	for {
		held, err := filelock.Try(mark)
		if errors.Is(err, errors.ErrUnsupported) {
			return nil
		}
		if err != nil || held {
			return err
		}
		if time.Now().After(end) {
			return errors.New("another keyturn has been sending to it for too long")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// A mark is "<seq> <leaf>", of a fixed width, so that it is written in place. One
// that cannot be read counts as none.
func readMark(f *os.File) (e keyturn.LogEntry) {
	b := make([]byte, markSize)
	if n, _ := f.ReadAt(b, 0); n != markSize {
		return e
	}
	seq, leaf, _ := strings.Cut(strings.TrimSuffix(string(b), "\n"), " ")
	n, err := strconv.ParseInt(strings.TrimLeft(seq, "0"), 10, 64)
	raw, hexErr := hex.DecodeString(leaf)
	if err != nil || hexErr != nil || len(raw) != len(e.Leaf) {
		return e
	}
	return keyturn.LogEntry{Seq: n, Leaf: verify.Hash(raw)}
}

const markSize = 20 + 1 + 64 + 1

func writeMark(f *os.File, e keyturn.LogEntry) error {
	if e.Seq == 0 {
		return nil
	}
	_, err := f.WriteAt(fmt.Appendf(nil, "%020d %x\n", e.Seq, e.Leaf), 0)
	return err
}

// When the place was slow to fail stands behind the mark, as "<Unix time, seconds>".
func readFailed(f *os.File) time.Time {
	b := make([]byte, failedSize)
	if n, _ := f.ReadAt(b, markSize); n != failedSize {
		return time.Time{}
	}
	n, err := strconv.ParseInt(strings.TrimLeft(strings.TrimSuffix(string(b), "\n"), "0"), 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(n, 0)
}

const failedSize = 20 + 1

func writeFailed(f *os.File, at time.Time) error {
	_, err := f.WriteAt(fmt.Appendf(nil, "%020d\n", at.Unix()), markSize)
	return err
}

// Reason is why a target failed, in words that may be shown.
func Reason(err error) string {
	var e *keyturn.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return keyturn.Clean(err.Error())
}
