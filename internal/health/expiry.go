package health

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/session"
)

// SoonExpired is how long before the day that a secret expires notices name it.
const SoonExpired = 7 * 24 * time.Hour

// maxExpiring is how many secrets Expiring names.
const maxExpiring = 3

// ExpiryNotice returns a notice about a secret that has expired, or soon will; "" for
// others. It is a notice only: an expired secret can still be used.
func ExpiryNotice(ref keyturn.Ref, expires, now time.Time) string {
	left := expires.Sub(now)
	if expires.IsZero() || left > SoonExpired {
		return ""
	}
	name := keyturn.Clean(ref.Secret().Short())
	if left < 0 {
		return name + " expired " + days(-left) + " ago"
	}
	return name + " expires in " + days(left)
}

func days(d time.Duration) string {
	for _, unit := range []struct {
		name string
		of   time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}} {
		if n := int(d / unit.of); n > 1 {
			return fmt.Sprintf("%d %ss", n, unit.name)
		} else if n == 1 {
			return "1 " + unit.name
		}
	}
	return "less than an hour"
}

// Expiring returns one line that names the secrets in mounts that have expired or soon
// will, of those that the caller may list, the most urgent first; "" for none. Secrets
// whose listing takes longer than limit are left out.
func Expiring(ctx context.Context, s *session.Session, mounts []string, limit time.Duration) string {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	now := time.Now()
	var found []keyturn.Info
	for _, mount := range mounts {
		under, err := keyturn.ParsePrefix(mount)
		if err != nil || !s.Rules.MayAny(s.Actor, mount, false) {
			continue
		}
		res, err := keyturn.Do[*keyturn.Listing](ctx, s.Service, keyturn.ListSecrets{Under: under})
		if err != nil {
			continue
		}
		for info, err := range res.Secrets {
			if err != nil && !info.IsFolder() {
				break
			}
			if info.State == keyturn.Live && !info.Ref.IsZero() && ExpiryNotice(info.Ref, info.Expires, now) != "" {
				found = append(found, info)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b keyturn.Info) int { return a.Expires.Compare(b.Expires) })
	var parts []string
	for _, info := range found[:min(len(found), maxExpiring)] {
		parts = append(parts, ExpiryNotice(info.Ref, info.Expires, now))
	}
	if more := len(found) - len(parts); more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more: keyturn list %s/ --expiring 7d", more, found[maxExpiring].Ref.Mount()))
	}
	return strings.Join(parts, "; ")
}
