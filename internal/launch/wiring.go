package launch

import (
	"os"
	"syscall"

	"golang.org/x/term"

	"github.com/keyturn/keyturn"
)

// wiring is what the child's streams are connected to.
type wiring struct {
	child   [3]*os.File // standard input, output and error of the child
	extra   []*os.File  // its further descriptors, from 3 on
	attr    *syscall.SysProcAttr
	own     []*os.File // of the above what we opened and close after the start
	streams []*stream
	running bool       // the streams are being pumped
	tty     *terminal  // nil: the child has no PTY of ours
	input   *input     // nil: the child's standard input is not fed by us
	refused chan error // an error of Command.Input

	detached bool // the child has a session of its own without a terminal
}

// connect prepares the streams as the package comment says.
func connect(c *Command) (w *wiring, err error) {
	w = &wiring{child: [3]*os.File{c.Stdin, c.Stdout, c.Stderr}, attr: procAttr(), refused: make(chan error, 1)}
	if c.Filter == nil {
		return w, nil
	}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	ours := [3]bool{isTerminal(c.Stdin), isTerminal(c.Stdout), isTerminal(c.Stderr)}
	if ours != [3]bool{} {
		if err := w.openTerminal(c, ours); err != nil && c.Tell != nil && (ours[1] || ours[2]) {
			c.Tell("no pseudo-terminal here (" + err.Error() + "): the command sees pipes, and may show no colours and ask no questions")
		}
	}
	if w.tty == nil {
		w.detach(c)
	}
	if err := w.feed(c); err != nil {
		return nil, err
	}
	for i, dst := range []*os.File{1: c.Stdout, 2: c.Stderr} {
		switch {
		case dst == nil, w.tty != nil && ours[i]:
		case i == 2 && (w.tty == nil || !ours[1]) && sameFile(c.Stdout, dst):
			w.child[2] = w.child[1]
		default:
			r, end, err := os.Pipe()
			if err != nil {
				return nil, keyturn.E(keyturn.Unavailable, "could not make a pipe for the command's output", "").Because(err)
			}
			w.child[i] = end
			w.own = append(w.own, end)
			w.streams = append(w.streams, newStream(r, dst, c.Filter))
		}
	}
	return w, nil
}

func isTerminal(f *os.File) bool {
	yes := false
	_ = control(f, func(fd int) error { yes = term.IsTerminal(fd); return nil })
	return yes
}

// control calls do with the descriptor of f, which it leaves in the mode it is
// in, unlike f.Fd.
func control(f *os.File, do func(fd int) error) error {
	if f == nil {
		return os.ErrInvalid
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil {
		return err
	}
	return failed
}

// started is called when the child runs: its ends are its own now.
func (w *wiring) started(pid int) {
	w.closeOwn()
	w.running = true
	w.tty.start(pid)
	if w.input != nil {
		go w.input.pump()
	}
	for _, s := range w.streams {
		go s.pump()
	}
}

func (w *wiring) closeOwn() {
	for _, f := range w.own {
		_ = f.Close()
	}
	w.own = nil
}

// close puts everything back, whatever state it is in.
func (w *wiring) close() {
	w.closeOwn()
	w.input.end()
	for _, s := range w.streams {
		if w.running {
			s.abandon()
			continue
		}
		_ = s.src.Close()
		s.finish()
	}
	w.tty.close()
}
