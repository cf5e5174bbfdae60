package launch

import (
	"os"
	"sync"
	"time"

	"github.com/keyturn/keyturn"
)

// input feeds the child's standard input through a pipe. A nil input does nothing.
type input struct {
	src    *os.File // ours
	dst    *os.File // the pipe's end
	look   func([]byte) error
	refuse func(error)
	close  sync.Once
}

// feed gives the child a pipe in place of our standard input, where Command.Input asks for
// that and the child would get ours. Its PTY is ours already.
func (w *wiring) feed(c *Command) error {
	if c.Input == nil {
		return nil
	}
	keys := w.tty.watch(func(keys []byte) bool {
		err := c.Input(keys)
		if err != nil {
			w.refuse(err)
		}
		return err == nil
	})
	if keys || c.Stdin == nil {
		return nil
	}
	r, dst, err := os.Pipe()
	if err != nil {
		return keyturn.E(keyturn.Unavailable, "could not make a pipe for the command's input", "").Because(err)
	}
	w.child[0] = r
	w.own = append(w.own, r)
	w.input = &input{src: c.Stdin, dst: dst, look: c.Input, refuse: w.refuse}
	return nil
}

// refuse has the child ended with err.
func (w *wiring) refuse(err error) {
	select {
	case w.refused <- err:
	default: // it is being ended
	}
}

// pump copies until our input ends or the child takes no more.
func (in *input) pump() {
	defer in.end()
	buf := make([]byte, 32<<10)
	defer clear(buf)
	for {
		n, err := in.src.Read(buf)
		if n > 0 {
			if err := in.look(buf[:n]); err != nil {
				in.refuse(err)
				return
			}
			if _, err := in.dst.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// end closes the pipe. A read of our own input that waits cannot be ended everywhere; it
// ends with this process.
func (in *input) end() {
	if in == nil {
		return
	}
	in.close.Do(func() {
		_ = in.dst.Close()
		_ = in.src.SetReadDeadline(time.Unix(1, 0))
		_ = in.src.SetReadDeadline(time.Time{})
	})
}
