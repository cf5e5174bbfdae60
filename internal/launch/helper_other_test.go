//go:build !linux

package launch

func helper(string) {}
