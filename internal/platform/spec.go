package platform

import (
	"strconv"

	"github.com/keyturn/keyturn"
)

// Blob is the one field of every secret on a platform without fields.
const Blob = "value"

// Spec states the limits and habits of a platform that no method signature can
// express. Package platformtest proves every line of a Spec. A limit of 0 is no limit.
type Spec struct {
	// Platform is the kind of platform: "local", "vault", "aws", "azure", "gcp",
	// "kubernetes".
	Platform string

	// Remote is set for a platform behind a network: a call that fails with
	// Unavailable is retried.
	Remote bool

	// Names are the legal names of secrets, below the mount.
	Names Rule
	// MaxName is the most bytes of a name: a listing looks into no folder whose name is
	// longer.
	MaxName int
	// FieldNames are the legal names of fields.
	FieldNames Rule

	// Fields is set where a secret has named fields. Otherwise a secret is one blob,
	// and its only field is Blob.
	Fields bool
	// Text is set where values must be text: valid UTF-8.
	Text bool
	// MaxFields is the most fields of a secret.
	MaxFields int
	// MaxValue is the most bytes of one field's value.
	MaxValue int
	// MaxSecret is the most bytes of all values of a secret together.
	MaxSecret int

	// FieldNamesNeedValue is set where the names of fields cannot be known without
	// reading the value: Describe, List and Versions return nil for them. Otherwise
	// Describe returns the names, and List and Versions may.
	FieldNamesNeedValue bool

	// CompareAndSet is set where the platform itself enforces New.IfVersion against
	// any number of writers. It is never imitated by a read and then a write.
	CompareAndSet bool

	// OrderedVersions is set where Versions returns the order of the puts.
	OrderedVersions bool
	// NumericVersions is set where versions are counted: "1", "2", …, written
	// without leading zeros, each larger than those before.
	NumericVersions bool

	// Recovery says whether and for how long a delete can be undone.
	Recovery Recovery
	// RestoreVersion is set where a version other than the newest can be restored by
	// itself.
	RestoreVersion bool
	// DestroyVersion is set where versions can be destroyed one by one. Otherwise only
	// the whole secret can.
	DestroyVersion bool

	// EventuallyConsistent is set where a read may return the state before a put or a
	// delete that has already returned.
	EventuallyConsistent bool

	// Labels are the limits of labels; zero where the platform keeps none.
	Labels LabelLimits
	// Public is set where fields can be marked as not secret.
	Public bool
	// Expires is set where the platform keeps an expiry.
	Expires bool
}

// Recovery says whether and for how long a delete can be undone.
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
	// NotEmpty is set where a label's value must have at least one byte.
	NotEmpty bool
	// OfSecret is set where labels belong to the secret and not to each version: a put
	// without labels leaves them alone, whatever happens to versions.
	OfSecret bool
}

// Rule says which names are legal. The zero Rule accepts every name.
type Rule struct {
	// Allowed tells people which names are legal: "1 to 512 bytes, …".
	Allowed string
	// Check returns "" for a legal name, else the problem as text to follow a
	// colon: "it ends in a space". It never repairs a name.
	Check func(name string) string
}

// Problem returns "" where the rule accepts name, else what is wrong with it.
func (r Rule) Problem(name string) string {
	if r.Check == nil {
		return ""
	}
	return r.Check(name)
}

// IsNumber reports whether v is a version as platforms with NumericVersions spell
// it: a decimal number from 1, without leading zeros or sign.
func IsNumber(v string) bool {
	n, err := strconv.Atoi(v)
	return err == nil && n > 0 && strconv.Itoa(n) == v
}

// CheckValues refuses, as Invalid or Unsupported, fields and values beyond the
// limits. Its errors name fields and limits, never the size of a value.
func (s Spec) CheckValues(ref keyturn.Ref, values map[string]keyturn.Value) error {
	return s.checkMerged(ref, values, values)
}

// checkMerged is CheckValues of a version of which only the fields of own are the
// caller's. The sizes of the others count in coarse steps, or a caller could find out how
// long they are: by how much fits beside them.
func (s Spec) checkMerged(ref keyturn.Ref, values, own map[string]keyturn.Value) error {
	fields := sorted(values)
	if len(fields) == 0 {
		return keyturn.E(keyturn.Invalid, "a secret needs at least one field",
			"write "+shell(ref)+" FIELD=VALUE, or FIELD alone to be asked").About(ref)
	}
	if s.MaxFields > 0 && len(fields) > s.MaxFields {
		return keyturn.E(keyturn.Invalid, shown(ref)+" would have more than "+number(s.MaxFields)+" fields",
			s.Platform+" keeps at most "+number(s.MaxFields)+" in one secret: use several secrets").About(ref)
	}
	total, others := 0, 0
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
			return keyturn.E(keyturn.Invalid, "the value of field '"+keyturn.Clean(f)+"' is larger than "+size(s.MaxValue),
				s.Platform+" keeps at most "+size(s.MaxValue)+" in one field").About(ref)
		}
		if _, mine := own[f]; mine {
			total += n
		} else {
			others += n
		}
	}
	step := max(1, s.MaxSecret/16)
	total += (others + step - 1) / step * step
	if s.MaxSecret > 0 && total > s.MaxSecret {
		return keyturn.E(keyturn.Invalid, "the fields of "+shown(ref)+" are together larger than "+size(s.MaxSecret),
			s.Platform+" keeps at most "+size(s.MaxSecret)+" in one secret: use several secrets").About(ref)
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

// CheckLabels refuses labels beyond the limits. labels are all labels of a secret.
func (s Spec) CheckLabels(ref keyturn.Ref, labels map[string]string) error {
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

// CheckVersion refuses, as Invalid, a version that this platform can never have made.
func (s Spec) CheckVersion(ref keyturn.Ref, v string) error {
	if s.NumericVersions && !IsNumber(v) {
		return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(v)+"' is not a version: "+s.Platform+" counts 1, 2, 3, …",
			"'keyturn history "+shell(ref)+"' lists the versions").About(ref)
	}
	return nil
}

// number is n for people: "10,000".
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func size(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return number(n>>20) + " MiB"
	case n >= 1<<10 && n%(1<<10) == 0:
		return number(n>>10) + " KiB"
	}
	return number(n) + " bytes"
}
