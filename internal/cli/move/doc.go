// Package move holds the commands that carry values from one place to another
// without showing them: between mounts, and out of a project's files into one.
package move
