package spec

import (
	"maps"

	"github.com/keyturn/keyturn"
)

// CanLabel refuses a change of labels that no look at the platform could allow: those
// in set are put, those in unset taken away, which takes a merge.
func (s Spec) CanLabel(ref keyturn.Ref, merge bool, set map[string]string, unset []string) error {
	switch {
	case len(unset) > 0 && !merge:
		return keyturn.E(keyturn.Invalid, "a label is taken away from those that are there", "say --merge; without it --label names all of them").About(ref)
	case len(unset) > 0 && s.Labels.Max == 0:
		return s.CheckLabels(ref, map[string]string{unset[0]: ""})
	}
	for _, k := range unset {
		if _, both := set[k]; both || k == "" {
			return keyturn.E(keyturn.Invalid, "the label '"+keyturn.Clean(k)+"' is both set and taken away, or has no name", "give it once").About(ref)
		}
	}
	return s.CheckLabels(ref, set)
}

// Labelled are the labels after a merge with those that are there now.
func Labelled(now, set map[string]string, unset []string) map[string]string {
	after := maps.Clone(now)
	if after == nil {
		after = map[string]string{}
	}
	maps.Copy(after, set)
	for _, k := range unset {
		delete(after, k)
	}
	return after
}
