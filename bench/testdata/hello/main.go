// Command hello is what keyturn's start-up is compared with.
package main

import "os"

func main() { _, _ = os.Stdout.WriteString("hello\n") }
