// Command keyturn keeps and uses an organisation's secrets without showing them.
package main

import (
	"os"

	"github.com/keyturn/keyturn/internal/app"
)

func main() { os.Exit(app.Main(app.Options{})) }
