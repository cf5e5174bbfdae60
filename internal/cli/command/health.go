package command

import (
	"time"

	"github.com/keyturn/keyturn"
)

// notable is a difference of clocks that the way of an answer does not explain.
const notable = 3 * time.Second

// Apart says how far the clock of a platform's server is from this one; "" where they
// agree, or it is not known.
func Apart(h *keyturn.Health) string {
	switch {
	case h.Ahead == nil || h.Ahead.Abs() < notable:
		return ""
	case *h.Ahead > 0:
		return "its clock is " + h.Ahead.String() + " ahead of this one"
	}
	return "its clock is " + h.Ahead.Abs().String() + " behind this one"
}

// As says as whom somebody is known to a platform, and by what: "anna by login"; ""
// where that does not apply.
func As(h *keyturn.Health) string {
	if h == nil || h.Identity == "" {
		return ""
	}
	out := keyturn.Clean(h.Identity)
	if h.Source != "" {
		out += " by " + keyturn.Clean(h.Source)
	}
	return out
}
