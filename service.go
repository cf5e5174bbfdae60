package keyturn

import (
	"context"
	"fmt"
)

// Service does operations. Package broker implements it by acting; a client
// implements it by asking a server. It is safe for concurrent use.
type Service interface {
	// Do carries out op for whoever ctx says is calling, and returns the result
	// type that op's comment names. An error is an *Error.
	//
	// A change is durable when Do returns; an error whose Unknown is set tells
	// that it may have happened. No value leaves before its use is durably
	// recorded.
	Do(ctx context.Context, op Op) (Result, error)

	// Seal keeps values, encrypted, for one PutSecret on ref by the same caller,
	// and returns the candidate's id to name in it. The same values by the same
	// caller give the same id while it lives, so that an operation that waited
	// for an approval can be repeated. Unused candidates vanish after a day.
	Seal(ctx context.Context, ref Ref, values map[string]Value) (candidate string, err error)
}

// Do is Service.Do with its result typed.
func Do[R Result](ctx context.Context, s Service, op Op) (R, error) {
	var zero R
	res, err := s.Do(ctx, op)
	if err != nil {
		return zero, err
	}
	r, ok := res.(R)
	if !ok {
		return zero, E(Internal, fmt.Sprintf("'%s' answered with %T", op.Kind(), res), "")
	}
	return r, nil
}

// Call is what a door says about a request beside the operation itself.
type Call struct {
	Door   string // "cli", "mcp", "web"
	Reason string // the caller's own words, recorded and shown to approvers as untrusted
}

type callKey struct{}

// WithCall returns a context whose operations carry c.
func WithCall(ctx context.Context, c Call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// CallOf returns the Call of ctx; empty where there is none.
func CallOf(ctx context.Context) Call {
	c, _ := ctx.Value(callKey{}).(Call)
	return c
}
