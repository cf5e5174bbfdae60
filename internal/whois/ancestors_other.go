//go:build !linux && !darwin && !windows

package whois

import "errors"

// ancestors cannot be read here: the environment alone decides, and the actor's
// Detail says so.
func ancestors() ([]Process, error) { return nil, errors.ErrUnsupported }
