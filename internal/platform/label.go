package platform

import (
	"context"
	"maps"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/spec"
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
	after := spec.Labelled(b.secret.Labels, put.Labels, put.Unlabel)
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

// labels puts into n the labels that put makes of those of b.
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
		n.Labels = spec.Labelled(now, put.Labels, put.Unlabel)
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
