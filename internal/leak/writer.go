package leak

import (
	"bytes"
	"cmp"
	"io"
	"slices"
	"sync"
	"time"
)

const (
	// DefaultIdle is the pause after which a short tail is shown.
	DefaultIdle = 50 * time.Millisecond

	// maxIdleTail is how many bytes of what may become an occurrence can be
	// shown after a pause.
	maxIdleTail = 3

	// block is how much of a Write is worked on at a time. Blocks end at
	// multiples of it in the stream, so that the bound on what is held, which
	// is checked there, does not depend on how the stream is cut into Writes.
	block = 32 << 10

	// slack is how many removed bytes (terminal sequences, line breaks) may
	// lie inside an occurrence before the Writer stops waiting for its end.
	slack = 64 << 10
)

// Timer is the part of time.Timer that a Writer needs.
type Timer interface {
	Reset(time.Duration) bool
	Stop() bool
}

// Options of a Writer. The zero value is right for production.
type Options struct {
	// Idle is the pause after which a held tail is shown if at most three of
	// its bytes may belong to an occurrence, so that prompts appear. Longer
	// beginnings are never shown for lapse of time. Zero means DefaultIdle;
	// a negative value holds every tail until it is decided.
	Idle time.Duration

	// AfterFunc makes the timer for Idle; nil means time.AfterFunc.
	AfterFunc func(time.Duration, func()) Timer
}

// Writer is a redacting filter before another writer.
//
// A byte is passed on as soon as no occurrence can begin at or before it; at
// the end of a Write only a tail that is the beginning of a form is held. The
// Writer keeps at most the longest form, 64 KiB of removed bytes within it,
// and one block of 32 KiB. If a beginning of four bytes or more exceeds that,
// it is replaced by [redacted] without waiting for the rest, and so is what
// follows up to its end; a shorter one is shown, but not what follows.
//
// Everything inside a replaced stretch is dropped, terminal sequences and line
// breaks included. If that was any ESC, the marker is followed by a reset of
// colours and attributes (ESC [ 0 m), lest a swallowed reset stain the rest.
//
// One goroutine at a time may use a Writer; its timer is taken care of.
type Writer struct {
	m     *Matcher
	dst   io.Writer
	idle  time.Duration
	after func(time.Duration, func()) Timer

	mu     sync.Mutex
	timer  Timer
	armed  bool
	closed bool
	err    error // of dst; nothing is written after it

	pos   int64  // length of the stream so far
	base  int64  // everything before is written or dropped
	held  []byte // the stream from base on; to pos between calls
	out   []byte // what goes to dst next
	found regions

	plain uint32 // state over the stream
	views views  // other readings of it
	hits  []hit
	fresh []occurrence // in the current block

	next    *Writer // dst, where that is one
	literal []span  // the markers in out; kept for next
	stopped bool    // see Stopped
}

// span is a stretch of bytes.
type span struct{ start, end int }

// Writer returns a Writer that redacts what it is given and passes it to dst.
// The caller must Close it to see the end of the stream.
//
// Where dst is a Writer itself, that one works on the text that this one lets through,
// between two markers of this one and never across or inside one: what this one shows, and
// when, does not depend on the needles of that one.
func (m *Matcher) Writer(dst io.Writer, o Options) *Writer {
	w := &Writer{m: m, dst: dst, idle: o.Idle, after: o.AfterFunc}
	w.views.init(m, w.add)
	w.next, _ = dst.(*Writer)
	if w.idle == 0 {
		w.idle = DefaultIdle
	}
	if w.after == nil {
		w.after = func(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }
	}
	return w
}

// Write redacts p, the next part of the stream, and writes what is decided. It
// does not keep p. An error is that of the underlying writer, also one that
// occurred after a pause, or ErrWiped, or ErrClosed; it is final, and how much
// of p was passed on is not known then.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.usable(); err != nil {
		return 0, err
	}
	w.armed = false
	total := len(p)
	for len(p) > 0 {
		n := min(len(p), int(block-w.pos%block))
		w.take(p[:n])
		p = p[n:]
		if w.flush(); w.err != nil {
			return 0, w.err
		}
	}
	w.watch()
	return total, nil
}

// Close writes the tail, which did not become an occurrence, and overwrites
// the buffers. It does not close the underlying writer. A second Close is
// harmless and returns nil.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	err := w.usable()
	w.closed, w.armed = true, false
	if w.timer != nil {
		w.timer.Stop()
	}
	if err == nil {
		w.finish()
		w.flush()
		err = w.err
	}
	for _, b := range [][]byte{w.held, w.out} {
		clear(b[:cap(b)])
	}
	w.held, w.out = nil, nil
	w.views.wipe()
	return err
}

// Stopped reports whether a needle that stands Apart shared bytes with another one. From
// there on nothing is shown.
func (w *Writer) Stopped() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stopped
}

// pass writes p, a marker of the Writer before, as it is. What came before it is decided
// without it, and what comes after it begins anew.
func (w *Writer) pass(p []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.usable(); err != nil {
		return err
	}
	w.armed = false
	w.finish()
	w.restart()
	if !w.stopped {
		w.out = append(w.out, p...)
	}
	w.flush()
	return w.err
}

func (w *Writer) usable() error {
	switch {
	case w.closed:
		return ErrClosed
	case w.err != nil:
		return w.err
	case w.m.wiped.Load():
		return ErrWiped
	}
	return nil
}

// take works on p, which does not go beyond the current block.
func (w *Writer) take(p []byte) {
	if w.stopped {
		w.pos += int64(len(p))
		w.base = w.pos
		return
	}
	w.held = append(w.held, p...)
	w.fresh = w.fresh[:0]
	w.views.take(p, w.pos, w.scanPlain(p))
	w.pos += int64(len(p))
	if !w.find() {
		return
	}

	live, hold := w.live()
	if w.pos%block != 0 || w.pos-live <= int64(w.m.longest)+slack {
		w.advance(live, live)
		return
	}
	if hold > maxIdleTail {
		w.found.add(occurrence{start: live, end: w.pos, label: cutLabel})
	}
	w.advance(w.pos, live)
}

// add keeps an occurrence that a view has found.
func (w *Writer) add(o occurrence) { w.fresh = append(w.fresh, o) }

// find adds the fresh occurrences to those that were found. It reports false where nothing
// is to be shown any more.
func (w *Writer) find() bool {
	slices.SortFunc(w.fresh, func(a, b occurrence) int { return cmp.Compare(a.start, b.start) })
	for _, o := range w.fresh {
		if r := w.found.add(o); w.m.apart != nil && r.mixed() && w.apart(r) {
			w.stop(r)
			return false
		}
	}
	return true
}

// finish decides all that was taken, as at the end of the stream.
func (w *Writer) finish() {
	w.fresh = w.fresh[:0]
	w.views.finish(w.pos)
	if w.find() {
		w.advance(w.pos, w.pos)
	}
}

// restart begins to look anew, at pos.
func (w *Writer) restart() {
	w.plain = root
	w.views.wipe()
	w.views = views{}
	w.views.init(w.m, w.add)
}

// apart reports whether one of the needles of r stands apart.
func (w *Writer) apart(r *region) bool {
	for _, l := range r.labels {
		if l != cutLabel && w.m.apart[l] {
			return true
		}
	}
	return false
}

// stop ends what is shown with the marker of r.
func (w *Writer) stop(r *region) {
	live, _ := w.live()
	end := min(r.start, live) // from there on something longer may have begun
	w.advance(end, end)
	if r := &w.found[0]; !r.marked {
		w.mark(w.marker(r))
	}
	clear(w.held)
	w.held, w.found, w.base, w.stopped = w.held[:0], nil, w.pos, true
	w.restart()
}

// scanPlain looks for occurrences in p as it is.
func (w *Writer) scanPlain(p []byte) (deep depths) {
	w.plain, w.hits = w.m.scan(w.plain, p, w.hits[:0], &deep)
	for _, h := range w.hits {
		end := w.pos + int64(h.end)
		w.m.each(h, func(f formInfo) {
			w.fresh = append(w.fresh, occurrence{start: end - int64(f.length), end: end, label: f.label})
		})
	}
	return deep
}

// live returns the position before which no occurrence can begin any more, and
// how many bytes after it, in the reading that has most, may belong to one.
func (w *Writer) live() (live int64, hold uint32) {
	plain := w.m.automaton.nodes[w.plain].hold
	live, hold = w.views.live(w.pos)
	return min(live, w.pos-int64(plain)), max(hold, plain)
}

// advance moves base to the position to: it appends to out what is outside of
// the regions, and a marker for each region. No occurrence will begin before
// final, so that a region ending there is complete; to lies beyond final only
// where bytes are given up, because of a pause or of the bound on memory.
func (w *Writer) advance(to, final int64) {
	if to <= w.base {
		return
	}
	rest := w.held
	pass := func(end int64) (run []byte) {
		if end > w.base {
			run, rest = rest[:end-w.base], rest[end-w.base:]
			w.base = end
		}
		return run
	}
	done := 0
	for i := range w.found {
		r := &w.found[i]
		if r.start >= to {
			break
		}
		w.out = append(w.out, pass(r.start)...)
		if !r.marked {
			w.mark(w.marker(r))
			r.marked = true
		}
		dropped := pass(min(r.end, to))
		r.escape = r.escape || bytes.IndexByte(dropped, esc) >= 0
		if r.end >= to && r.end > final {
			break
		}
		if r.escape {
			w.mark("\x1b[0m")
		}
		done++
	}
	w.out = append(w.out, pass(to)...)
	w.found = w.found[:copy(w.found, w.found[done:])]
	w.held = w.held[:copy(w.held, rest)]
}

// cutLabel is the label of the beginning of an occurrence that is replaced
// because the Writer will not wait for its end.
const cutLabel = ^uint32(0)

func (w *Writer) marker(r *region) string {
	if r.first.label == cutLabel {
		return marker("")
	}
	return w.m.markers[r.first.label]
}

// mark appends to out what stands for an occurrence.
func (w *Writer) mark(text string) {
	if w.next != nil {
		w.literal = append(w.literal, span{len(w.out), len(w.out) + len(text)})
	}
	w.out = append(w.out, text...)
}

// flush writes out to the underlying writer.
func (w *Writer) flush() {
	if len(w.out) == 0 || w.err != nil {
		return
	}
	done := 0
	for _, m := range w.literal {
		if w.write(w.out[done:m.start]); w.err == nil {
			w.err = w.next.pass(w.out[m.start:m.end])
		}
		done = m.end
	}
	w.write(w.out[done:])
	w.out, w.literal = w.out[:0], w.literal[:0]
}

func (w *Writer) write(p []byte) {
	if len(p) == 0 || w.err != nil {
		return
	}
	n, err := w.dst.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	w.err = err
}

// watch starts the timer if there is a tail that may be shown after a pause.
func (w *Writer) watch() {
	if w.idle < 0 || !w.releasable() {
		return
	}
	w.armed = true
	if w.timer == nil {
		w.timer = w.after(w.idle, w.release)
	} else {
		w.timer.Reset(w.idle)
	}
}

// releasable reports whether there is a held tail and at most maxIdleTail
// bytes of it may belong to an occurrence, in either view.
func (w *Writer) releasable() bool {
	_, hold := w.live()
	return w.base < w.pos && hold <= maxIdleTail
}

// release shows the tail. It is called by the timer.
func (w *Writer) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	// A timer that fired while Write had the lock may come a little early for
	// the new tail; no more is shown for that.
	if !w.armed || w.usable() != nil || !w.releasable() {
		return
	}
	w.armed = false
	live, _ := w.live()
	w.advance(w.pos, live)
	w.flush()
}
