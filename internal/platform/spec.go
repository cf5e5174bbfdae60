package platform

import "github.com/keyturn/keyturn/internal/platform/spec"

// What a platform states of itself; see package spec.
type (
	// Spec states what no signature can: the limits and habits of a platform.
	Spec = spec.Spec
	// Rule tells which names are legal.
	Rule = spec.Rule
	// LabelLimits bound the labels of a secret.
	LabelLimits = spec.LabelLimits
	// Recovery tells whether and how long a delete can be undone.
	Recovery = spec.Recovery
)

// Blob is the one field of every secret on a platform without fields.
const Blob = spec.Blob

// The kinds of recovery.
const (
	NoRecovery      = spec.NoRecovery      // there is no delete that can be undone
	RecoveryWindow  = spec.RecoveryWindow  // until the time that Delete tells
	RecoveryForever = spec.RecoveryForever // until it is destroyed
)

// IsNumber reports whether v is spelled as a platform with NumericVersions spells its
// versions.
func IsNumber(v string) bool { return spec.IsNumber(v) }
