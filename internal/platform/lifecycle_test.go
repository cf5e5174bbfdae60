package platform_test

import (
	"errors"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

func TestCheckState(t *testing.T) {
	ref := keyturn.MustRef("local/app")
	for _, c := range []struct {
		is, to keyturn.State
		want   keyturn.Code
	}{
		{keyturn.Live, keyturn.Deleted, ""}, {keyturn.Deleted, keyturn.Live, ""},
		{keyturn.Live, keyturn.Live, keyturn.Conflict}, {keyturn.Deleted, keyturn.Deleted, keyturn.Conflict},
		{keyturn.Destroyed, keyturn.Live, keyturn.NotFound}, {keyturn.Destroyed, keyturn.Deleted, keyturn.NotFound},
	} {
		err := platform.CheckState(ref, "local/app", keyturn.Info{Version: "3", State: c.is}, c.to)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, c.want) || keyturn.AsError(err).Ref != ref) {
			t.Errorf("%s to %s: %v, want %q", c.is, c.to, err, c.want)
		}
	}
}
