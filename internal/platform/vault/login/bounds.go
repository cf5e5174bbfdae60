package login

import (
	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// What a token and the names of whose it is are at most: more is no Vault's, and would be
// kept and shown.
const (
	maxToken    = 64 << 10
	maxName     = 1 << 10
	maxPolicies = 4096
)

// bounded is t as a server told of it; Unavailable where that is more than there can be.
func bounded(t platform.Token) (platform.Token, error) {
	ok := t.Value.Len() > 0 && t.Value.Len() <= maxToken && len(t.Accessor) <= maxName && len(t.Identity) <= maxName && len(t.Policies) <= maxPolicies
	for _, p := range t.Policies {
		ok = ok && len(p) <= maxName
	}
	if !ok {
		return platform.Token{}, keyturn.E(keyturn.Unavailable, "what the server tells of this login is more than Vault would", "is the address right?")
	}
	return t, nil
}
