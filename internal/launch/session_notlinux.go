//go:build unix && !linux

package launch

// There is no way to stop by SIGTSTP once it has been taken.
func stopsByDefault() bool { return false }

func stopSelf() {}

func closeRange() bool { return false }
