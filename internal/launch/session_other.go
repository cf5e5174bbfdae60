//go:build !unix

package launch

// There are no sessions; the child shares our console (see the package comment).
func (w *wiring) detach(*Command) {}

func (s *signals) takeStop() {}

// The system gives the child no handles but those of its streams.
func closeOnExec() {}
