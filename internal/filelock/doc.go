// Package filelock locks files against other processes. A lock goes with the handle of
// the file, and so with its process, however that ends.
package filelock
