package cli_test

import (
	"database/sql"
	"fmt"
	"os"

	_ "github.com/ncruces/go-sqlite3/driver" // registers "sqlite3"
)

// forge changes a store from outside: forge FILE STATEMENT
func forge() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: forge FILE STATEMENT")
		os.Exit(1)
	}
	db, err := sql.Open("sqlite3", "file:"+os.Args[1])
	if err == nil {
		_, err = db.Exec(os.Args[2])
	}
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
