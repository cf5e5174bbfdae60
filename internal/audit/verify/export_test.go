package verify

// SetMaxOpen sets how many operations may be open at once, until the function that it
// returns is called.
func SetMaxOpen(n int) func() {
	was := maxOpen
	maxOpen = n
	return func() { maxOpen = was }
}
