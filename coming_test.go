package keyturn_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/world"
)

// TestComingFromPage: what docs/coming-from.md says to type exists, each command
// with each of its flags.
func TestComingFromPage(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	m := world.New(t)
	code := regexp.MustCompile("`(keyturn [^`]+)`")
	helps := map[string]string{}
	count := 0
	for i, line := range readLines(t, "docs/coming-from.md") {
		for _, found := range code.FindAllStringSubmatch(line, -1) {
			count++
			words := strings.Fields(found[1])[1:]
			command := words[:1]
			if words[0] == "audit" {
				command = words[:2]
			}
			name := strings.Join(command, " ")
			if helps[name] == "" {
				helps[name] = m.Must("", append(slices.Clone(command), "--help")...).Stdout
			}
			for _, w := range words[len(command):] {
				if w == "--" {
					break
				}
				if flag, _, _ := strings.Cut(w, "="); strings.HasPrefix(w, "-") && !regexp.MustCompile(`(^|[ ,])`+regexp.QuoteMeta(flag)+`[ ,=\[]`).MatchString(helps[name]) {
					t.Errorf("docs/coming-from.md:%d: 'keyturn %s' has no flag %s", i+1, name, flag)
				}
			}
		}
	}
	for _, tool := range []string{"op", "sops", "Doppler", "vals", "chamber", "dotenv"} {
		if !strings.Contains(strings.Join(readLines(t, "docs/coming-from.md"), ""), tool) {
			t.Errorf("docs/coming-from.md does not speak of %s", tool)
		}
	}
	if count < 25 {
		t.Errorf("only %d commands found", count)
	}
}
