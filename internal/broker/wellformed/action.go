package wellformed

import (
	"path/filepath"
	"regexp"

	"github.com/keyturn/keyturn"
)

// actionName are words, which are also segments of the path that rules decide about.
var actionName = regexp.MustCompile(`^[a-z][a-z-]*( [a-z][a-z-]*)*$`)

// maxWrap is the most seconds that a wrapped secret waits.
const maxWrap = 24 * 60 * 60

// action refuses what no platform could do. Which actions there are, and what each
// takes, Mount knows.
func action(op keyturn.PlatformAction) error {
	if err := mount(op.Mount); err != nil {
		return err
	}
	wrong := func(why, hint string) error { return keyturn.E(keyturn.Invalid, why, hint) }
	ways := 0
	for _, is := range []bool{!op.To.IsZero(), op.Out != "", op.Wrap != 0} {
		if is {
			ways++
		}
	}
	switch {
	case len(op.Action) > 100 || !actionName.MatchString(op.Action):
		return wrong("'"+keyturn.Clean(op.Action)+"' is not the name of an action", "")
	case !op.On.IsZero() && op.On.Mount() != op.Mount:
		return wrong("an action is about its own mount", "name a secret of "+op.Mount)
	case ways > 1:
		return wrong("a secret goes to one place", "name one of --to, --to-file and --wrap")
	case op.To.Version() != "":
		return wrong("a new version is made: the reference cannot name one", "leave ?version= out")
	case op.Out != "" && !filepath.IsAbs(op.Out):
		return wrong("the file for a secret is named by its whole path", "")
	case op.Wrap < 0 || op.Wrap > maxWrap:
		return wrong("a wrapped secret waits from a second to a day", "say --wrap 60s")
	}
	before := ""
	for _, u := range op.Uses {
		if u.Optional || u.Name <= before {
			return wrong("the secrets that an action uses are named once each, sorted", "")
		}
		before = u.Name
	}
	return nil
}
