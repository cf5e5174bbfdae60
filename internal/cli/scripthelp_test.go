package cli_test

import (
	"fmt"
	"regexp"
)

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
