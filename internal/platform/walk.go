package platform

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"

	"github.com/keyturn/keyturn"
)

// The bounds of listings. A server chooses how deep its folders are and how many it
// answers, so without a bound it could keep a listing busy for ever.
const (
	// MaxLevels is how many segments a name may have whose folder is listed.
	MaxLevels = 64
	// maxRequests is how many requests the listings of one operation may take.
	maxRequests = 100_000
)

// The causes of errors that say that a listing is not complete.
var (
	errCut  = errors.New("a listing has a bound")
	errDeep = errors.New("a listing goes only so deep")
)

// IsCut reports whether err says that the listings of an operation have taken all their
// requests: no other of them gets further.
func IsCut(err error) bool { return errors.Is(err, errCut) }

// budget is how many requests have been made.
type budget struct{ made atomic.Int64 }

type (
	budgetKey  struct{} // of the budget of an operation
	listingKey struct{} // of the budget that each request of a listing takes from
)

// Bounded returns a context whose listings share one budget of requests. Without it
// each listing has its own.
func Bounded(ctx context.Context) context.Context {
	return context.WithValue(ctx, budgetKey{}, new(budget))
}

// listing returns the context of a listing: with it, Retry takes each request from the
// budget.
func listing(ctx context.Context) context.Context {
	b, ok := ctx.Value(budgetKey{}).(*budget)
	if !ok {
		b = new(budget)
	}
	return context.WithValue(ctx, listingKey{}, b)
}

// take takes a request from the budget of a listing; outside of one it does nothing.
func take(ctx context.Context) error {
	b, ok := ctx.Value(listingKey{}).(*budget)
	if !ok || b.made.Add(1) <= maxRequests {
		return nil
	}
	return keyturn.E(keyturn.Unavailable, "this listing took "+number(maxRequests)+" requests, and is not complete",
		"list a folder by itself; if there are not that many secrets, ask who runs the server what it answers").Because(errCut)
}

// CheckDepth refuses a folder that lies deeper than a listing goes: it has more levels,
// or a longer name, than a secret can have here. A platform asks it before it lists the
// folder, and yields the error beside it. name is below the mount.
func (s Spec) CheckDepth(name string) error {
	why := ""
	switch {
	case strings.Count(name, "/") >= MaxLevels:
		why = "is more than " + number(MaxLevels) + " levels deep"
	case s.MaxName > 0 && len(name) > s.MaxName:
		why = "has a longer name than a secret can have"
	default:
		return nil
	}
	short := name
	if r := []rune(short); len(r) > 60 {
		short = string(r[:60]) + "…"
	}
	return keyturn.E(keyturn.Unavailable, "the folder "+keyturn.Clean(short)+" "+why+": what is in it, and in others as deep, is not listed",
		"ask who runs the server what it answers").Because(errDeep)
}
