package wellformed

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/keyturn/keyturn"
)

// maxFiles is how many files one migration writes.
const maxFiles = 200

func migration(op keyturn.MigrateSecrets) error {
	switch {
	case op.Ref.Version() != "" || op.Ref.Field() != "":
		return keyturn.E(keyturn.Invalid, "a migration goes into a whole secret, as a new version", "write --to MOUNT/NAME")
	case len(op.Fields) == 0 && len(op.Files) == 0 || (len(op.Fields) == 0) != (op.Candidate == "") || (len(op.Files) == 0) != (op.Texts == ""):
		return keyturn.E(keyturn.Invalid, "a migration names its fields with their values, and its files with their texts", "")
	case !slices.IsSorted(op.Fields) || len(slices.Compact(slices.Clone(op.Fields))) != len(op.Fields):
		return keyturn.E(keyturn.Invalid, "the fields of a migration must be sorted", "")
	case len(op.Files) > maxFiles:
		return keyturn.E(keyturn.Invalid, fmt.Sprintf("a migration writes at most %d files", maxFiles), "name fewer at once")
	}
	seen := map[string]bool{}
	for _, f := range op.Files {
		if !filepath.IsAbs(f.Path) || filepath.Clean(f.Path) != f.Path || seen[f.Path] {
			return keyturn.E(keyturn.Invalid, "the files of a migration are absolute paths, each once", "")
		}
		if seen[f.Path] = true; f.New {
			continue
		}
		if mode, err := strconv.ParseUint(f.Mode, 8, 32); err != nil || mode > 0o7777 {
			return keyturn.E(keyturn.Invalid, "the mode of a migrated file is octal", "for instance 0644")
		}
	}
	return nil
}
