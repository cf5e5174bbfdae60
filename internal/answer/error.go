package answer

import "github.com/keyturn/keyturn"

// Approval is a request that a person can approve.
type Approval struct {
	ID          string `json:"id"`
	Fingerprint string `json:"fingerprint"`
	URL         string `json:"url,omitempty"`
	Expires     string `json:"expires"`
}

// Error is a failure, with a code for programs.
type Error struct {
	Ref     string       `json:"ref,omitempty"`
	Code    keyturn.Code `json:"code"`
	Message string       `json:"message"`
	Hint    string       `json:"hint,omitempty"`
	By      string       `json:"by,omitempty"`
	Outcome string       `json:"outcome,omitempty"` // "unknown": a change may have happened
	Cause   string       `json:"cause,omitempty"`   // with -v
}

// OfError returns the document of an operation that failed or waits for an approval. The
// operation has the name that the door gives it, and err is not nil. The door adds the
// platform of the mount, where it knows it.
func OfError(operation string, err error, verbose bool) Document {
	doc := Document{Operation: operation}
	e := keyturn.AsError(err)
	if !e.Ref.IsZero() {
		doc.Mount = e.Ref.Mount()
	}
	doc.Fail(e, verbose)
	return doc
}

// Fail sets what a failure has in a document: status, request for an approval, the error, and
// each of the errors that it joins. verbose includes causes.
func (d *DocumentOf[S, W]) Fail(e *keyturn.Error, verbose bool) {
	d.Status, d.AuditID, d.Approval = "error", e.AuditID, ApprovalOf(e.Approval)
	if e.Code == keyturn.Pending {
		d.Status = "pending"
	}
	told := ErrorOf(e, verbose)
	d.Error, d.Errors = &told, nil
	for _, each := range e.Each {
		d.Errors = append(d.Errors, ErrorOf(each, verbose))
	}
}

// Partly says that the operation was done in part, and adds the errors of the other parts.
// Without errors it changes nothing.
func (d *DocumentOf[S, W]) Partly(verbose bool, failed ...*keyturn.Error) {
	for _, e := range failed {
		d.Status, d.Errors = "partial", append(d.Errors, ErrorOf(e, verbose))
	}
}

// Code returns the code of the failure or, of a partial answer, that of its gravest error; ""
// for a success.
func (d *DocumentOf[S, W]) Code() keyturn.Code {
	if d.Error != nil {
		return d.Error.Code
	}
	var failed []*keyturn.Error
	for _, e := range d.Errors {
		failed = append(failed, &keyturn.Error{Code: e.Code})
	}
	if e := keyturn.Join("", failed...); e != nil {
		return e.Code
	}
	return ""
}

// ErrorOf returns an error in words that are safe to show. verbose includes its cause.
func ErrorOf(e *keyturn.Error, verbose bool) Error {
	d := Error{Code: e.Code, Message: keyturn.CleanLines(e.Message), Hint: keyturn.CleanLines(e.Hint), By: e.By}
	if !e.Ref.IsZero() {
		d.Ref = e.Ref.String()
	}
	if e.Unknown {
		d.Outcome = "unknown"
	}
	if verbose && e.Err != nil {
		d.Cause = keyturn.CleanLines(e.Err.Error())
	}
	return d
}

// ApprovalOf returns the request that an error or a record is about; nil for none.
func ApprovalOf(a *keyturn.Approval) *Approval {
	if a == nil {
		return nil
	}
	return &Approval{ID: a.ID, Fingerprint: a.Fingerprint, URL: a.URL, Expires: Stamp(a.Expires)}
}
