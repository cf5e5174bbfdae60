package document

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/keyturn/keyturn"
)

func outside(name string) (keyturn.Value, bool) {
	v, ok := map[string]string{
		"HOME": "/home/anna", "EMPTY": "", "DOLLAR": "$HOME ${HOME}", "QUOTE": `"\n`,
		"REF": "kt://local/app#F", "BADREF": "kt://" + canary, "A": "outside",
	}[name]
	return keyturn.NewValue([]byte(v)), ok
}

func expanded(t *testing.T, text string) ([]string, []Notice, error) {
	t.Helper()
	vars, notices, err := parse(t, text).Expand(outside)
	var out []string
	for _, v := range vars {
		s := v.Name + "=" + string(v.Value.Reveal())
		if v.Ref != nil {
			s = v.Name + "@" + v.Ref.String()
		}
		out = append(out, s)
	}
	return out, notices, err
}

func TestExpand(t *testing.T) {
	for in, want := range map[string][]string{
		"A=1\nB=$A${A}x":                     {"A=1", "B=11x"},
		"B=$A":                               {"B=outside"},
		"A=1\nA=${A}2\nB=$A":                 {"A=12", "B=12"},
		"A=$A.":                              {"A=outside."},
		"B=$HOME/x\nC=\"$HOME\\n\"":          {"B=/home/anna/x", "C=/home/anna\n"},
		"B='$HOME'\nC=`${HOME}`":             {"B=$HOME", "C=${HOME}"},
		"B=\\$HOME\nC=\"\\$HOME \\\\$HOME\"": {"B=$HOME", "C=$HOME \\/home/anna"},
		"B=a\\b$HOME":                        {"B=a\\b/home/anna"},
		"B=pa$$word$\nC=\"$ $1 $-\"":         {"B=pa$$word$", "C=$ $1 $-"},
		"B=$NONE.\nC=${NONE}":                {"B=.", "C="},
		"B=${NONE:-x}${EMPTY:-y}${EMPTY-z}":  {"B=xy"},
		"B=${NONE-x}${HOME:-x}":              {"B=x/home/anna"},
		"B=${NONE:-${ALSO:-$HOME}}":          {"B=/home/anna"},
		"B=${HOME:+x}${NONE:+y}${EMPTY:+z}":  {"B=x"},
		"B=${EMPTY+x}${NONE+y}":              {"B=x"},
		"B=${HOME:?no}${EMPTY?no}":           {"B=/home/anna"},
		"B=${NONE:-}":                        {"B="},
		"B=\"${NONE:-a \\\" b}\"":            {`B=a " b`},
		"B=$DOLLAR$QUOTE":                    {`B=$HOME ${HOME}"\n`},
		"A=kt://local/x#y\nB=$A\nC=\"${A}\"": {"A@kt://local/x#y", "B@kt://local/x#y", "C@kt://local/x#y"},
		"B=${REF}\nC=$REF":                   {"B@kt://local/app#F", "C@kt://local/app#F"},
		"A=kt://local/x\nB=${A:+set}":        {"A@kt://local/x", "B=set"},
		"B=\"x\r\n$HOME\"":                   {"B=x\n/home/anna"},
		"spring.x=$HOME":                     {"spring.x=/home/anna"},
		"B=\"a\\tb\"\nC=$B":                  {"B=a\tb", "C=a\tb"},
	} {
		got, _, err := expanded(t, in)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%q: %v %s", in, err, d)
		}
	}
}

func TestExpandNotices(t *testing.T) {
	_, notices, err := expanded(t, "A=1\nB=pa$"+canary+"\nC=${NONE:-x}")
	if err != nil || len(notices) != 1 || !strings.HasPrefix(notices[0].String(), ".env:2: B uses a variable that is not set") ||
		strings.Contains(notices[0].String(), canary) {
		t.Errorf("%v %v", notices, err)
	}
}

func TestExpandErrors(t *testing.T) {
	deep := strings.Repeat("${N:-", maxDepth+2) + canary + strings.Repeat("}", maxDepth+2)
	for _, in := range []string{
		"A=${" + canary, "A=${" + canary + "!x}", "A=${}" + canary, "A=${9" + canary + "}", "A=${" + canary + ":}", "A=${" + canary + ":=x}",
		"A=${" + canary + ":?" + canary + "}", "A=${" + canary + "?}", "A=\"${NONE:-${" + canary + "}\"", "A=" + deep,
		"R=kt://local/x\nA=${R}/" + canary, "R=kt://local/x\nA=" + canary + "$R", "A=x${REF}" + canary, "A=${NONE:-$REF}" + canary,
		"A=$BADREF", "A=${NONE:-kt://local/x}", "A=${NONE:-kt://" + canary + "}", "S=kt:\nA=$S//local/x", "A=${REF:-x}" + canary,
	} {
		_, _, err := expanded(t, in)
		e := keyturn.AsError(err)
		if !errors.Is(err, keyturn.Invalid) || e.Hint == "" || !strings.Contains(e.Message, " A") && !strings.Contains(e.Message, ": A") {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if g := fmt.Sprint(e.Message, e.Hint, e.Err); strings.Contains(g, canary) {
			t.Errorf("%q is told in %s", in, g)
		}
	}
}

// Each line doubles the one before: the output is bounded, not the machine.
func TestExpandBomb(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	var b strings.Builder
	b.WriteString("A0=xxxxxxxxxx\n")
	for i := 1; i < 64; i++ {
		fmt.Fprintf(&b, "A%d=$A%d${A%d}\n", i, i-1, i-1)
	}
	if _, _, err := parse(t, b.String()).Expand(nil); !errors.Is(err, keyturn.Invalid) {
		t.Errorf("%v", err)
	}
	b.Reset()
	fmt.Fprintf(&b, "A=%s\n", strings.Repeat("x", 1<<20))
	for i := range 20_000 {
		fmt.Fprintf(&b, "B%d=$A\n", i)
	}
	if _, _, err := parse(t, b.String()).Expand(nil); !errors.Is(err, keyturn.Invalid) {
		t.Errorf("%v", err)
	}
	open := "A=" + strings.Repeat("${", 500_000)
	if _, _, err := parse(t, open).Expand(nil); !errors.Is(err, keyturn.Invalid) {
		t.Errorf("%v", err)
	}
}

// Where a shell reads a file like we do, it must read the same.
func TestLikeAShell(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh here")
	}
	for _, value := range []string{
		"plain", "'a b # $HOME \\n'", `"a b"`, `"x\$y\\z\"w"`, "\"two\nlines\"", "'two\nlines'", "$H/x", "\"${H}x\"", "a#b", "",
		"${NONE:-d}", "${H:+yes}", "${NONE-d}x", "\\$H", "\"${NONE:-$H}\"", "x # comment", "'a' # comment",
	} {
		text := "H=home\nA=" + value + "\n"
		cmd := exec.Command(sh, "-c", text+`printf %s "$A"`)
		cmd.Env = []string{}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		vars, _, err := parse(t, text).Expand(nil)
		if err != nil || string(vars[1].Value.Reveal()) != string(out) {
			t.Errorf("%q: %q, a shell reads %q (%v)", value, vars[1].Value.Reveal(), out, err)
		}
	}
}
