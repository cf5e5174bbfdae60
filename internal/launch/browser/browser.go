// Package browser opens a page in the browser of the person at the machine.
package browser

import (
	"context"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/launch/program"
)

// browsers are the programs that open a page in a person's browser, by system:
// open(1); on Windows what a shortcut to a page calls; elsewhere xdg-open(1).
var browsers = map[string][]string{
	"darwin":  {"open"},
	"windows": {"rundll32", "url.dll,FileProtocolHandler"},
	"":        {"xdg-open"},
}

// limit is how long the program that opens a browser may take to say that
// it cannot. Some are the browser itself and go on.
const limit = 3 * time.Second

// Open opens an address in the browser of the person at the machine. Unsupported
// where there is none to open: over a connection from elsewhere, without a desktop.
func Open(ctx context.Context, environ []string, address string) error {
	env := func(name string) (string, bool) {
		for i := len(environ) - 1; i >= 0; i-- {
			if v, ok := strings.CutPrefix(environ[i], name+"="); ok {
				return v, true
			}
		}
		return "", false
	}
	set := func(name string) bool { v, _ := env(name); return v != "" }
	none := keyturn.E(keyturn.Unsupported, "there is no browser to open here", "open the page yourself")
	argv, desktop := browsers[runtime.GOOS], true
	if argv == nil {
		argv, desktop = browsers[""], set("DISPLAY") || set("WAYLAND_DISPLAY")
	}
	if set("SSH_CONNECTION") || !desktop || !strings.HasPrefix(address, "https://") && !strings.HasPrefix(address, "http://") {
		return none
	}
	path, _, err := program.Find(argv[0], "", env)
	if err != nil {
		return none.Because(err)
	}
	cmd := exec.Command(path, append(argv[1:], address)...)
	cmd.Env = environ
	if err := cmd.Start(); err != nil {
		return none.Because(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case err := <-ended:
		if err != nil {
			return none.Because(err)
		}
		return nil
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
