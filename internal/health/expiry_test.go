package health

import (
	"testing"
	"time"

	"github.com/keyturn/keyturn"
)

func TestExpiryNotice(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ref := keyturn.MustRef("local/x#f")
	for _, x := range []struct {
		in   time.Duration
		want string
	}{
		{8 * 24 * time.Hour, ""},
		{SoonExpired, "local/x expires in 7 days"},
		{47 * time.Hour, "local/x expires in 1 day"},
		{5 * time.Hour, "local/x expires in 5 hours"},
		{time.Minute, "local/x expires in less than an hour"},
		{-time.Minute, "local/x expired less than an hour ago"},
		{-50 * time.Hour, "local/x expired 2 days ago"},
	} {
		if got := ExpiryNotice(ref, now.Add(x.in), now); got != x.want {
			t.Errorf("in %s: %q, want %q", x.in, got, x.want)
		}
	}
	if got := ExpiryNotice(ref, time.Time{}, now); got != "" {
		t.Errorf("without a day: %q", got)
	}
}
