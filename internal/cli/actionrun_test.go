package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
)

// TestKeepTakesBack: a secret whose file appeared meanwhile is taken back; where that is
// refused, the hint is the command that does it. The other file stays.
func TestKeepTakesBack(t *testing.T) {
	t.Parallel()
	res := &keyturn.Performed{Secret: map[string]keyturn.Value{"id": keyturn.NewValue([]byte("kt-fake-id"))}, Main: "id"}
	res.TakeBack = &keyturn.TakeBack{Op: keyturn.PlatformAction{Action: "destroy it"}, Command: "keyturn vault destroy it"}
	for _, refused := range []error{nil, errors.New("no")} {
		path := filepath.Join(t.TempDir(), "id")
		p, err := newFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		var asked []string
		err = p.keep(res, func(op keyturn.PlatformAction) error { asked = append(asked, op.Action); return refused })
		e := keyturn.AsError(err)
		if len(asked) != 1 || asked[0] != "destroy it" || e == nil || e.Unknown != (refused != nil) {
			t.Fatalf("%v, asked %v", err, asked)
		}
		if taken := strings.Contains(e.Message, "was taken back"); taken != (refused == nil) || !taken && !strings.Contains(e.Hint, res.TakeBack.Command) {
			t.Errorf("%s; %s", e.Message, e.Hint)
		}
		if mine, _ := os.ReadFile(path); string(mine) != "mine" {
			t.Errorf("the file holds %d bytes", len(mine))
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 1 {
			t.Errorf("left: %v", left)
		}
	}
}
