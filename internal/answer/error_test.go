package answer

import (
	"errors"
	"testing"

	"github.com/keyturn/keyturn"
)

func TestOfError(t *testing.T) {
	ref, err := keyturn.ParseRef("local/a#b")
	if err != nil {
		t.Fatal(err)
	}
	cause := errors.New("the disk\x1b[2J")
	denied := keyturn.E(keyturn.Denied, "no", "ask").About(ref)
	for name, x := range map[string]struct {
		err     error
		verbose bool
		want    string
	}{
		"plain": {keyturn.E(keyturn.Unavailable, "it is\x1b full", "").Because(cause), false,
			`{"operation": "get-secret", "status": "error", "error": {"code": "unavailable", "message": "it is� full"}}`},
		"its cause": {keyturn.E(keyturn.Unavailable, "full", "").Because(cause), true,
			`{"operation": "get-secret", "status": "error", "error": {"code": "unavailable", "message": "full", "cause": "the disk�[2J"}}`},
		"about a secret": {denied, false,
			`{"operation": "get-secret", "mount": "local", "status": "error", "error": {"ref": "kt://local/a#b", "code": "denied", "message": "no", "hint": "ask"}}`},
		"pending": {&keyturn.Error{Code: keyturn.Pending, Message: "wait", AuditID: "x", Approval: &keyturn.Approval{ID: "k3", Fingerprint: "F"}}, false,
			`{"operation": "get-secret", "status": "pending", "approval": {"id": "k3", "fingerprint": "F", "expires": ""}, "audit_id": "x", "error": {"code": "pending", "message": "wait"}}`},
		"several": {keyturn.Join("both", denied, &keyturn.Error{Code: keyturn.Invalid, Message: "what", Unknown: true}), false,
			`{"operation": "get-secret", "status": "error", "error": {"code": "denied", "message": "both", "hint": "ask"},
			"errors": [{"ref": "kt://local/a#b", "code": "denied", "message": "no", "hint": "ask"}, {"code": "invalid", "message": "what", "outcome": "unknown"}]}`},
		"any error": {cause, false,
			`{"operation": "get-secret", "status": "error", "error": {"code": "internal", "message": "something went wrong that keyturn did not expect", "hint": "this is a bug: please report it with the output of the same command and -v"}}`},
	} {
		if got := compact(t, OfError("get-secret", x.err, x.verbose)); got != compact(t, rawJSON(x.want)) {
			t.Errorf("%s: %s", name, got)
		}
	}
}
