// Package crash turns panics into errors that hold no value.
package crash

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/keyturn/keyturn"
)

// Guard runs one act and turns a panic into an Internal error.
func Guard(act func() (keyturn.Result, error)) (res keyturn.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			res, err = nil, Of(p)
		}
	}()
	return act()
}

// Of is the error for a panic, to be called where it is recovered. The panic's own
// value is dropped, since it could hold a secret; so are the arguments of the
// functions on the stack, which a usual trace prints.
func Of(p any) *keyturn.Error {
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
