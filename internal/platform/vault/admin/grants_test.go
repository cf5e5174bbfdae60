package admin

import (
	"slices"
	"testing"
)

// TestDiffers: a member that came, went or changed is told; policies and counters are not.
func TestDiffers(t *testing.T) {
	t.Parallel()
	h := principal{member: "token_policies", data: map[string]any{"token_policies": []any{"a"}, "modify_index": 1.0, "groups": "a,b", "role_type": "jwt", "ttl": 60.0}}
	now := principal{data: map[string]any{"token_policies": []any{"a", "b"}, "modify_index": 2.0, "groups": "", "ttl": 60.0, "leeway": 1.0}}
	if got := h.differs(now); !slices.Equal(got, []string{"groups", "leeway", "role_type"}) {
		t.Errorf("%q", got)
	}
	if got := h.differs(h); got != nil {
		t.Errorf("%q", got)
	}
}
