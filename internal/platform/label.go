package platform

import (
	"context"
	"maps"

	"github.com/keyturn/keyturn"
)

// Relabels reports whether put changes nothing but labels, and they belong to the
// secret: then no version is made, and none can be expected.
func (m *Mount) Relabels(put Put) bool {
	return m.able.labeler != nil && m.spec.Labels.OfSecret && put.Mode == keyturn.Merge &&
		len(put.Values)+len(put.Public) == 0 && put.Expires.IsZero() && len(put.Labels)+len(put.Unlabel) > 0
}

// relabel changes the labels of a secret. Others that were changed meanwhile stay.
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
	after := labelled(b.secret.Labels, put)
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
	info, err := m.check(ref, b.secret.Info)
	return Change{Info: info}, err
}

// canLabel refuses labels that no look at the platform could allow.
func (m *Mount) canLabel(ref keyturn.Ref, put Put) error {
	switch {
	case len(put.Unlabel) > 0 && put.Mode != keyturn.Merge:
		return keyturn.E(keyturn.Invalid, "a label is taken away from those that are there", "say --merge; without it --label names all of them").About(ref)
	case len(put.Unlabel) > 0 && m.spec.Labels.Max == 0:
		return m.spec.CheckLabels(ref, map[string]string{put.Unlabel[0]: ""})
	}
	for _, k := range put.Unlabel {
		if _, both := put.Labels[k]; both || k == "" {
			return keyturn.E(keyturn.Invalid, "the label '"+keyturn.Clean(k)+"' is both set and taken away, or has no name", "give it once").About(ref)
		}
	}
	return m.spec.CheckLabels(ref, put.Labels)
}

// labelled are the labels after a merge with those that are there.
func labelled(now map[string]string, put Put) map[string]string {
	after := maps.Clone(now)
	if after == nil {
		after = map[string]string{}
	}
	maps.Copy(after, put.Labels)
	for _, k := range put.Unlabel {
		delete(after, k)
	}
	return after
}

// labels puts into n the labels that put makes of those of b.
func (m *Mount) labels(ref keyturn.Ref, put Put, b base, n *New) error {
	l, now := m.spec.Labels, b.secret.Labels
	switch {
	case l.Max == 0:
		return nil // canLabel has refused any
	case put.Labels == nil && put.Unlabel == nil:
		if b.live() && !l.OfSecret {
			n.Labels = maps.Clone(now)
		}
		return nil
	case put.Mode == keyturn.Merge && (b.live() || l.OfSecret):
		n.Labels = labelled(now, put)
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
