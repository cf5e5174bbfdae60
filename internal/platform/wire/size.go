package wire

import (
	"context"
	"errors"
	"io"
	"net/http"
)

// freely is how much of an answer each request may read beside the others. The rest of a
// larger answer is read by one request at a time, so that memory does not grow with the
// number of requests.
const freely = 1 << 20

// ErrTooLarge is the error of an answer that is larger than its limit.
var ErrTooLarge = errors.New("the answer is larger than it can be")

// Answers reads the answers of one server. It is safe for concurrent use.
type Answers struct{ turn chan struct{} }

// NewAnswers returns Answers of which nobody has the turn.
func NewAnswers() *Answers { return &Answers{turn: make(chan struct{}, 1)} }

// Begin begins the reading of one answer. The caller calls End when it holds the answer
// no more.
func (a *Answers) Begin() *Reading { return &Reading{answers: a} }

// Reading is the reading of one answer. A large answer holds the turn until End.
type Reading struct {
	answers *Answers
	has     bool
}

func (r *Reading) take(ctx context.Context) error {
	if r.has {
		return nil
	}
	select {
	case r.answers.turn <- struct{}{}:
		r.has = true
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// End gives the turn back, where it was taken.
func (r *Reading) End() {
	if r.has {
		<-r.answers.turn
		r.has = false
	}
}

// Read reads the body of an answer, of at most limit bytes. It returns ErrTooLarge, soon,
// for a larger one.
func (r *Reading) Read(ctx context.Context, resp *http.Response, limit int64) ([]byte, error) {
	if resp.ContentLength > limit {
		return nil, ErrTooLarge
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, min(freely, limit+1)))
	if err != nil || len(raw) < freely {
		if int64(len(raw)) > limit {
			return nil, ErrTooLarge
		}
		return raw, err
	}
	if err := r.take(ctx); err != nil {
		return nil, err
	}
	rest, err := io.ReadAll(io.LimitReader(resp.Body, limit+1-int64(len(raw))))
	if raw = append(raw, rest...); int64(len(raw)) > limit {
		return nil, ErrTooLarge
	}
	return raw, err
}
