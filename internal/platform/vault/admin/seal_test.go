package admin

import (
	"fmt"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
)

// TestUnsealTold: what is said of the shares is what the server says of them afterwards.
func TestUnsealTold(t *testing.T) {
	t.Parallel()
	state := func(progress int, nonce string) string {
		return fmt.Sprintf(`{"initialized":true,"sealed":true,"t":2,"n":3,"progress":%d,"nonce":%q}`, progress, nonce)
	}
	for what, c := range map[string]struct {
		before, after string // of GET, before and after a share was refused; or what PUT answers
		refused       bool
		says          string
	}{
		"a wrong one as the last":  {state(1, "a"), state(0, ""), true, "thrown them all away"},
		"a short one as the last":  {state(1, "a"), state(1, "a"), true, "this is no key share"},
		"a short one as the first": {state(0, ""), state(0, ""), true, "this is no key share"},
		"twice":                    {state(1, "a"), state(1, "a"), false, "given before: it does not count"},
		"after another's reset":    {state(1, "a"), state(1, "b"), false, "thrown away meanwhile"},
		"the first":                {state(0, ""), state(1, "a"), false, "1 of 2"},
	} {
		w := &wire{}
		x := row{action: "unseal", typed: "c2hhcmU=", answers: map[string]string{"GET sys/seal-status": c.before, "GET sys/seal-status again": c.after, "PUT sys/unseal": c.after}}
		if c.refused {
			w.refuse = map[string]int{"PUT sys/unseal": 400}
		}
		out, err := x.run(t, w)
		told := out.Says + strings.Join(out.Notices, "; ")
		if e := keyturn.AsError(err); e != nil {
			told = e.Message
		}
		if (err != nil) != c.refused || !strings.Contains(told, c.says) || what == "the first" && len(out.Notices) > 0 {
			t.Errorf("%s: %s", what, told)
		}
	}
}
