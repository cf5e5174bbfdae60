package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// errBroken replaces a cause that could quote an answer.
var errBroken = errors.New("the connection broke, or what came is not HTTP")

// Cause returns the cause of a failed request of package http without quotations. Many of
// its errors quote what the other end answered, which may echo what was sent, token and
// all. Cause keeps the errors that are known to quote nothing, and returns one fixed error
// for all others.
func Cause(err error) error {
	for _, known := range []error{context.Canceled, context.DeadlineExceeded, io.ErrUnexpectedEOF, io.EOF, http.ErrSchemeMismatch, ErrTooLarge} {
		if errors.Is(err, known) {
			return known
		}
	}
	var by ProxyRefusal
	var cert *tls.CertificateVerificationError // what it quotes was there before anything was sent
	var header tls.RecordHeaderError
	var op *net.OpError // of system calls, look-ups of names and alerts of TLS
	var slow net.Error
	switch {
	case errors.As(err, &by):
		return by
	case errors.As(err, &cert):
		return cert
	case errors.As(err, &header):
		return errors.New(header.Error())
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return &net.OpError{Op: op.Op, Net: op.Net, Err: Cause(op.Err)}
	case errors.As(err, &op):
		return op
	case errors.As(err, &slow) && slow.Timeout():
		return context.DeadlineExceeded
	}
	for next := err; next != nil; next = errors.Unwrap(next) {
		err = next
	}
	if err != nil && strings.HasPrefix(err.Error(), "tls: ") { // of the handshake: no agreement on a version, for instance
		return errors.New(err.Error())
	}
	return errBroken
}

// Final marks the cause of an error that would be the same however often the request is
// sent: platform.Retry does not retry.
func Final(cause error) error { return final{cause} }

type final struct{ error }

// Unwrap returns the cause.
func (f final) Unwrap() error { return f.error }

// Final is the method that platform.Retry looks for.
func (final) Final() bool { return true }

// Throttled is the cause of an answer with status 429. retryAfter is the header of that
// name; "" for none.
func Throttled(retryAfter string) error { return throttled(retryAfter) }

type throttled string

// Error implements error.
func (throttled) Error() string { return "status 429" }

// RetryAfter is the method that platform.Retry looks for: the least pause before the next
// request; 0 where the server names none.
func (t throttled) RetryAfter() time.Duration {
	n, err := strconv.Atoi(string(t))
	if err != nil || n < 0 || n > 24*60*60 {
		return 0
	}
	return time.Duration(n) * time.Second
}
