package input_test

import (
	"errors"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/input"
)

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "0s": 0, "1h30m": 90 * time.Minute, "30d": 720 * time.Hour} {
		if d, err := input.Duration(text); err != nil || d != want {
			t.Errorf("%s: %v, %v", text, d, err)
		}
	}
	for _, text := range []string{"", "soon", "-1h", "1.5s", "-2d", "1.5d", "99999999d", "10"} {
		if d, err := input.Duration(text); !errors.Is(err, keyturn.Invalid) {
			t.Errorf("%s: %v, %v", text, d, err)
		}
	}
}

func TestPlainAddress(t *testing.T) {
	for address, plain := range map[string]bool{
		"postgresql://{{username}}:{{password}}@db:5432/x?sslmode=disable": true,
		"{{username}}:{{password}}@tcp(127.0.0.1:3306)/":                   true,
		"postgresql://db:5432/x":                                           true,
		"host=db user={{username}} password={{password}}":                  true,
		"postgresql://admin@db/x":                                          true,
		"postgresql://admin:kt-fake@db/x":                                  false,
		"admin:kt-fake@tcp(db)/":                                           false,
		"{{username}}:kt@fake@tcp(db)/":                                    false,
		"host=db PASSWORD=kt-fake":                                         false,
		"host=db password={{password}} password=kt-fake":                   false,
	} {
		if keyturn.PlainAddress(address) != plain {
			t.Errorf("%s: %v", address, !plain)
		}
	}
}
