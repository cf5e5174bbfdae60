package api

import (
	"context"
	"io"
	"net/http"
	"strings"
)

// The most bytes of an answer. The largest secret of a server with raft storage, 1 MiB,
// is at most 6 MiB as JSON (https://developer.hashicorp.com/vault/docs/internals/limits).
const (
	maxAnswer  = 8 << 20
	maxListing = 32 << 20  // names of one folder
	maxLogin   = 1 << 20   // of what is asked without a token, and of all about tokens
	maxMessage = 256 << 10 // of an error's
	// freely is what each request may read beside the others; more is read by one
	// of them at a time, so that memory does not grow with their number.
	freely = 1 << 20
)

// limit is the most bytes of an answer to r.
func (r Request) limit(status int) int64 {
	switch {
	case status >= http.StatusMultipleChoices:
		return maxMessage
	case r.Method == "LIST":
		return maxListing
	case r.Anonymous, strings.HasPrefix(r.Path, "auth/"):
		return maxLogin
	}
	return maxAnswer
}

// turn holds something while somebody reads a large answer, or makes sense of it.
type turn chan struct{}

// none is somebody who has not had the turn yet.
func (t turn) none() *held { return &held{turn: t} }

// held is one request's hold on the turn.
type held struct {
	turn turn
	has  bool
}

func (h *held) take(ctx context.Context) error {
	if h.has {
		return nil
	}
	select {
	case h.turn <- struct{}{}:
		h.has = true
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// end gives the turn back, where it was taken.
func (h *held) end() {
	if h.has {
		<-h.turn
		h.has = false
	}
}

// read reads an answer to r; errTooLarge, soon, where it is.
func (h *held) read(ctx context.Context, r Request, resp *http.Response) ([]byte, error) {
	limit := r.limit(resp.StatusCode)
	if resp.ContentLength > limit {
		return nil, errTooLarge
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, min(freely, limit+1)))
	if err != nil || len(raw) < freely {
		if int64(len(raw)) > limit {
			return nil, errTooLarge
		}
		return raw, err
	}
	if err := h.take(ctx); err != nil {
		return nil, err
	}
	rest, err := io.ReadAll(io.LimitReader(resp.Body, limit+1-int64(len(raw))))
	if raw = append(raw, rest...); int64(len(raw)) > limit {
		return nil, errTooLarge
	}
	return raw, err
}
