package keyturn_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
)

func TestCodes(t *testing.T) {
	for i, c := range keyturn.Codes() {
		if c.Exit() != i+1 {
			t.Errorf("%s exits with %d; want %d", c, c.Exit(), i+1)
		}
	}
	if keyturn.Code("new").Exit() != 1 {
		t.Error("an unknown code must exit as internal")
	}
}

func TestErrorIsItsCode(t *testing.T) {
	err := fmt.Errorf("around: %w", keyturn.E(keyturn.NotFound, "no secret", "").Because(io.EOF))
	if !errors.Is(err, keyturn.NotFound) || errors.Is(err, keyturn.Denied) || !errors.Is(err, io.EOF) {
		t.Error("errors.Is does not see code and cause")
	}
	if keyturn.AsError(io.EOF).Code != keyturn.Internal || keyturn.AsError(nil) != nil {
		t.Error("AsError of foreign errors")
	}
}

func TestJoin(t *testing.T) {
	e := func(c keyturn.Code) *keyturn.Error { return keyturn.E(c, string(c), "") }
	if keyturn.Join("m") != nil {
		t.Error("nothing joined is something")
	}
	if got := keyturn.Join("m", e(keyturn.NotFound), e(keyturn.Denied), e(keyturn.Conflict)); got.Code != keyturn.Denied || len(got.Each) != 3 {
		t.Errorf("joined: %+v", got)
	}
	untrusted := e(keyturn.Denied).With(keyturn.Untrusted)
	untrusted.Asks = &keyturn.Asked{Added: []keyturn.Binding{{Name: "A", Ref: keyturn.MustRef("local/a")}}, Removed: []keyturn.Binding{{Name: "B", Ref: keyturn.MustRef("local/b#f")}}}
	if got := keyturn.Join("m", e(keyturn.NotFound), untrusted); got.Reason != keyturn.Untrusted || strings.Join(got.Asks.Lines(), ",") != "+ A = local/a,- B = local/b#f" {
		t.Errorf("joined: %+v", got)
	}
	if got := keyturn.ReasonOf(errors.Join(errors.New("x"), untrusted)); got != keyturn.Untrusted {
		t.Errorf("wrapped: %q", got)
	}
	if keyturn.ReasonOf(nil) != "" || keyturn.ReasonOf(errors.New("x")) != "" || e(keyturn.Denied).Asks.Lines() != nil {
		t.Error("there is a reason where nobody gave one")
	}
	if got := keyturn.Join("m", e(keyturn.Invalid), e(keyturn.Unsupported)); got.Code != keyturn.Invalid {
		t.Errorf("joined: %+v", got)
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain ü 名": "plain ü 名", "a\x1b[31mb": "a�[31mb", "a\u202eb": "a�b", "a\u200bb": "a�b", "a\nb\r\x00": "a�b��", "a\xffb": "a�b", "a\u2028b\ufeff": "a�b�",
	} {
		if got := keyturn.Clean(in); got != want {
			t.Errorf("Clean(%q) = %q; want %q", in, got, want)
		}
	}
}
