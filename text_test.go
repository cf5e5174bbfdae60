package keyturn_test

import (
	"slices"
	"testing"

	"github.com/keyturn/keyturn"
)

func TestNearest(t *testing.T) {
	for s, want := range map[string]string{
		"vault/secret/myapp/confg": "vault/secret/myapp/config",
		"vault/secrt/myapp/config": "vault/secret/myapp/config",
		"vault/secret/nono":        "", // however long the path before it
		"vault/secret/lba":         "vault/secret/lab",
		"vault/secret/x":           "",
		"shpo":                     "shop",
		"zzzz":                     "",
	} {
		if got := keyturn.Nearest(s, slices.Values([]string{"shop", "vault/secret/lab", "vault/secret/myapp/config"})); got != want {
			t.Errorf("%s: %q, not %q", s, got, want)
		}
	}
}
