package app

import (
	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/local"
	"github.com/keyturn/keyturn/internal/platform/vault"
	"github.com/keyturn/keyturn/internal/state"
)

// drivers is the table of platforms. A new platform is a folder below internal/platform
// and one word here. db is nil before the store is open: then no mount can be opened.
// Tests add a platform of their own.
var drivers = func(db *state.DB) driverTable {
	path := ""
	if db != nil {
		path = db.Stats().Path
	}
	return driverTable{local.Driver(db, path), vault.Driver}
}

type driverTable []platform.Driver

// named returns the driver of a platform.
func (t driverTable) named(platformName string) (platform.Driver, bool) {
	for _, d := range t {
		if d.Name == platformName {
			return d, true
		}
	}
	return platform.Driver{}, false
}

// Actions lists what only one platform can do, for each platform that has such actions.
// Commands and docs about them are made of the list.
func Actions() []keyturn.Administration {
	var out []keyturn.Administration
	for _, d := range drivers(nil) {
		if d.Actions == nil {
			continue
		}
		list := d.Actions()
		list.Variable = d.Variable
		out = append(out, list)
	}
	return out
}
