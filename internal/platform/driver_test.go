package platform

import "testing"

func TestSameAddress(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"https://a:8200", "HTTPS://A:8200/", true}, {"https://a", "http://a", false}, {"https://a:8200", "https://a", false},
		{"https://a/x", "https://a/X", false}, {"https://a", "https://b@a", false}, {"://", "://", true}, {"://", "https://a", false},
	} {
		if SameAddress(c.a, c.b) != c.same {
			t.Errorf("%s and %s", c.a, c.b)
		}
	}
}
