//go:build !race

package crashlab_test

const race = false
