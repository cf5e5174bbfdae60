package platform

import (
	"strconv"

	"github.com/keyturn/keyturn"
)

// Blob is the one field of every secret on a platform without fields.
const Blob = "value"

// Spec states what no signature can: the limits and habits of a platform.
// Package platformtest proves every line of it. A limit of 0 is no limit.
type Spec struct {
	// Platform is the kind of platform: "local", "vault", "aws", "azure", "gcp",
	// "kubernetes".
	Platform string

	// Remote tells that the platform is behind a network: what fails with
	// Unavailable is tried again.
	Remote bool

	// Names are the legal names of secrets, below the mount.
	Names Rule
	// FieldNames are the legal names of fields.
	FieldNames Rule

	// Fields tells that a secret has named fields; else it is one blob, and its
	// only field is Blob.
	Fields bool
	// Text tells that values are text: valid UTF-8.
	Text bool
	// MaxFields is the most fields of a secret.
	MaxFields int
	// MaxValue is the most bytes of one field's value.
	MaxValue int
	// MaxSecret is the most bytes of all values of a secret together.
	MaxSecret int

	// FieldNamesNeedValue tells that the names of fields are not known without
	// reading the value: Describe, List and Versions leave them nil. Else Describe
	// names them, and List and Versions may.
	FieldNamesNeedValue bool

	// CompareAndSet tells that the platform itself holds New.IfVersion, against
	// any number of writers. It is never imitated by a read and a write.
	CompareAndSet bool

	// OrderedVersions tells that Versions is in the order of the puts.
	OrderedVersions bool
	// NumericVersions tells that versions are counted: "1", "2", …, written
	// without leading zeros, each larger than those before.
	NumericVersions bool

	// Recovery tells whether and how long a delete can be undone.
	Recovery Recovery
	// RestoreVersion tells that a version that is not the newest can be restored
	// by itself.
	RestoreVersion bool
	// DestroyVersion tells that versions can be destroyed one by one; else only the
	// whole secret.
	DestroyVersion bool

	// EventuallyConsistent tells that a read may show what was before a put or a
	// delete that has returned.
	EventuallyConsistent bool

	// Labels are the limits of labels; zero where labels are not kept.
	Labels LabelLimits
	// Public tells that fields can be marked as not secret.
	Public bool
	// Expires tells that an expiry is kept.
	Expires bool
}

// Recovery tells whether and how long a delete can be undone.
type Recovery string

// The kinds of recovery.
const (
	NoRecovery      Recovery = ""        // there is no delete that can be undone
	RecoveryWindow  Recovery = "window"  // until the time that Delete tells
	RecoveryForever Recovery = "forever" // until it is destroyed
)

// LabelLimits bound the labels of a secret.
type LabelLimits struct {
	Max   int // number of labels; 0: the platform keeps none
	Key   int // bytes of a label's name
	Value int // bytes of a label's value
	// NotEmpty tells that a label needs a value of at least one byte.
	NotEmpty bool
	// OfSecret tells that labels belong to the secret and not to each version: a put
	// that names none leaves them alone, whatever becomes of versions.
	OfSecret bool
}

// Rule tells which names are legal. The zero Rule takes every name.
type Rule struct {
	// Allowed says to people what is legal: "1 to 512 bytes, …".
	Allowed string
	// Check returns "" for a legal name, else what is wrong with it, to stand
	// after a colon: "it ends in a space". It never repairs.
	Check func(name string) string
}

// Problem returns "" where the rule takes name, else what is wrong with it.
func (r Rule) Problem(name string) string {
	if r.Check == nil {
		return ""
	}
	return r.Check(name)
}

// IsNumber reports whether v is spelled as a platform with NumericVersions
// spells its versions: a decimal number from 1 without leading zeros or sign.
func IsNumber(v string) bool {
	n, err := strconv.Atoi(v)
	return err == nil && n > 0 && strconv.Itoa(n) == v
}

// checkValues holds the limits on fields and values. What it says names fields
// and limits, never the size of a value.
func (s Spec) checkValues(ref keyturn.Ref, values map[string]keyturn.Value) error {
	fields := sorted(values)
	if len(fields) == 0 {
		return keyturn.E(keyturn.Invalid, "a secret needs at least one field",
			"write "+shell(ref)+" FIELD=VALUE, or FIELD alone to be asked").About(ref)
	}
	if s.MaxFields > 0 && len(fields) > s.MaxFields {
		return keyturn.E(keyturn.Invalid, shown(ref)+" would have more than "+number(s.MaxFields)+" fields",
			s.Platform+" keeps at most "+number(s.MaxFields)+" in one secret: use several secrets").About(ref)
	}
	total := 0
	for _, f := range fields {
		if err := s.checkField(ref, f); err != nil {
			return err
		}
		if s.Text && !values[f].IsText() {
			return keyturn.E(keyturn.Invalid, "the value of field '"+keyturn.Clean(f)+"' is not text, and "+s.Platform+" keeps text only",
				"encode it, for instance with base64, and put that").About(ref)
		}
		n := values[f].Len()
		if s.MaxValue > 0 && n > s.MaxValue {
			return keyturn.E(keyturn.Invalid, "the value of field '"+keyturn.Clean(f)+"' is larger than "+bytes(s.MaxValue),
				s.Platform+" keeps at most "+bytes(s.MaxValue)+" in one field").About(ref)
		}
		total += n
	}
	if s.MaxSecret > 0 && total > s.MaxSecret {
		return keyturn.E(keyturn.Invalid, "the fields of "+shown(ref)+" are together larger than "+bytes(s.MaxSecret),
			s.Platform+" keeps at most "+bytes(s.MaxSecret)+" in one secret: use several secrets").About(ref)
	}
	return nil
}

func (s Spec) checkField(ref keyturn.Ref, f string) error {
	if !s.Fields && f != Blob {
		return keyturn.E(keyturn.Unsupported, s.Platform+" keeps one value in a secret, and has no field '"+keyturn.Clean(f)+"'",
			"put the field '"+Blob+"', or one secret for each field").About(ref)
	}
	why := s.FieldNames.Problem(f)
	if _, err := ref.WithField(f); err != nil && why == "" {
		why = err.Error()
	}
	if f == "" {
		why = "it is empty"
	}
	if why != "" {
		return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(f)+"' cannot be a field on "+s.Platform+": "+keyturn.Clean(why),
			s.FieldNames.Allowed).About(ref)
	}
	return nil
}

func (s Spec) checkLabels(ref keyturn.Ref, labels map[string]string) error {
	if len(labels) == 0 {
		return nil
	}
	l := s.Labels
	if l.Max == 0 {
		return keyturn.E(keyturn.Unsupported, s.Platform+" keeps no labels", "leave --label out").About(ref)
	}
	bad := func(what string) error {
		return keyturn.E(keyturn.Invalid, what, s.Platform+" keeps at most "+number(l.Max)+" labels, with names of up to "+
			number(l.Key)+" and values of up to "+number(l.Value)+" bytes, without control or invisible characters").About(ref)
	}
	if len(labels) > l.Max {
		return bad(shown(ref) + " would have more than " + number(l.Max) + " labels")
	}
	for _, k := range sorted(labels) {
		v := labels[k]
		switch {
		case k == "":
			return bad("a label has no name")
		case keyturn.Clean(k) != k || keyturn.Clean(v) != v:
			return bad("the label '" + keyturn.Clean(k) + "' has control or invisible characters")
		case len(k) > l.Key:
			return bad("the name of the label '" + k + "' is too long")
		case v == "" && l.NotEmpty:
			return bad("the label '" + k + "' has no value")
		case len(v) > l.Value:
			return bad("the value of the label '" + k + "' is too long")
		}
	}
	return nil
}

// checkVersion refuses a version that this platform can never have made.
func (s Spec) checkVersion(ref keyturn.Ref, v string) error {
	if s.NumericVersions && !IsNumber(v) {
		return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(v)+"' is not a version: "+s.Platform+" counts 1, 2, 3, …",
			"'keyturn history "+shell(ref)+"' lists the versions").About(ref)
	}
	return nil
}
