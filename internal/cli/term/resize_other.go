//go:build !unix

package term

import "os"

// resizes never tells here: the next key draws in the new size.
func resizes() (<-chan os.Signal, func()) { return nil, func() {} }
