//go:build !(linux || darwin)

package launch

func noPTYs() {}
