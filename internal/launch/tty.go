//go:build linux || darwin || freebsd || netbsd || openbsd

package launch

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// terminal is the child's PTY together with our own terminal behind it. A nil
// terminal does nothing.
type terminal struct {
	master *os.File               // the PTY
	slave  *os.File               // its other end, open until the child has ended (see hangup)
	screen *os.File               // our terminal: the PTY's output goes there, its size counts
	keys   *os.File               // where its keys are read; nil: nowhere
	look   func(keys []byte) bool // nil, or whether keys may go to the child
	owner  bool                   // our terminal is the child's for the whole run

	found  modes       // the PTY's modes at the start
	before *term.State // our terminal's modes at the start, once we changed them
	raw    atomic.Bool // keys go to the PTY, and our terminal is in raw mode
	pid    int         // the child, leader of its session
	ticker *time.Ticker
	stop   chan struct{} // a key has been pressed that suspends

	wakeR, wakeW *os.File      // closing wakeW ends readKeys
	reader       chan struct{} // closed when readKeys has returned
}

var openPTY = pty.Open // replaced in tests

// modes are what tells whether a program has taken a terminal for itself.
type modes struct{ lines, echo bool }

func modesOf(t *unix.Termios) modes {
	return modes{t.Lflag&unix.ICANON != 0, t.Lflag&unix.ECHO != 0}
}

// openTerminal makes the PTY and gives it to the child in place of those of our
// streams that are terminals.
func (w *wiring) openTerminal(c *Command, ours [3]bool) error {
	t := &terminal{owner: ours[0] && (ours[1] || !toProgram(c.Stdout) && !toProgram(c.Stderr)), stop: make(chan struct{}, 1)}
	for i, f := range []*os.File{1: c.Stdout, 2: c.Stderr, 3: c.Stdin} {
		if t.screen == nil && f != nil && ours[i%3] {
			t.screen = f
		}
	}
	if ours[0] {
		t.keys = c.Stdin
	} else if access(t.screen) == unix.O_RDWR {
		t.keys = t.screen
	}

	master, slave, err := openPTY()
	if err != nil {
		return errors.New("none could be opened")
	}
	t.master = pollable(master)
	if t.wakeR, t.wakeW, err = os.Pipe(); err != nil {
		_, _ = t.master.Close(), slave.Close()
		return errors.New("too many open files")
	}
	t.copyModes(slave)
	t.resize()

	t.slave = slave
	ctty := -1
	for i := 2; i >= 0; i-- {
		switch {
		case i == 0 && ours[0] && !t.owner:
			w.readOnly(c.Stdin)
		case ours[i]:
			w.child[i], ctty = slave, i
		}
	}
	if ctty < 0 { // only standard input is a terminal
		w.extra, ctty = []*os.File{slave}, 3
	}
	w.attr.Setsid, w.attr.Setctty, w.attr.Ctty = true, true, ctty

	var out io.Writer = &display{t, t.screen}
	if access(t.screen) == unix.O_RDONLY {
		out = io.Discard // a terminal on standard input only, which cannot show it
	}
	w.streams = append(w.streams, newStream(t.master, out, c.Filter))
	w.tty = t
	return nil
}

// toProgram reports whether f leads to another program, which may be one that reads
// our terminal's keys, as a pager does.
func toProgram(f *os.File) bool {
	if f == nil {
		return false
	}
	info, err := f.Stat()
	return err != nil || info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0
}

// display writes the PTY's output to our terminal. While that is not in raw mode
// it makes \r\n of \n, which the PTY has done already.
type display struct {
	t   *terminal
	dst *os.File
}

func (d *display) Write(p []byte) (int, error) {
	if d.t.raw.Load() {
		return d.dst.Write(p)
	}
	if _, err := d.dst.Write(bytes.ReplaceAll(p, []byte("\r\n"), []byte("\n"))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// access returns how f was opened: unix.O_RDONLY, O_WRONLY or O_RDWR.
func access(f *os.File) (mode int) {
	_ = control(f, func(fd int) error {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		mode = flags & unix.O_ACCMODE
		return err
	})
	return mode
}

// copyModes gives the PTY our terminal's settings (erase key, UTF-8 …), unless
// another program has just put that into a mode of its own.
func (t *terminal) copyModes(slave *os.File) {
	_ = control(t.screen, func(fd int) error {
		from, err := unix.IoctlGetTermios(fd, getModes)
		if err != nil || modesOf(from) != (modes{true, true}) || from.Oflag&unix.OPOST == 0 {
			return err
		}
		return control(slave, func(fd int) error { return unix.IoctlSetTermios(fd, setModes, from) })
	})
	t.found = t.modes()
}

// modes returns the PTY's present modes; those found when it has gone.
func (t *terminal) modes() modes {
	m := t.found
	_ = control(t.master, func(fd int) error {
		now, err := unix.IoctlGetTermios(fd, getModes)
		if err == nil {
			m = modesOf(now)
		}
		return err
	})
	return m
}

// start is called when the child runs.
func (t *terminal) start(pid int) {
	if t == nil {
		return
	}
	t.pid = pid
	t.ticker = time.NewTicker(100 * time.Millisecond)
	t.attend()
	if t.keys != nil {
		t.reader = make(chan struct{})
		go t.readKeys()
	}
}

// watch has look say whether keys may go to the child, and reports whether the child's
// standard input is the PTY.
func (t *terminal) watch(look func(keys []byte) bool) bool {
	if t == nil {
		return false
	}
	t.look = look
	return t.owner
}

// hangup is called when the child has ended, and lets the PTY's output end too.
// Before that it must not, or a child that closes its streams and works on
// would lose its terminal and get SIGHUP.
func (t *terminal) hangup() {
	if t != nil {
		_ = t.slave.Close()
	}
}

// close restores our terminal. It may be called in every state.
func (t *terminal) close() {
	if t == nil {
		return
	}
	if t.ticker != nil {
		t.ticker.Stop()
	}
	t.hangup()
	_ = t.wakeW.Close()
	_ = t.master.Close() // also ends a write of keys that hangs
	if t.reader != nil {
		select {
		case <-t.reader:
		case <-time.After(time.Second): // a write to the PTY that nothing ends
		}
	}
	_ = t.wakeR.Close()
	t.release()
}

// ticks says when to attend, while that can be of use.
func (t *terminal) ticks() <-chan time.Time {
	if t == nil || t.keys == nil || t.owner && t.raw.Load() {
		return nil
	}
	return t.ticker.C
}

// suspends says when a key has been pressed that suspends the child.
func (t *terminal) suspends() <-chan struct{} {
	if t == nil {
		return nil
	}
	return t.stop
}

// attend takes the keyboard for the child or gives it back, as the package
// comment says. In the background it does neither: that would stop us.
func (t *terminal) attend() {
	if t == nil || t.keys == nil {
		return
	}
	if !t.foreground() {
		t.raw.Store(false) // whose it is now has its own modes
		return
	}
	want := t.owner || t.modes() != t.found
	switch {
	case want && !t.raw.Load():
		_ = control(t.keys, func(fd int) error {
			before, err := term.MakeRaw(fd)
			if err != nil {
				return err
			}
			if t.before == nil {
				t.before = before
			}
			t.raw.Store(true)
			return nil
		})
	case !want && t.raw.Load():
		t.release()
	}
}

// release gives our terminal its own modes back.
func (t *terminal) release() {
	if t == nil || !t.raw.Swap(false) || !t.foreground() {
		return
	}
	_ = control(t.keys, func(fd int) error { return term.Restore(fd, t.before) })
}

// reattach is for when we were stopped: others have used our terminal since.
func (t *terminal) reattach() {
	t.raw.Store(false)
	t.attend()
	t.resize()
}

// foreground reports whether our process group may use the terminal now. One
// that is not our controlling terminal anybody may use.
func (t *terminal) foreground() bool {
	yes := true
	_ = control(t.keys, func(fd int) error {
		group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		yes = err != nil || group == unix.Getpgrp()
		return err
	})
	return yes
}

// resize gives the PTY our terminal's size; the system tells the child.
func (t *terminal) resize() {
	if t == nil {
		return
	}
	_ = control(t.screen, func(fd int) error {
		size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
		if err != nil {
			return err
		}
		return control(t.master, func(fd int) error { return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, size) })
	})
}

// group returns the process group in the foreground of the PTY, the child's own
// if there is none. It is never ours.
func (t *terminal) group() int {
	group := 0
	_ = control(t.master, func(fd int) (err error) {
		group, err = unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		return err
	})
	if group <= 1 || group == unix.Getpgrp() {
		return t.pid
	}
	return group
}

// readKeys copies keys to the PTY while they are the child's.
func (t *terminal) readKeys() {
	defer close(t.reader)
	buf := make([]byte, 4096)
	defer clear(buf)
	for {
		keys := t.keys
		wait := time.Duration(-1)
		if !t.raw.Load() {
			keys, wait = nil, 50*time.Millisecond
		}
		ready, ok := waitFor(keys, t.wakeR, wait)
		if !ok {
			return
		}
		if !ready || !t.raw.Load() || !t.foreground() {
			continue
		}
		n, err := t.keys.Read(buf)
		if n > 0 && !t.press(buf[:n]) {
			return
		}
		if err != nil && !errors.Is(err, syscall.EINTR) || n == 0 {
			// Our terminal has gone. The child hears of it as it would without us.
			_ = syscall.Kill(-t.group(), syscall.SIGHUP)
			return
		}
	}
}

// press gives keys to the PTY, and reports whether that takes any more.
func (t *terminal) press(keys []byte) bool {
	for len(keys) > 0 {
		n := t.suspendAt(keys)
		if n > 0 && t.look != nil && !t.look(keys[:n]) {
			return false
		}
		if n > 0 {
			if _, err := t.master.Write(keys[:n]); err != nil {
				return false
			}
		}
		if n < len(keys) {
			n++
			select {
			case t.stop <- struct{}{}:
			default:
			}
		}
		keys = keys[n:]
	}
	return true
}

// suspendAt returns where in keys the one is that suspends the child itself,
// len(keys) for nowhere. For the jobs of a shell inside the PTY the key does its
// work there.
func (t *terminal) suspendAt(keys []byte) int {
	at := len(keys)
	_ = control(t.master, func(fd int) error {
		now, err := unix.IoctlGetTermios(fd, getModes)
		if err != nil || now.Lflag&unix.ISIG == 0 || now.Cc[unix.VSUSP] == 0 {
			return err
		}
		for i, k := range keys {
			if k == now.Cc[unix.VSUSP] {
				at = i
				break
			}
		}
		return nil
	})
	if at < len(keys) && t.group() != t.pid {
		return len(keys)
	}
	return at
}

// waitFor waits until keys (if not nil) can be read, for the given time if that
// is not negative. It returns false when wake has been closed at its other end.
//
// It uses select, because poll does not work on terminals everywhere.
func waitFor(keys, wake *os.File, wait time.Duration) (ready, ok bool) {
	_ = control(wake, func(w int) error {
		k := -1
		if keys != nil {
			_ = control(keys, func(fd int) error { k = fd; return nil })
		}
		if w >= unix.FD_SETSIZE || k >= unix.FD_SETSIZE {
			return unix.EINVAL
		}
		var set unix.FdSet
		set.Set(w)
		if k >= 0 {
			set.Set(k)
		}
		var limit *unix.Timeval
		if wait >= 0 {
			tv := unix.NsecToTimeval(wait.Nanoseconds())
			limit = &tv
		}
		_, err := unix.Select(max(w, k)+1, &set, nil, nil, limit)
		switch {
		case errors.Is(err, unix.EINTR):
			ok = true
		case err == nil:
			ok = !set.IsSet(w)
			ready = k >= 0 && set.IsSet(k)
		}
		return nil
	})
	return ready, ok
}
