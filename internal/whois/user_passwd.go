//go:build unix && !darwin

package whois

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"
)

// userName looks the process's user up in /etc/passwd, and is its number where
// the file does not know it. Package os/user is not asked: without cgo it falls
// back to $USER, which an agent can set.
func userName() string {
	uid := strconv.Itoa(os.Getuid())
	f, err := os.Open("/etc/passwd")
	if err != nil {
		return uid
	}
	defer func() { _ = f.Close() }()
	if name := lookUp(f, uid); name != "" {
		return name
	}
	return uid
}

// lookUp returns the first name that a passwd file gives a number; "" for none.
func lookUp(r io.Reader, uid string) string {
	lines := bufio.NewScanner(io.LimitReader(r, 16<<20))
	for lines.Scan() {
		// name:password:uid:gid:…
		name, rest, ok := strings.Cut(lines.Text(), ":")
		if !ok || name == "" || name[0] == '#' || name[0] == '+' || name[0] == '-' {
			continue
		}
		_, rest, _ = strings.Cut(rest, ":")
		if id, _, ok := strings.Cut(rest, ":"); ok && id == uid {
			return name
		}
	}
	return ""
}
