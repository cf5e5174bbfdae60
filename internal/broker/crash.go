package broker

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/keyturn/keyturn"
)

// guard runs act and returns its panic as an Internal error.
func guard(act func() (keyturn.Result, error)) (res keyturn.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			res, err = nil, crashed(p)
		}
	}()
	return act()
}

// crashed returns the error for a panic, where that is recovered. It drops the panic's
// own value, which could hold a secret, and the arguments of the functions on the
// stack, which an ordinary trace prints.
func crashed(p any) *keyturn.Error {
	var where strings.Builder
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		fmt.Fprintf(&where, "\n\t%s %s:%d", f.Function, filepath.Base(f.File), f.Line)
	}
	return keyturn.AsError(fmt.Errorf("panic of type %T%s", p, where.String()))
}
