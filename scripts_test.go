package keyturn_test

import (
	"testing"

	"github.com/keyturn/keyturn"
)

func TestMixedScripts(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "myapp/prod-1": "", "café/naïve": "", "пароль/база-1": "", "κωδικός": "", "データベース/db": "", "データdb": "", "数据库db2": "", "비밀db": "",
		"ガーデン": "", "e\u0301t\u00e9": "", "пароль/password": "", "a·b": "", "סוד": "", "12/3.4": "",
		"p\u0430ypal":         "p\u0430‹U+0430›ypal",
		"local/pr\u043ed/db":  "local/pr\u043e‹U+043E›d/db",
		"\u0440rod":           "\u0440r‹U+0072›o‹U+006F›d‹U+0064›",
		"\u03bfne":            "\u03bfn‹U+006E›e‹U+0065›",
		"\u0430\u03b1":        "\u0430\u03b1‹U+03B1›",
		"db\U0001d41a":        "db\U0001d41a‹U+1D41A›",
		"db\uff41":            "db\uff41‹U+FF41›",
		"x\u13a0":             "x\u13a0‹U+13A0›",
		"한カ":                  "한カ‹U+30AB›",
		"ok/p\u0430/ok":       "ok/p\u0430‹U+0430›/ok",
		"\u2c80a":             "\u2c80a‹U+0061›",
		"\U00010900b/deseret": "\U00010900b‹U+0062›/deseret",
	} {
		marked, mixed := keyturn.MixedScripts(in)
		if mixed != (want != "") || mixed && marked != want || !mixed && marked != in {
			t.Errorf("%q: %q, %v; want %q", in, marked, mixed, want)
		}
	}
	ref, err := keyturn.NewRef("local", "a/p\u0430")
	if err != nil {
		t.Fatal(err)
	}
	if marked, mixed := ref.MixedScripts(); !mixed || marked != "local/a/p\u0430‹U+0430›" {
		t.Errorf("%q, %v", marked, mixed)
	}
	if ref, err = keyturn.MustRef("local/a").WithField("\u0455ecret"); err != nil {
		t.Fatal(err)
	}
	if marked, mixed := ref.MixedScripts(); !mixed || marked != "local/a#\u0455e‹U+0065›c‹U+0063›r‹U+0072›e‹U+0065›t‹U+0074›" {
		t.Errorf("%q, %v", marked, mixed)
	}
}
