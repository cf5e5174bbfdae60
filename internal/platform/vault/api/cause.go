package api

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
)

// errBroken is in the place of a cause that could hold what was answered.
var errBroken = errors.New("the connection broke, or what came is not HTTP")

// Cause is what may be told of why a request of package http failed. Many of its
// errors quote what the other end answered, which may be what was sent to it, token and
// all: of those that are not known to quote nothing, only that is told.
func Cause(err error) error {
	for _, known := range []error{context.Canceled, context.DeadlineExceeded, io.ErrUnexpectedEOF, io.EOF, http.ErrSchemeMismatch, errTooLarge} {
		if errors.Is(err, known) {
			return known
		}
	}
	var by proxyRefusal
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
