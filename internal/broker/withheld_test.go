package broker_test

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker"
)

// TestWithheld: whatever names a mount that the caller never has is refused before the
// platform hears of it, though a rule allows it, and no person is asked for a yes.
func TestWithheld(t *testing.T) {
	refused := 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, withRules(t, may("agent:coder", "list describe use reveal write delete destroy lease administer", "prod/**")), func(c *broker.Config) { c.Withheld = withheldProd })
		for range 40 {
			op := drawOp(rt, names)
			form, err := keyturn.EncodeOp(op)
			if err != nil {
				rt.Fatal(err)
			}
			if !bytes.Contains(form, []byte(`"prod"`)) && !bytes.Contains(form, []byte(`kt://prod/`)) {
				continue
			}
			refused++
			w.as(coder)
			from := w.mark()
			_, err = w.Do(rt.Context(), op)
			if !errors.Is(err, keyturn.Denied) && !errors.Is(err, keyturn.Invalid) {
				rt.Fatalf("%s: %v", form, err)
			}
			for _, e := range w.since(from) {
				if e.call != "" {
					rt.Fatalf("%s: the platform was asked to %s", form, e.call)
				}
			}
			w.as(anna)
			open := w.must(keyturn.ListRequests{}).(*keyturn.Requests)
			if len(open.Requests) > 0 {
				rt.Fatalf("%s: a person is asked: %+v", form, open.Requests)
			}
		}
	})
	if refused < 100 && !testing.Short() {
		t.Errorf("only %d were tried", refused)
	}
}

func withheldProd(mount string) error {
	if mount == "prod" {
		return keyturn.E(keyturn.Denied, "not for you", "")
	}
	return nil
}
