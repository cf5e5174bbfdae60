package cli_test

import (
	"fmt"
	"os"
	"regexp"

	"filippo.io/age"
)

// ageKey makes a key for backups: agekey IDENTITY RECIPIENTS writes its private and
// its public half.
func ageKey() {
	id, err := age.GenerateX25519Identity()
	if err == nil {
		err = os.WriteFile(os.Args[1], []byte("# made for a test\n"+id.String()+"\n"), 0o600)
	}
	if err == nil {
		err = os.WriteFile(os.Args[2], []byte("# ours\n\n"+id.Recipient().String()+"\n"), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// firstGroup returns the first group of a pattern's first match.
func firstGroup(pattern, text string) (string, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return "", err
	}
	m := re.FindStringSubmatch(text)
	if len(m) < 2 {
		return "", fmt.Errorf("%q is not in the output", pattern)
	}
	return m[1], nil
}
