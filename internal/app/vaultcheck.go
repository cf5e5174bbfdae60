package app

import (
	"errors"
	"strconv"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// checkMounts refuses, with file and line, settings of mounts that no platform of
// their kind has, and those that cannot be meant. Nothing is opened or asked.
func checkMounts(o *config.Operator) error {
	if o == nil {
		return nil
	}
	for _, m := range o.Mounts {
		if m.Platform != vaultPlatform {
			continue
		}
		_, err := configureVault(m)
		if err == nil {
			continue
		}
		e, line := *keyturn.AsError(err), m.Line
		var bad api.BadSetting
		for _, s := range m.Settings {
			if errors.As(err, &bad) && s.Key == string(bad) {
				line = s.Line
			}
		}
		e.Message = keyturn.Clean(o.File) + ":" + strconv.Itoa(line) + ": " + e.Message
		return &e
	}
	return nil
}

func configureVault(m config.Mount) (api.Config, error) {
	set := map[string]string{}
	for _, s := range m.Settings {
		set[s.Key] = s.Value
	}
	return api.Configure(m.Name, set)
}
