// Package parse reads ages, dates, labels and patterns as people write them. It opens no
// file and asks nobody: text goes in, and a typed value or an error comes out.
package parse

import (
	"strconv"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
)

// Age reads a length of time, in days, hours, minutes or seconds: 90d, 12h, 30m, 60s.
func Age(s string) (time.Duration, error) {
	if n, ok := strings.CutSuffix(s, "d"); ok {
		days, err := strconv.Atoi(n)
		if err == nil && days > 0 && days <= 36500 {
			return time.Duration(days) * 24 * time.Hour, nil
		}
	} else if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return d, nil
	}
	return 0, keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(s)+"' is not a duration", "write 90d, 12h or 30m")
}

// Moment reads a time in the past: an age before now, a date in the time zone of now, or a
// time. "" is the zero time. A date is its beginning, or with wholeDay its end.
func Moment(s string, now time.Time, wholeDay bool) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := Age(s); err == nil {
		return now.Add(-d).UTC(), nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, s, now.Location()); err == nil {
		if wholeDay {
			t = t.AddDate(0, 0, 1)
		}
		return t.UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC(), nil
	}
	return time.Time{}, keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(s)+"' is not a time", "write 24h, 2026-01-31 or 2026-01-31T12:00:00Z")
}

// Expiry reads a time to come: an age after now, a date in UTC, or a time. "" is the zero
// time.
func Expiry(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := Age(s); err == nil {
		return now.UTC().Add(d).Truncate(time.Second), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(s)+"' is not a date", "write 2026-12-31, 2026-12-31T12:00:00Z or 90d")
}
