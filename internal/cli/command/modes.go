package command

import (
	"context"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/session"
)

// WhichMode asks a person what is to become of the fields that would vanish, and
// returns keyturn.Merge or keyturn.Replace; an error where they stop.
func (c *Command) WhichMode(ctx context.Context, e *keyturn.Error) (string, error) {
	c.Say("%s", keyturn.CleanLines(e.Message))
	for {
		answer, err := c.Ask(ctx, "Keep them (m, merge), let them go (r, replace), or stop (s)?")
		if err != nil {
			return "", err
		}
		switch strings.ToLower(answer) {
		case "m", "merge":
			return keyturn.Merge, nil
		case "r", "replace":
			return keyturn.Replace, nil
		case "s", "stop", "":
			return "", session.SaidNo()
		}
	}
}
