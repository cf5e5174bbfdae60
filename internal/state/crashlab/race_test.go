//go:build race

package crashlab_test

// race tells that the race detector runs, with which SQLite takes some twenty times
// as long: samples are smaller then.
const race = true
