package api

import (
	"errors"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
)

// TestConfigure: what a mount may set, and by which of its settings a slip is known.
func TestConfigure(t *testing.T) {
	const at = "https://vault.example.com:8200"
	for name, c := range map[string]struct {
		set  map[string]string
		bad  string // the setting that the error is about; "" for none
		hint string
	}{
		"an address":               {map[string]string{"address": at, "namespace": "team/a", "insecure": "false"}, "", ""},
		"plain on loopback":        {map[string]string{"address": "http://127.0.0.1:8200"}, "", ""},
		"plain, allowed":           {map[string]string{"address": "http://vault.example.com", "insecure": "true"}, "", ""},
		"a pair":                   {map[string]string{"address": at, "client_cert": "a", "client_key": "b"}, "", ""},
		"empty is not set":         {map[string]string{"address": at, "client_cert": "", "insecure": ""}, "", ""},
		"a slip":                   {map[string]string{"adress": at}, "adress", "did you mean address?"},
		"an unknown one":           {map[string]string{"address": at, "zzzzzzzz": "1"}, "zzzzzzzz", "there are address, addresses, namespace"},
		"no address":               {nil, "address", "https://"},
		"plain":                    {map[string]string{"address": "http://vault.example.com"}, "address", "insecure: true"},
		"a credential in it":       {map[string]string{"address": "https://a:b@vault.example.com"}, "address", "https://"},
		"neither true nor false":   {map[string]string{"address": at, "insecure": "maybe"}, "insecure", "leave insecure out"},
		"several addresses":        {map[string]string{"address": at, "addresses": at + ", https://b:8200, https://c"}, "", ""},
		"one of several is plain":  {map[string]string{"address": at, "addresses": "http://b:8200"}, "addresses", "insecure: true"},
		"plain and not, loopback":  {map[string]string{"address": at, "addresses": "http://127.0.0.1:8200"}, "addresses", "https:// for all"},
		"one of several is none":   {map[string]string{"address": at, "addresses": "b:8200"}, "addresses", "https://"},
		"the first of several bad": {map[string]string{"address": "b:8200", "addresses": at}, "address", "https://"},
		"several and no first":     {map[string]string{"addresses": at}, "address", "https://"},
		"with the API's path":      {map[string]string{"address": at + "/v1/"}, "address", "write " + at},
		"of the web page":          {map[string]string{"address": at + "/x/ui"}, "address", "write " + at + "/x"},
		"a path":                   {map[string]string{"address": at + "/vault"}, "", ""},
		"a proxy":                  {map[string]string{"address": at, "proxy": "http://proxy:3128"}, "", ""},
		"a socks proxy":            {map[string]string{"address": at, "proxy": "socks5://127.0.0.1:1080/"}, "", ""},
		"a proxy of TLS":           {map[string]string{"address": at, "proxy": "https://proxy:3128"}, "proxy", "http://HOST:PORT"},
		"a proxy with a password":  {map[string]string{"address": at, "proxy": "http://a:b@proxy:3128"}, "proxy", "without user"},
		"a proxy without a scheme": {map[string]string{"address": at, "proxy": "proxy:3128"}, "proxy", "http://HOST:PORT"},
		"a proxy to loopback":      {map[string]string{"address": "HTTP://127.0.0.1:8200", "proxy": "http://proxy:3128"}, "proxy", "leave the proxy out"},
		"a namespace of two lines": {map[string]string{"address": at, "namespace": "team\nX-A: b"}, "namespace", "line break"},
		"a namespace and a space":  {map[string]string{"address": at, "namespace": "team "}, "namespace", "line break"},
		"a namespace of umlauts":   {map[string]string{"address": at, "namespace": "größe/a b"}, "", ""},
		"half a pair":              {map[string]string{"address": at, "client_key": "b"}, "client_key", "set both"},
	} {
		got, err := Configure("prod", c.set)
		var bad BadSetting
		switch e := keyturn.AsError(err); {
		case c.bad == "" && (err != nil || got.Address != c.set["address"] || got.Mount != "prod"):
			t.Errorf("%s: %+v, %v", name, got, err)
		case c.bad != "" && (e == nil || e.Code != keyturn.Invalid || !errors.As(err, &bad) || string(bad) != c.bad || !strings.Contains(e.Hint, c.hint)):
			t.Errorf("%s: %v about %q", name, err, bad)
		}
	}
}
