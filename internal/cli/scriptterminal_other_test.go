//go:build !linux

package cli_test

import "os"

// onTerminal: scripts that need it begin with [!linux] skip.
func onTerminal() { os.Exit(99) }
