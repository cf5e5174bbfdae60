package app

import (
	"path/filepath"
	"slices"

	"github.com/keyturn/keyturn/internal/config"
)

// operatorFiles lists the files that no command writes onto but those that are for it:
// the operator's configuration, the other places where one would be read, and the files
// that it names: of its mounts, and those that the log is sent on to.
func operatorFiles(places config.Locations, o *config.Operator) []string {
	out := places.Files()
	if o == nil {
		return out
	}
	out = append(out, o.File)
	for _, m := range o.Mounts {
		for _, d := range drivers(nil) {
			for _, s := range m.Settings {
				if d.Name != m.Platform || !slices.Contains(d.Files, s.Key) || s.Value == "" {
					continue
				}
				path := s.Value
				if !filepath.IsAbs(path) {
					path = filepath.Join(filepath.Dir(o.File), path)
				}
				out = append(out, path)
			}
		}
	}
	for _, to := range o.Audit.Forward {
		if to.File != "" {
			out = append(out, to.File)
		}
	}
	return out
}
