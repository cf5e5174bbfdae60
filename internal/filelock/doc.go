// Package filelock locks files against other processes. A lock ends when the file is
// closed, and so at the latest when its process ends, in whatever way.
package filelock
