package platform

import (
	"errors"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
)

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "0s": 0, "1h30m": 90 * time.Minute, "30d": 720 * time.Hour} {
		if d, err := parseDuration(text); err != nil || d != want {
			t.Errorf("%s: %v, %v", text, d, err)
		}
	}
	for _, text := range []string{"", "soon", "-1h", "1.5s", "-2d", "1.5d", "99999999d", "10"} {
		if d, err := parseDuration(text); !errors.Is(err, keyturn.Invalid) {
			t.Errorf("%s: %v, %v", text, d, err)
		}
	}
}
