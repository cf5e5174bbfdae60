package answer

import "github.com/keyturn/keyturn"

// Lease is a lease, without its values.
type Lease struct {
	ID        string       `json:"id"`
	Ref       string       `json:"ref"`
	Native    string       `json:"lease_id,omitempty"` // the platform's own name of it
	State     string       `json:"state"`
	By        string       `json:"by"`
	Target    string       `json:"target,omitempty"` // where its mount was when it was taken
	Began     string       `json:"began_time"`
	TTL       int64        `json:"ttl,omitempty"` // seconds of the last term; left out where it has no end
	Expires   string       `json:"expires_time,omitempty"`
	Renewable bool         `json:"renewable"`
	Run       bool         `json:"run,omitempty"` // it ends with a command
	Fields    []string     `json:"fields,omitempty"`
	Problem   keyturn.Code `json:"problem,omitempty"` // why it is not revoked
}

// LeaseOf returns what is known of a lease.
func LeaseOf(l keyturn.LeaseInfo) Lease {
	return Lease{ID: l.ID, Ref: l.Ref.String(), Native: keyturn.Clean(l.Native), State: l.State, By: keyturn.Clean(l.By), Target: keyturn.Clean(l.Target), Began: Stamp(l.Began), TTL: l.Seconds,
		Expires: Stamp(l.Expires), Renewable: l.Renewable, Run: l.Run, Fields: l.Fields, Problem: l.Problem}
}

// LeasesOf returns leases; an empty list for none.
func LeasesOf(list []keyturn.LeaseInfo) *[]Lease {
	out := []Lease{}
	for _, l := range list {
		out = append(out, LeaseOf(l))
	}
	return &out
}

// leased is the document of a lease that was taken, renewed or ended. Where values were
// asked for, their secret is a member too.
func leased(op keyturn.Op, res *keyturn.Leased) Document {
	doc := Success(op.Kind(), res.Receipt)
	lease := LeaseOf(res.Lease)
	doc.Lease = &lease
	if res.Values != nil {
		doc.Secret = &Secret{Ref: res.Lease.Ref.String(), Fields: res.Lease.Fields}
	}
	if o, ok := op.(keyturn.RevokeLease); ok {
		lease.State = "revoked"
		if o.Forget {
			lease.State = "forgotten"
		}
	}
	return doc
}
