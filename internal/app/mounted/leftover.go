package mounted

import (
	"context"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/session"
	"github.com/keyturn/keyturn/internal/tokens"
)

// Leftover lists, for people, the logins that are kept and that no mount uses as it is now:
// its address or namespace was another one, or it had another name. They are alive at
// their servers.
func (ms *Mounts) Leftover(ctx context.Context) ([]session.Unfinished, error) {
	if ms.Who != keyturn.Person {
		return nil, nil
	}
	now := time.Now
	if ms.Now != nil {
		now = ms.Now
	}
	logins, err := tokens.List(ctx, ms.DB)
	var out []session.Unfinished
	for _, l := range logins {
		if l.Platform != vaultPlatform || !l.Expires.IsZero() && !now().Before(l.Expires) || ms.uses(l) {
			continue
		}
		where, next := keyturn.Clean(l.Address), "VAULT_ADDR="+keyturn.Quote(l.Address)
		if l.Namespace != "" {
			where += ", namespace " + keyturn.Clean(l.Namespace)
			next += " VAULT_NAMESPACE=" + keyturn.Quote(l.Namespace)
		}
		next += " keyturn logout " + vaultPlatform
		if _, configured := ms.Operator.Mount(vaultPlatform); configured || l.Mount != vaultPlatform {
			next = "name it so in the configuration once more, and then: keyturn logout " + keyturn.Clean(l.Mount)
		}
		out = append(out, session.Unfinished{What: "a login of the mount " + keyturn.Clean(l.Mount) + " to " + where + " as " + keyturn.Clean(l.Identity) + " is kept, and no mount is that now",
			Next: next})
	}
	return out, err
}

// uses reports whether l is the login of a mount as it is now.
func (ms *Mounts) uses(l tokens.Login) bool {
	if configured, ok := ms.Operator.Mount(l.Mount); ok {
		c, err := configureVault(configured, ms.Operator.File)
		return err == nil && tokens.At(ms.DB, l.Mount, vaultPlatform, c.Address, c.Namespace).Holds(l)
	}
	return l.Mount == vaultPlatform && tokens.At(ms.DB, l.Mount, vaultPlatform, ms.Env("VAULT_ADDR"), ms.Env("VAULT_NAMESPACE")).Holds(l)
}
