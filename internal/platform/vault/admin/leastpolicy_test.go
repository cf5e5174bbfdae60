package admin

import "testing"

// TestPolicyNameOf: no two secrets and words make one name.
func TestPolicyNameOf(t *testing.T) {
	t.Parallel()
	have := map[string]string{}
	for _, x := range [][2]string{{"secret/a/b", "read"}, {"secret/A/b", "read"}, {"secret/a-b", "read"}, {"secret-a/b", "read"},
		{"secret/a", "list-read"}, {"secret/a/list", "read"}, {"secret/my-app", "read"}, {"secret/my/app", "read"}} {
		name := policyNameOf(x[0]) + "-" + x[1]
		if other, ok := have[name]; ok {
			t.Errorf("%s is made of %s and of %s", name, other, x[0])
		}
		have[name] = x[0]
	}
	if policyNameOf("secret/a/b") != "secret-a-b" {
		t.Error(policyNameOf("secret/a/b"))
	}
}
