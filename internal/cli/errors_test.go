package cli

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/cli/term"
)

// Who interrupts a change that was under way is told that nobody knows whether it
// happened; anybody else that nothing further was done.
func TestEndInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	const done = "nothing further was done"
	for name, x := range map[string]struct {
		err     error
		unknown bool
	}{
		"at a prompt":    {term.ErrInterrupted, false},
		"a read":         {keyturn.E(keyturn.Unavailable, "given up", "").Because(context.Canceled), false},
		"a change":       {&keyturn.Error{Code: keyturn.Unavailable, Unknown: true, Message: "given up", Err: context.Canceled}, true},
		"without a code": {context.Canceled, false},
	} {
		for _, output := range []string{"text", "json"} {
			f, err := os.CreateTemp(t.TempDir(), "")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			c := &command{Program: &Program{Terminal: term.Terminal{Out: f, Err: f}}, shared: shared{output: output}}
			if status := c.End(ctx, x.err); status != 130 {
				t.Errorf("%s: status %d", name, status)
			}
			data, err := os.ReadFile(f.Name())
			if err != nil {
				t.Fatal(err)
			}
			all := string(data)
			if strings.Contains(all, done) == x.unknown || strings.Contains(all, "whether it happened is not known") != (x.unknown && output == "text") ||
				strings.Contains(all, `"outcome": "unknown"`) != (x.unknown && output == "json") {
				t.Errorf("%s, as %s: %s", name, output, all)
			}
		}
	}
}
