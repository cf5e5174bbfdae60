package broker

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// What of a secret fits on another platform. Nothing here asks a platform: it is given
// a Spec, an Info and values.

// lost lists in words what of a version a platform with the Spec to cannot keep; it is
// empty where the platform keeps everything. It reads no value. It names no label and
// no field, since the caller who copies may not be allowed to know them. Versions and
// history are never copied and are not listed.
func lost(from keyturn.Info, to platform.Spec) []string {
	var out []string
	if !to.Fields && from.Fields != nil && !slices.Equal(from.Fields, []string{platform.Blob}) {
		out = append(out, "its fields as fields: "+to.Platform+" keeps one value, so they become one JSON object")
	}
	if kept := keptLabels(from.Labels, to.Labels); len(kept) < len(from.Labels) {
		what := "its labels"
		if len(kept) > 0 {
			what = strconv.Itoa(len(from.Labels)-len(kept)) + " of its labels"
		}
		out = append(out, what)
	}
	if len(from.Public) > 0 && !to.Public {
		out = append(out, "that some of its fields are public: there all are secret")
	}
	if !from.Expires.IsZero() && !to.Expires {
		out = append(out, "when it should be replaced")
	}
	return out
}

// keptLabels returns the labels that a platform with these limits can keep; none where
// there are too many.
func keptLabels(have map[string]string, l platform.LabelLimits) map[string]string {
	out := map[string]string{}
	for k, v := range have {
		if k != "" && len(k) <= l.Key && len(v) <= l.Value && keyturn.Clean(k) == k && keyturn.Clean(v) == v {
			out[k] = v
		}
	}
	if len(out) > l.Max {
		return nil
	}
	return out
}

// fits refuses, before any value is read, fields that the platform with the Spec to
// cannot name, or too many of them. Where the fields are not known it refuses nothing.
func fits(from keyturn.Info, ref keyturn.Ref, to platform.Spec) error {
	if !to.Fields {
		return nil
	}
	for _, f := range from.Fields {
		if why := to.FieldNames.Problem(f); why != "" {
			return keyturn.E(keyturn.Invalid, "a field cannot have the same name on "+to.Platform+": "+keyturn.Clean(why),
				strings.TrimSpace("copy it by itself, to another name: SRC#FIELD DST#FIELD\n"+to.FieldNames.Allowed)).About(ref)
		}
	}
	if to.MaxFields > 0 && len(from.Fields) > to.MaxFields {
		return keyturn.E(keyturn.Invalid, "it has more fields than "+to.Platform+" keeps in one secret", "copy them to several secrets").About(ref)
	}
	return nil
}

// wholeSecret returns the write of a whole version to a platform with this Spec. now is
// what the platform holds, zero for nothing. A platform that keeps one value gets the
// field "value" byte for byte, or all fields as one JSON object; it is Unsupported where
// they are not text.
func wholeSecret(from keyturn.Secret, now keyturn.Info, spec platform.Spec, mode string) (platform.Put, error) {
	put := platform.Put{Values: from.Values, Given: from.Given, Typed: from.Typed, Mode: mode}
	if !spec.Fields {
		v, err := packFields(from)
		if err != nil {
			return put, err
		}
		put.Values, put.Given, put.Typed = map[string]keyturn.Value{platform.Blob: v}, packedGiven(from), nil
	}
	if spec.Labels.Max > 0 {
		if kept := keptLabels(from.Labels, spec.Labels); len(kept) > 0 {
			put.Labels = kept // beside those that are there, under a merge
		}
	}
	if spec.Public {
		put.Public = publicFields(from, now, mode)
	}
	if spec.Expires {
		put.Expires = from.Expires
		if mode == keyturn.Merge && put.Expires.IsZero() {
			put.Expires = now.Expires
		}
	}
	return put, nil
}

// packedGiven is Info.Given of all fields in one: given where one of them was, and not
// known where that is not known of one.
func packedGiven(from keyturn.Secret) map[string]bool {
	known, given := true, false
	for f := range from.Values {
		g, told := from.Given[f]
		known, given = known && told, given || g
	}
	if !known && !given {
		return nil
	}
	return map[string]bool{platform.Blob: given}
}

// publicFields returns the fields of the new version that are not secret: those of the
// copied version, and in a merge those that stay as they are.
func publicFields(from keyturn.Secret, now keyturn.Info, mode string) []string {
	out := []string{} // not nil: marks of what is there now are not for new values
	for f := range from.Values {
		if slices.Contains(from.Public, f) {
			out = append(out, f)
		}
	}
	if mode == keyturn.Merge {
		for _, f := range now.Public {
			if _, anew := from.Values[f]; !anew {
				out = append(out, f)
			}
		}
	}
	slices.Sort(out)
	return out
}

// oneField returns the write of one value to one field; the other fields stay.
func oneField(v keyturn.Value, field string, now keyturn.Info, spec platform.Spec) platform.Put {
	put := platform.Put{Values: map[string]keyturn.Value{field: v}, Mode: keyturn.Merge}
	if spec.Expires {
		put.Expires = now.Expires
	}
	return put
}

// packFields makes one value of all fields: the field "value" where it is the only one,
// else a JSON object with sorted keys, which keeps types.
func packFields(from keyturn.Secret) (keyturn.Value, error) {
	if v, ok := from.Values[platform.Blob]; ok && len(from.Values) == 1 {
		return v, nil
	}
	members := map[string]any{}
	for f, v := range from.Values {
		b := v.Reveal()
		if !utf8.Valid(b) {
			return keyturn.Value{}, keyturn.E(keyturn.Unsupported, "a field that is not text cannot be part of a JSON object",
				"copy it by itself, byte for byte: SRC#FIELD DST#"+platform.Blob)
		}
		members[f] = string(b)
		if slices.Contains(from.Typed, f) {
			members[f] = json.RawMessage(b)
		}
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(members); err != nil {
		return keyturn.Value{}, keyturn.E(keyturn.Internal, "the fields have no JSON form", "")
	}
	return keyturn.NewValue(bytes.TrimSuffix(out.Bytes(), []byte("\n"))), nil
}

// compareFields reports of each field of two versions whether both hold the same bytes,
// in time that depends on lengths only. The fields are sorted.
func compareFields(a, b map[string]keyturn.Value) []keyturn.FieldDifference {
	all := maps.Clone(a)
	maps.Copy(all, b)
	out := make([]keyturn.FieldDifference, 0, len(all))
	for _, f := range slices.Sorted(maps.Keys(all)) {
		v, inA := a[f]
		w, inB := b[f]
		d := keyturn.FieldDifference{Field: f, Is: keyturn.Different}
		switch {
		case !inB:
			d.Is = keyturn.OnlyA
		case !inA:
			d.Is = keyturn.OnlyB
		case v.Equal(w):
			d.Is = keyturn.Same
		}
		out = append(out, d)
	}
	return out
}
