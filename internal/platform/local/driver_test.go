package local

import (
	"errors"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// TestDriver: the local store is there for every caller, and under one name.
func TestDriver(t *testing.T) {
	d := Driver(nil, "/the/store")
	for _, caller := range []keyturn.ActorKind{keyturn.Person, keyturn.Agent, keyturn.ServiceKind} {
		if there, err := d.Ambient(platform.Env{Caller: caller}); !there || err != nil {
			t.Errorf("%s: %v, %v", caller, there, err)
		}
	}
	m, err := d.Open(platform.Env{}, platform.Settings{Mount: "local"})
	if err != nil || m.Name() != "local" || m.Platform() != d.Name || m.Target() != "/the/store" {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := d.Open(platform.Env{}, platform.Settings{Mount: "mine"}); !errors.Is(err, keyturn.Unsupported) {
		t.Errorf("a second one: %v", err)
	}
}
