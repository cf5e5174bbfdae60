// Package crash makes errors of panics, without anything that could be a value.
package crash

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/keyturn/keyturn"
)

// Error is the error for a panic. The panic's own value is dropped, since it
// could hold a secret; so are the arguments of the functions on the stack, which
// a usual trace prints.
func Error(p any) *keyturn.Error {
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
