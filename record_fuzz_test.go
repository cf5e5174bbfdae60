package keyturn_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
)

// FuzzDecodeRecord: what is read as a record has no second spelling, and what is
// not is Corrupt.
func FuzzDecodeRecord(f *testing.F) {
	at := time.Date(2026, 1, 24, 10, 0, 0, 1000, time.UTC)
	actor := keyturn.Actor{Kind: keyturn.Agent, Name: "x", For: "anna", Proof: "environment", Also: []string{"oidc:group:g"}}
	for _, op := range examples() {
		form, err := keyturn.EncodeOp(op)
		if err != nil {
			f.Fatal(err)
		}
		data, err := keyturn.EncodeRecord(keyturn.Record{Format: keyturn.RecordFormat, ID: "i", Phase: keyturn.Intent, Time: at, Parent: "p",
			Actor: &actor, Door: "cli", Op: form, OpHash: "h", Rule: "a<b>&c.yaml:3", Approval: "k7mq2xvd", Reason: "r\u2028"})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, s := range []string{``, `{}`, `null`, `{"v":1}`, `{"v":1,"id":"i","phase":"outcome","time":"2026-01-24T10:00:00Z","status":"error","code":"internal","unknown":true}`,
		`{"v":1,"id":"i","phase":"intent","time":"2026-01-24T10:00:00Z","op":null}`, `{"v":1,"id":"i","phase":"intent","time":"2026-01-24T11:00:00+01:00"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := keyturn.DecodeRecord(data)
		if err != nil {
			if !errors.Is(err, keyturn.Corrupt) {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		again, err := keyturn.EncodeRecord(r)
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%s has a second spelling: %s, %v", data, again, err)
		}
	})
}
