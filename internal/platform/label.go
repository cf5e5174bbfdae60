package platform

import (
	"context"
	"maps"

	"github.com/keyturn/keyturn"
)

// Relabels reports whether put changes labels only, on a platform where labels belong
// to the secret. Such a put makes no version, and cannot expect one.
func (m *Mount) Relabels(put Put) bool {
	return m.able.labeler != nil && m.spec.Labels.OfSecret && put.Mode == keyturn.Merge &&
		len(put.Values)+len(put.Public) == 0 && put.Expires.IsZero() && len(put.Labels)+len(put.Unlabel) > 0
}

// relabel changes the labels of a secret. Labels that put does not name keep changes
// made meanwhile.
func (m *Mount) relabel(ctx context.Context, ref keyturn.Ref, put Put) (Change, error) {
	if put.IfVersion != "" {
		return Change{}, keyturn.E(keyturn.Unsupported, m.spec.Platform+" keeps labels with the secret, and changes them whatever its version is",
			"leave --if-version out").About(ref)
	}
	b, err := m.base(ctx, ref, keyturn.Replace)
	if err != nil {
		return Change{}, err
	}
	if !b.exists() {
		return Change{}, keyturn.E(keyturn.NotFound, "no secret at "+keyturn.Clean(ref.Name())+" to label", "").About(ref)
	}
	after := mergeLabels(b.secret.Labels, put.Labels, put.Unlabel)
	if err := m.spec.CheckLabels(ref, after); err != nil {
		return Change{}, err
	}
	_, err = retried(ctx, m, func() (struct{}, error) {
		return struct{}{}, m.able.labeler.Label(ctx, ref, put.Labels, put.Unlabel)
	})
	if err != nil {
		return Change{}, m.fault(ref, err, true)
	}
	b.secret.Labels = after
	info, err := m.made(ref, b.secret.Info)
	return Change{Info: info}, err
}

// labels fills in n's labels: those of put, merged with those of b where put merges.
func (m *Mount) labels(ref keyturn.Ref, put Put, b base, n *New) error {
	l, now := m.spec.Labels, b.secret.Labels
	switch {
	case l.Max == 0:
		return nil // CanLabel has refused any
	case put.Labels == nil && put.Unlabel == nil:
		if b.live() && !l.OfSecret {
			n.Labels = maps.Clone(now)
		}
		return nil
	case put.Mode == keyturn.Merge && (b.live() || l.OfSecret):
		n.Labels = mergeLabels(now, put.Labels, put.Unlabel)
	default:
		n.Labels = maps.Clone(put.Labels)
	}
	if err := m.spec.CheckLabels(ref, n.Labels); err != nil || !l.OfSecret {
		return err
	}
	for _, k := range sorted(now) {
		if _, stays := n.Labels[k]; !stays {
			n.Unlabel = append(n.Unlabel, k)
		}
	}
	n.Labels = maps.Clone(put.Labels)
	return nil
}

// CanLabel refuses a change of labels that is wrong whatever the platform holds.
// Labels in set are added or replaced. Those in unset are removed, which needs a merge.
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

// mergeLabels returns the labels now, with those of set added and those in unset removed.
func mergeLabels(now, set map[string]string, unset []string) map[string]string {
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
