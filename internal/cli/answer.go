package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/keyturn/keyturn"
)

// answer is the one JSON form of every answer (cli.md, "JSON"). Members that
// do not apply are left out.
type answer struct {
	Operation string            `json:"operation"`
	Platform  string            `json:"platform,omitempty"`
	Mount     string            `json:"mount,omitempty"`
	Status    string            `json:"status"`
	Secret    *secretDoc        `json:"secret,omitempty"`
	Secrets   *[]secretDoc      `json:"secrets,omitempty"`
	Folders   []string          `json:"folders,omitempty"` // of a shallow listing
	Mounts    *[]mountDoc       `json:"mounts,omitempty"`
	Store     *storeDoc         `json:"store,omitempty"`
	Decision  *decisionDoc      `json:"decision,omitempty"`
	Settings  *[]settingDoc     `json:"settings,omitempty"`
	Records   *[]keyturn.Record `json:"records,omitempty"`
	Log       *logDoc           `json:"log,omitempty"`
	Caller    *keyturn.Actor    `json:"caller,omitempty"`
	Command   *commandDoc       `json:"command,omitempty"`
	Project   *projectDoc       `json:"project,omitempty"`
	Request   *requestDoc       `json:"request,omitempty"`
	Requests  *[]requestDoc     `json:"requests,omitempty"`
	Rule      string            `json:"rule,omitempty"` // where one was written
	Steps     []stepDoc         `json:"steps,omitempty"`
	Next      []string          `json:"next,omitempty"`
	Approval  *approvalDoc      `json:"approval,omitempty"`
	Target    string            `json:"target,omitempty"`
	Before    any               `json:"previous_version,omitempty"`
	Until     string            `json:"recoverable_until,omitempty"`
	Notices   []string          `json:"notices,omitempty"`
	Artifacts []string          `json:"artifacts,omitempty"`
	AuditID   string            `json:"audit_id,omitempty"`
	Version   *versionDoc       `json:"version,omitempty"`
	Error     *errorDoc         `json:"error,omitempty"`
	Errors    []errorDoc        `json:"errors,omitempty"`
}

type secretDoc struct {
	Ref     string         `json:"ref"`
	Path    string         `json:"path,omitempty"`
	Version any            `json:"version,omitempty"` // a number where the platform counts
	Created string         `json:"created_time,omitempty"`
	State   string         `json:"state,omitempty"` // left out while live
	Current bool           `json:"current,omitempty"`
	Expires string         `json:"expires,omitempty"`
	Fields  []string       `json:"fields,omitempty"`
	Public  []string       `json:"public,omitempty"`
	Labels  any            `json:"labels,omitempty"` // {} where there could be some
	Values  map[string]any `json:"values,omitempty"`
}

type approvalDoc struct {
	ID          string `json:"id"`
	Fingerprint string `json:"fingerprint"`
	URL         string `json:"url,omitempty"`
	Expires     string `json:"expires"`
}

type errorDoc struct {
	Ref     string       `json:"ref,omitempty"`
	Code    keyturn.Code `json:"code"`
	Message string       `json:"message"`
	Hint    string       `json:"hint,omitempty"`
	By      string       `json:"by,omitempty"`
	Outcome string       `json:"outcome,omitempty"` // "unknown": a change may have happened
	Cause   string       `json:"cause,omitempty"`   // with -v
}

type versionDoc struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	System  string `json:"system"`
}

// print writes doc as the one JSON document on standard output.
func (c *command) print(doc answer) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return keyturn.E(keyturn.Internal, "the answer has no JSON form", "").Because(err)
	}
	_, err := c.Out.Write(visible(b.Bytes()))
	return err
}

// visible escapes what a terminal or a model could take for something else:
// control, bidirectional and zero-width characters, which in JSON stand in
// strings only. The document means the same.
func visible(doc []byte) []byte {
	out := make([]byte, 0, len(doc))
	for _, r := range string(doc) {
		if r < 0x7f || keyturn.Clean(string(r)) == string(r) {
			out = utf8.AppendRune(out, r)
		} else if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		} else {
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

// success begins the document of an operation that went well.
func success(operation string, r keyturn.Receipt) answer {
	return answer{Operation: operation, Platform: r.Platform, Mount: r.Mount, Status: "success", AuditID: r.AuditID}
}

func infoDoc(info keyturn.Info) secretDoc {
	d := secretDoc{Ref: info.Ref.String(), Path: info.Path, Version: versionOf(info.Version), Created: stamp(info.Created),
		Current: false, Expires: stamp(info.Expires), Fields: info.Fields, Public: info.Public}
	if info.State != keyturn.Live {
		d.State = string(info.State)
	} else if d.Labels = info.Labels; info.Labels == nil {
		d.Labels = map[string]string{}
	}
	return d
}

// versionOf is a number where the platform counts, else the platform's word.
func versionOf(v string) any {
	if n, err := strconv.ParseInt(v, 10, 53); err == nil && strconv.FormatInt(n, 10) == v && n > 0 {
		return n
	}
	if v == "" {
		return nil
	}
	return v
}

// valueDoc is a string, or {"base64": "…"} for what is not text.
func valueDoc(v keyturn.Value) any {
	b := v.Reveal()
	if utf8.Valid(b) {
		return string(b)
	}
	return map[string][]byte{"base64": b} // encoding/json writes bytes in base64
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Truncate(time.Second).Format(time.RFC3339)
}

func (c *command) errorDoc(e *keyturn.Error) errorDoc {
	d := errorDoc{Code: e.Code, Message: keyturn.CleanLines(e.Message), Hint: keyturn.CleanLines(e.Hint), By: e.By}
	if !e.Ref.IsZero() {
		d.Ref = e.Ref.String()
	}
	if e.Unknown {
		d.Outcome = "unknown"
	}
	if c.verbose && e.Err != nil {
		d.Cause = keyturn.CleanLines(e.Err.Error())
	}
	return d
}

func approvalOf(a *keyturn.Approval) *approvalDoc {
	if a == nil {
		return nil
	}
	return &approvalDoc{ID: a.ID, Fingerprint: a.Fingerprint, URL: a.URL, Expires: stamp(a.Expires)}
}
