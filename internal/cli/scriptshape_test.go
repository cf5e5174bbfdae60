package cli_test

import (
	"fmt"
	"os"
	"os/user"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// shapes replace what is different each time. Their order matters.
var shapes = []struct {
	pattern *regexp.Regexp
	word    string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?`), "TIME"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "HASH"},
	{regexp.MustCompile(`("store": |"id": )"[0-9a-f]{32}"`), `${1}"STORE"`},
	{regexp.MustCompile(`\bprocess-[0-9a-f]{32}\b`), "PROCESS"},
	{regexp.MustCompile(`\b[0-9a-hjkmnp-tv-z]{26}\b`), "ID"},
	{regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}\b`), "FINGERPRINT"},
	{regexp.MustCompile(`((?:approve|request|"id":) "?)[0-9a-z]{8}\b`), "${1}REQUEST"},
}

// shape writes the last output into a file with times, ids, hashes and places
// replaced by words, to be compared: shape stdout out.json
func shape(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: shape stdout|stderr FILE")
	}
	text := strings.ReplaceAll(ts.ReadFile(args[0]), ts.Getenv("WORK"), "WORK")
	if address := ts.Getenv("VAULT_ADDR"); address != "" {
		text = strings.ReplaceAll(text, address, "ADDRESS")
		_, host, _ := strings.Cut(address, "://")
		text = strings.ReplaceAll(text, host, "HOST")
	}
	for _, s := range shapes {
		text = s.pattern.ReplaceAllString(text, s.word)
	}
	if u, err := user.Current(); err == nil {
		text = strings.ReplaceAll(text, "user:"+u.Username, "user:ME")
		text = strings.ReplaceAll(text, `"name": "`+u.Username+`"`, `"name": "ME"`)
		text = strings.ReplaceAll(text, `"for": "`+u.Username+`"`, `"for": "ME"`)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

// secretless checks that a value is nowhere in the last output, nor in a file of
// the store: secretless VALUE
func secretless(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: secretless VALUE")
	}
	for _, out := range []string{"stdout", "stderr"} {
		if strings.Contains(ts.ReadFile(out), args[0]) {
			ts.Fatalf("the value is on %s", out)
		}
	}
	dir := ts.Getenv("KEYTURN_HOME")
	entries, err := os.ReadDir(dir)
	ts.Check(err)
	for _, e := range entries {
		if data, err := os.ReadFile(dir + "/" + e.Name()); err == nil && strings.Contains(string(data), args[0]) {
			ts.Fatalf("the value is in the file %s", e.Name())
		}
	}
}

// writeBytes writes a file that a script cannot hold: bytes FILE TEXT with Go's
// escapes, or bytes --fill N FILE.
func writeBytes() {
	if err := writeFile(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func writeFile(args []string) error {
	if len(args) == 3 && args[0] == "--fill" {
		n, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		return os.WriteFile(args[2], []byte(strings.Repeat("x", n)), 0o600)
	}
	if len(args) != 2 {
		return fmt.Errorf("usage: bytes FILE TEXT")
	}
	text, err := strconv.Unquote(`"` + args[1] + `"`)
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], []byte(text), 0o600)
}
