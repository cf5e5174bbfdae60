//go:build !unix

package disk

// Full is not known on this system.
func Full(string) bool { return false }
