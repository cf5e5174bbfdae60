//go:build !linux

package launch

// Dynamic reports false: what other systems load into each program does not depend on
// how this one was built.
func Dynamic() bool { return false }
