// Package health checks the configuration and its rules, the store, the mounts, the
// project, leases, unfinished work, and secrets that expire. It returns findings, which
// doors print, and changes nothing.
package health

import (
	"fmt"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
)

// State says how something is.
type State string

// The states of a finding.
const (
	OK   State = "ok"
	Warn State = "warn" // a person should look at it
	Bad  State = "bad"  // it does not work
)

// Finding is one thing that was looked at. Its texts are clean, and may have several lines.
type Finding struct {
	Check   string // what was looked at: "store", "mount vault"
	State   State
	Message string
	Next    string         // what to do; "" where there is nothing to be done
	Err     *keyturn.Error // of what is Bad; nil for all else
}

// Report is all that was found.
type Report struct {
	Actor    keyturn.Actor // who is calling; zero where the configuration cannot be read
	Findings []Finding
	Receipt  keyturn.Receipt // of the question how the mounts are; zero where the store did not open

	explain func(error) *keyturn.Error
}

func (r *Report) add(check string, state State, message, next string, err *keyturn.Error) {
	r.Findings = append(r.Findings, Finding{check, state, keyturn.CleanLines(message), keyturn.CleanLines(next), err})
}

// OK adds something that is in order.
func (r *Report) OK(check, format string, args ...any) {
	r.add(check, OK, fmt.Sprintf(format, args...), "", nil)
}

// Warn adds something that a person should look at; next says what to do.
func (r *Report) Warn(check, next, format string, args ...any) {
	r.add(check, Warn, fmt.Sprintf(format, args...), next, nil)
}

// bad adds something that does not work, and why.
func (r *Report) bad(check string, err error) {
	explain := r.explain
	if explain == nil {
		explain = keyturn.AsError
	}
	e := explain(err)
	next := e.Hint
	if next == "" {
		next = "see 'keyturn help', and say -v for the cause"
	}
	r.add(check, Bad, e.Message, next, e)
}

// Count returns how many findings are in a state.
func (r *Report) Count(state State) int {
	n := 0
	for _, f := range r.Findings {
		if f.State == state {
			n++
		}
	}
	return n
}

// failed returns the errors of all that is Bad.
func (r *Report) failed() []*keyturn.Error {
	var out []*keyturn.Error
	for _, f := range r.Findings {
		if f.Err != nil {
			out = append(out, f.Err)
		}
	}
	return out
}

// Err is one error of all that is Bad, with the code of the gravest; nil where nothing is.
func (r *Report) Err() *keyturn.Error { return keyturn.Join("", r.failed()...) }

// Document is the report as JSON; verbose includes the causes of errors.
func (r *Report) Document(verbose bool) answer.Document {
	doc := answer.Success("check-health", r.Receipt)
	doc.Partly(verbose, r.failed()...)
	checks := []answer.Check{}
	for _, f := range r.Findings {
		c := answer.Check{Check: f.Check, State: string(f.State), Message: f.Message, Next: f.Next}
		if f.Err != nil {
			c.Code = f.Err.Code
		}
		checks = append(checks, c)
	}
	doc.Checks = &checks
	if r.Actor.Kind != "" {
		doc.Caller = &r.Actor
	}
	return doc
}
