package durable

// Simulate has the steps done by another system until restore is called.
func Simulate(f steps) (restore func()) {
	was := system
	system = f
	return func() { system = was }
}

// Claim is claim.
var Claim = claim
