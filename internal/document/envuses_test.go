package document

import (
	"slices"
	"strings"
	"testing"
)

func TestUses(t *testing.T) {
	for line, want := range map[string]string{
		`A=plain`:               "",
		`A='$B'`:                "",
		`A=$B`:                  "B",
		`A="${B}${C}$B"`:        "B C",
		`A=${B:-${C:+$D}}`:      "B C D",
		`A=$$B`:                 "",
		`A=\$B`:                 "",
		`A="\$B \\$C"`:          "C",
		`A=\\$B`:                "",
		`A=5$ $1 $`:             "",
		`A="x${B?needed $C}"`:   "B C",
		`A=kt://local/app#$B`:   "", // refused by ParseEnv
		"A=`$B`":                "",
		`A="${B`:                "B",
		`A="$B_C-$D.e"`:         "B_C D",
		`A=pre$B`:               "B",
		`A="${B:?$$C}"`:         "B",
		`A="kt://local/app#\$"`: "",
	} {
		f, err := ParseEnv(".env", []byte(strings.TrimSuffix(line, "\n")+closeQuote(line)))
		if err != nil {
			if want != "" {
				t.Errorf("%s: %v", line, err)
			}
			continue
		}
		if got := strings.Join(f.Entries[0].Uses(), " "); got != want {
			t.Errorf("%s uses %q, want %q", line, got, want)
		}
	}
}

// closeQuote closes a quote that was left open on purpose.
func closeQuote(line string) string {
	if strings.Count(line, `"`)%2 == 1 {
		return `"`
	}
	return ""
}

func TestAlias(t *testing.T) {
	for line, want := range map[string]string{
		`A=$B`: "B", `A=${B}`: "B", `A="$B"`: "B", `A="${B}"`: "B",
		`A='$B'`: "", `A=${B:-}`: "", `A=$B$C`: "", `A=x$B`: "", `A=$Bx.`: "", `A=B`: "", `A=`: "", `A=\$B`: "",
	} {
		f, err := ParseEnv(".env", []byte(line))
		if err != nil {
			t.Fatal(err)
		}
		got, ok := f.Entries[0].Alias()
		if !ok {
			got = ""
		}
		if got != want {
			t.Errorf("%s is another name of %q, want %q", line, got, want)
		}
	}
}

// TestEach: every entry as it is in its place, and the error of each that has one.
func TestEach(t *testing.T) {
	f, err := ParseEnv(".env", []byte("A=1\nB=$A\nA=2\nC=${A}${X:?needed}\nD=$A\nE=x${F\nF=kt://local/a#b\nG=x$F\nH=$F\n"))
	if err != nil {
		t.Fatal(err)
	}
	vars, errs := f.Each(nil)
	var got []string
	for i, v := range vars {
		if errs[i] != nil {
			got = append(got, v.Name+" fails")
			continue
		}
		got = append(got, v.Name+"="+string(v.Value.Reveal()))
	}
	want := []string{"A=1", "B=1", "A=2", "C fails", "D=2", "E fails", "F=kt://local/a#b", "G fails", "H=kt://local/a#b"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if vars[8].Ref == nil || vars[8].Ref.String() != "kt://local/a#b" {
		t.Error("another name of a reference is no reference")
	}
}

func TestAssigns(t *testing.T) {
	for text, want := range map[string]bool{
		"A=b": true, "# c\n\n  export A = b\n": true, "\uFEFFA=": true, "a.b-c=d": true,
		"": false, "a: b\n": false, "{\"a\":1}": false, "a b=c": false, "# A=b": false, "=b": false, "1A=b": false,
	} {
		if Assigns([]byte(text)) != want {
			t.Errorf("Assigns(%q) is not %v", text, want)
		}
	}
}
