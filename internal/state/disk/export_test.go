package disk

// Simulate has the steps done by another system until restore is called.
func Simulate(f files) (restore func()) {
	was := system
	system = f
	return func() { system = was }
}
