// Package launch runs a command for `keyturn run`: with values in its
// environment and in temporary files, its output through a redactor, its exit
// status and signals passed on.
//
// How the three streams are connected depends on [Command.Filter] and on which
// of them are terminals:
//
//   - No filter: the child inherits the streams as they are.
//   - A filter, no terminal: standard input is inherited, or with [Command.Input] a
//     pipe of ours; standard output and
//     standard error get a pipe and a filter each, or share them where both lead
//     to the same place (2>&1), so that their order is kept. On Unix the child
//     leads a session of its own without a terminal: /dev/tty, a way round the
//     filter, does not open, and no question can be asked there.
//   - A filter and a terminal: as above, but the child lives in a session of its
//     own whose terminal is a PTY of ours, and so does what it writes to
//     /dev/tty: nothing reaches the screen but through the filter. Streams of
//     ours that are terminals are that PTY for the child. The one exception is
//     standard input where standard output is a pipe (run … | less), or no
//     terminal and standard error is a pipe: the child reads our terminal
//     itself, so that keys are not taken from the programs beside it.
//
// With a filter the child gets no descriptors beside its streams but that PTY:
// those from 3 on that we have inherited are marked close-on-exec in this
// process, for good. Without a filter they are left to the child as they are.
//
// The keyboard belongs to the child, in raw mode, while standard input is a
// terminal and nothing beside us can want it, as above; otherwise only while the
// child has put its terminal into another mode than it found, as a password
// prompt or a pager does. Ctrl-C, Ctrl-\ and window sizes go the way they would
// go without keyturn, and Ctrl-Z suspends child and keyturn together. A child
// without a terminal gets these signals from us, once, and SIGTERM and SIGHUP
// for its whole group, since who ends our group does not reach it.
//
// Limits, for the user's documentation: a child that is suspended is stopped
// hard (SIGSTOP) and gets no chance to clear the screen; where the keyboard is
// not the child's, Ctrl-Z suspends keyturn, and the child only when its output
// is not taken any more (on Linux a child without a terminal is suspended); a
// prompt on /dev/tty that leaves the terminal's mode as it is gets no keys when
// standard input or output is redirected; on systems without a PTY the child
// sees pipes, which [Command.Tell] tells; and when keyturn is killed with
// SIGKILL, files with values stay behind (put them on a tmpfs), and with a
// filter the child, no member of our process group, is not killed with it: on
// Linux it gets SIGTERM, which what it started does not.
//
// The filter is for what the child writes to what it was given, not against one
// that looks for other ways out. Some remain. Where the child reads our terminal
// itself (run … | less, or no PTY to be had), opening /dev/stdin, or the terminal
// by its name, for writing leads to the screen unfiltered; on systems other than
// Linux writing to descriptor 0 does too. What the user may open, the child may:
// files, other terminals, the network. On Windows the child has our console, and
// CONOUT$ leads there.
package launch

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/launch/program"
)

// Exit statuses of keyturn's own, as env(1) and the shells have them.
const (
	exitFailed        = 125 // keyturn itself failed
	exitNotExecutable = program.NotExecutable
	exitNotFound      = program.NotFound
	exitSignal        = 128 // plus the signal's number
)

// Filter makes the redactor of one output stream. What is written to it comes
// out of dst, changed or not, now or later; Close writes what is held back and
// does not close dst. It may write to dst from goroutines of its own until
// Close returns. An error of Write ends the stream: the child gets SIGPIPE at
// its next write.
type Filter func(dst io.Writer) io.WriteCloser

// EnvVar is one variable with a value, put into the child's environment.
type EnvVar struct {
	Name  string // [A-Za-z_][A-Za-z0-9_]*
	Value keyturn.Value
}

// File is one file with a value, there while the child runs.
type File struct {
	Path  string // in a folder that exists; relative to keyturn's own folder
	Value keyturn.Value
}

// Command says what to run and how. Only Args is required.
type Command struct {
	Args []string // name, then arguments
	// Program, if not empty, is what the name must stand for, as Resolve says it;
	// another one is a Conflict, and is not started.
	Program string
	Dir     string // working folder of the child; empty: ours

	Inherit []string // NAME=value, plain environment: usually os.Environ()
	Env     []EnvVar // put over Inherit; of two with one name the last counts

	// Files are created 0600 and never over an existing file. Run removes them,
	// overwritten first as well as the file system allows, as soon as the child
	// has ended, and in every other case before it returns.
	Files []File

	// Stdin, Stdout and Stderr are our streams; nil is the null device. Run
	// does not close them.
	Stdin, Stdout, Stderr *os.File

	Filter Filter // nil: output is not touched

	// Input, if not nil, is given each piece of standard input before the child is, from
	// one goroutine. The child then never gets Stdin itself, which may be open for writing,
	// but a pipe or PTY of ours. An error ends the child as the end of the context does,
	// and Run returns it. It needs a Filter. What is read and not taken by the child is lost.
	Input func(p []byte) error

	// Tell, if not nil, is called before the start with a sentence for each way
	// in which the child sees another world than without keyturn, for instance
	// that there is no PTY on this system.
	Tell func(message string)

	// Grace is the time from SIGTERM to SIGKILL when the context ends; 0: 5 s.
	Grace time.Duration

	// Linger is how long, after the child has ended, output is awaited from
	// programs that it left behind and that are silent; 0: 1 s. One that keeps
	// writing is cut off after ten times this. What the child itself
	// wrote is always passed on.
	Linger time.Duration
}

// Status is how it ended.
type Status struct {
	// Code is what keyturn should exit with, in every case: the child's own
	// status, or 128+n where signal n ended it; 127 when there is no such
	// command, 126 when it cannot be executed, 125 when keyturn failed before
	// the start, and 125 too when the child reported success but Run returned
	// an error.
	Code int

	// Signal is the signal that ended the child, 0 for none.
	Signal syscall.Signal

	// Started is whether the child ever ran.
	Started bool
}

// Run runs c and waits for its end. While it runs it takes SIGINT, SIGQUIT,
// SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 from the program and passes them to the
// child, except those that the terminal has given the child already. One that
// comes before the start prevents it.
//
// When ctx ends, the child is asked to end, and killed after c.Grace; Run never
// returns while the child lives. The context should therefore not be one that
// ends with those signals.
//
// Errors are *keyturn.Error and never hold a value: Invalid for a bad name or
// value, Conflict for a file that exists, NotFound for a command that does not.
// An error with Started set tells what went wrong beside the child: output that
// could not be written, a file that could not be removed, the end of ctx. That
// a reader of our output went away is not an error.
//
// Run is safe for concurrent use as long as only one Command has a terminal.
func Run(ctx context.Context, c Command) (Status, error) {
	path, env, st, err := resolve(c)
	if err != nil {
		return st, err
	}
	if c.Program != "" && path != c.Program {
		return Status{Code: exitFailed}, keyturn.E(keyturn.Conflict, keyturn.Clean(c.Args[0])+" is "+keyturn.Clean(path)+" now, and not "+keyturn.Clean(c.Program),
			"its place has changed, or a value changes PATH: write the program with its path")
	}

	sigs := listen()
	defer sigs.stop()

	files, err := writeFiles(c.Files)
	defer files.remove()
	if err != nil {
		return Status{Code: exitFailed}, err
	}

	w, err := connect(&c)
	if err != nil {
		return Status{Code: exitFailed}, err
	}
	defer w.close()

	if s := sigs.pending(); s != 0 {
		return Status{Code: exitSignal + int(s)}, keyturn.E(keyturn.Unavailable, "interrupted before the command started", "")
	}
	if ctx.Err() != nil {
		return Status{Code: exitFailed}, ended(ctx)
	}

	if c.Filter != nil {
		closeOnExec()
	}
	if w.detached {
		sigs.takeStop()
	}
	p := &process{wiring: w, cmd: &exec.Cmd{
		Path: path, Args: c.Args, Dir: c.Dir, Env: env, SysProcAttr: w.attr,
		Stdin: w.child[0], Stdout: w.child[1], Stderr: w.child[2], ExtraFiles: w.extra,
	}}
	if err := p.start(); err != nil {
		code, err := startError(err, c.Args[0])
		return Status{Code: code}, err
	}
	stopped := p.supervise(ctx, sigs.c, or(c.Grace, 5*time.Second))
	w.tty.hangup()
	w.input.end()
	select {
	case err := <-w.refused: // of what was given to the child just before its end
		stopped = err
	default:
	}
	failures := []error{stopped, files.remove()}
	failures = append(failures, w.drain(sigs.c, or(c.Linger, time.Second)))

	st = p.status()
	err = first(failures)
	if err != nil && st.Code == 0 {
		st.Code = exitFailed
	}
	return st, err
}

func or(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func ended(ctx context.Context) error {
	return keyturn.E(keyturn.Unavailable, "the command was ended before it was done", "").Because(context.Cause(ctx))
}

// startError says why the system would not start a command that is there.
func startError(err error, name string) (int, error) {
	switch {
	case errors.Is(err, syscall.ENOENT): // the interpreter of a script
		return exitNotFound, keyturn.E(keyturn.NotFound, "command not found: "+name,
			"the file is there, but what its first line (#!) names is not").Because(err)
	case errors.Is(err, syscall.ENOEXEC):
		return exitNotExecutable, keyturn.E(keyturn.Invalid, "not a program: "+name,
			"a script needs a first line like #!/bin/sh, or run it with sh").Because(err)
	case errors.Is(err, syscall.E2BIG):
		return exitNotExecutable, keyturn.E(keyturn.Invalid, "arguments and environment are too large for this system",
			"give large secrets as files: --file PATH=REF").Because(err)
	}
	return exitNotExecutable, keyturn.E(keyturn.Invalid, "cannot execute "+name, "").Because(err)
}

// process is the running child.
type process struct {
	*wiring
	cmd    *exec.Cmd
	exited chan struct{}
}

// start starts the child and waits for it in the background. On Linux the child
// is signalled when the thread that made it ends, so one goroutine keeps that
// thread until the child's end.
func (p *process) start() error {
	p.exited = make(chan struct{})
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := withCoreDumps(p.cmd.Start)
		p.cmd.Env = nil // the values are the child's now
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // the status is in ProcessState
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	p.started(p.cmd.Process.Pid)
	return nil
}

// supervise passes signals on until the child has ended, and ends it when ctx
// does or the caller panics.
func (p *process) supervise(ctx context.Context, sigs <-chan os.Signal, grace time.Duration) (err error) {
	finished := false
	defer func() {
		if !finished {
			p.kill()
		}
	}()
	done := ctx.Done()
	var kill <-chan time.Time
	for {
		select {
		case <-p.exited:
			finished = true
			return err
		case s := <-sigs:
			p.deliver(s)
		case <-done:
			done, kill, err = nil, time.After(grace), ended(ctx)
			p.terminate()
		case <-kill:
			p.kill()
		case err = <-p.refused:
			kill = time.After(grace)
			p.terminate()
		case <-p.tty.ticks():
			p.tty.attend()
		case <-p.tty.suspends():
			p.suspend()
		}
	}
}

func (p *process) status() Status {
	st := Status{Started: true, Code: p.cmd.ProcessState.ExitCode()}
	if ws, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		st.Signal = ws.Signal()
		st.Code = exitSignal + int(st.Signal)
	}
	return st
}
