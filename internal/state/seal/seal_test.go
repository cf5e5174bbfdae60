package seal

import (
	"bytes"
	"slices"
	"testing"
)

func ring(t *testing.T) *Ring {
	t.Helper()
	r, err := NewRing("store")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func next(t *testing.T, r *Ring) *Ring {
	t.Helper()
	n, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestPlaces: a ciphertext opens in its own place, under its own purpose, in its own
// store, and as it is; nowhere else.
func TestPlaces(t *testing.T) {
	r := ring(t)
	c := r.Seal(Info, []byte("plain"), "version", "a", "bc")
	if p, err := r.Open(Info, c, "version", "a", "bc"); err != nil || string(p) != "plain" {
		t.Fatalf("%q, %v", p, err)
	}
	if again := r.Seal(Info, []byte("plain"), "version", "a", "bc"); bytes.Equal(again[4:], c[4:]) {
		t.Error("the same twice")
	}
	for name, open := range map[string]func() ([]byte, error){
		"another place":   func() ([]byte, error) { return r.Open(Info, c, "version", "ab", "c") },
		"fewer parts":     func() ([]byte, error) { return r.Open(Info, c, "version", "a") },
		"another purpose": func() ([]byte, error) { return r.Open(Data, c, "version", "a", "bc") },
		"another key":     func() ([]byte, error) { return ring(t).Open(Info, c, "version", "a", "bc") },
		"nothing":         func() ([]byte, error) { return r.Open(Info, nil, "version", "a", "bc") },
	} {
		if _, err := open(); err == nil {
			t.Errorf("%s opens it", name)
		}
	}
	for i := range c {
		for _, bad := range [][]byte{c[:i], slices.Concat(c[:i], []byte{c[i] ^ 1}, c[i+1:])} {
			if _, err := r.Open(Info, bad, "version", "a", "bc"); err == nil {
				t.Errorf("byte %d of %d", i, len(c))
			}
		}
	}
}

// TestEpochs: while there are two keys, both open, and new ciphertexts are of the
// newest; afterwards the newest alone.
func TestEpochs(t *testing.T) {
	one := ring(t)
	two := next(t, one)
	last := two.Last()
	old, now := one.Seal(Head, []byte("old"), "x"), two.Seal(Head, []byte("now"), "x")
	for i, c := range []struct {
		ring     *Ring
		old, now bool
		from, to int
	}{{one, true, false, 1, 1}, {two, true, true, 1, 2}, {last, false, true, 2, 2}, {next(t, last), false, true, 2, 3}} {
		_, errOld := c.ring.Open(Head, old, "x")
		_, errNow := c.ring.Open(Head, now, "x")
		from, to := c.ring.Epochs()
		if (errOld == nil) != c.old || (errNow == nil) != c.now || from != c.from || to != c.to {
			t.Errorf("%d: old %v, now %v, epochs %d to %d", i, errOld, errNow, from, to)
		}
	}
	if !bytes.HasPrefix(now, two.Prefix()) || bytes.HasPrefix(old, two.Prefix()) {
		t.Error("the prefix is not that of the newest")
	}
	// Rows are looked up under both, and weighed under their own.
	macs := two.MACs("name", "a")
	if !bytes.Equal(macs[0], last.MAC("name", "a")) || !bytes.Equal(macs[1], one.MAC("name", "a")) || bytes.Equal(macs[0], macs[1]) {
		t.Error("not the keys of both epochs")
	}
	if m := one.MACs("name", "a"); !bytes.Equal(m[0], m[1]) {
		t.Error("one key, two HMACs")
	}
	if two.Tag(old, "row") != one.Tag(old, "row") || two.Tag(now, "row") != last.Tag(now, "row") || two.Tag(old, "row") == two.Tag(now, "row") {
		t.Error("a tag is not of its row's epoch")
	}
	if last.Tag(old, "row") == one.Tag(old, "row") || last.Tag(old, "row") == last.Tag(now, "row") {
		t.Error("a row of no epoch has the tag of another")
	}
}

// TestWrap: only the same root key, told of in the same words, gives the keys back.
func TestWrap(t *testing.T) {
	key := bytes.Repeat([]byte{7}, KeySize)
	root, err := NewRoot("store", key)
	if err != nil {
		t.Fatal(err)
	}
	r := next(t, ring(t))
	w := root.Wrap(r, "file", "root.key")
	again, err := root.Unwrap(w, "file", "root.key")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Open(Head, r.Seal(Head, nil, "x"), "x"); err != nil {
		t.Error(err)
	}
	other, err := NewRoot("another", key)
	if err != nil || bytes.Equal(other.Check, root.Check) {
		t.Errorf("the check does not know the store: %v", err)
	}
	for name, open := range map[string]func() (*Ring, error){
		"another kind":  func() (*Ring, error) { return root.Unwrap(w, "keychain", "root.key") },
		"another place": func() (*Ring, error) { return root.Unwrap(w, "file", "other.key") },
		"another store": func() (*Ring, error) { return other.Unwrap(w, "file", "root.key") },
		"cut":           func() (*Ring, error) { return root.Unwrap(w[:len(w)-1], "file", "root.key") },
		"nothing":       func() (*Ring, error) { return root.Unwrap(nil, "file", "root.key") },
	} {
		if _, err := open(); err == nil {
			t.Errorf("%s unwraps it", name)
		}
	}
	if _, err := NewRoot("store", key[1:]); err == nil {
		t.Error("a short root key")
	}
}
