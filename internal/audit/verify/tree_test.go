package verify_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// stored is a tree as tlog keeps one, with all its hashes.
type stored []tlog.Hash

func (s *stored) add(t testing.TB, n int64, leaf verify.Hash) {
	t.Helper()
	more, err := tlog.StoredHashesForRecordHash(n, tlog.Hash(leaf), s)
	if err != nil {
		t.Fatal(err)
	}
	*s = append(*s, more...)
}

func (s *stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, (*s)[i])
	}
	return out, nil
}

// The edge alone makes the same tree as tlog with all its hashes, and tlog's own
// proofs of consistency hold between any two sizes: what a witness asks for.
func TestEdgeIsTlogsTree(t *testing.T) {
	const most = 130
	var edge verify.Edge
	var all stored
	roots := []verify.Hash{edge.Root()}
	for n := range int64(most) {
		leaf := verify.Leaf(fmt.Appendf(nil, "record %d", n))
		all.add(t, n, leaf)
		edge.Add(leaf)
		want, err := tlog.TreeHash(n+1, &all)
		if err != nil || edge.Root() != verify.Hash(want) {
			t.Fatalf("%d records: the root is %x, tlog's %x, %v", n+1, edge.Root(), want, err)
		}
		roots = append(roots, edge.Root())
		again, err := verify.ReadEdge(n+1, leaf, edge.Bytes())
		if err != nil || again.Root() != edge.Root() || again.Size() != n+1 {
			t.Fatalf("%d records: the edge came back as %+v, %v", n+1, again, err)
		}
	}
	proofs := 0
	for n := int64(1); n <= most; n++ {
		for m := int64(1); m <= n; m++ {
			p, err := tlog.ProveTree(n, m, &all)
			if err == nil {
				err = tlog.CheckTree(p, n, tlog.Hash(roots[n]), m, tlog.Hash(roots[m]))
			}
			if err != nil {
				t.Fatalf("%d to %d records: %v", m, n, err)
			}
			if m < n && tlog.CheckTree(p, n, tlog.Hash(roots[n]), m, tlog.Hash(roots[m-1])) == nil {
				t.Fatalf("%d to %d records: a wrong root is proved", m, n)
			}
			proofs++
		}
	}
	t.Logf("%d proofs of consistency", proofs)
	if roots[0] != verify.Hash(must(tlog.TreeHash(0, nil))) {
		t.Errorf("no records: %x", roots[0])
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestReadEdge(t *testing.T) {
	var edge verify.Edge
	var last verify.Hash
	for i := range 7 {
		last = verify.Leaf([]byte{byte(i)})
		edge.Add(last)
	}
	good := edge.Bytes()
	flipped := append([]byte(nil), good...)
	flipped[len(flipped)-1] ^= 1
	for what, c := range map[string]struct {
		size int64
		last verify.Hash
		b    []byte
	}{
		"one hash too few":           {7, last, good[:64]},
		"one hash too many":          {7, last, append(good[:96:96], good[:32]...)},
		"a byte too few":             {7, last, good[:95]},
		"a byte too many":            {7, last, append(good[:96:96], 0)},
		"none":                       {7, last, nil},
		"of another size":            {5, last, good},
		"of nothing":                 {0, verify.Hash{}, good},
		"a size below zero":          {-1, last, good},
		"another last leaf":          {7, verify.Leaf([]byte("x")), good},
		"a last hash that is no one": {7, last, flipped},
	} {
		if _, err := verify.ReadEdge(c.size, c.last, c.b); !errors.Is(err, keyturn.Corrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if e, err := verify.ReadEdge(0, verify.Hash{}, nil); err != nil || e.Size() != 0 {
		t.Errorf("an empty tree: %v", err)
	}
}

// key is plainly fake.
func key(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(b), 32)))
}

const origin = "keyturn.local/log/00112233445566778899aabbccddeeff"

func sample() verify.Checkpoint {
	return verify.Checkpoint{Origin: origin, Size: 5, Root: verify.Leaf([]byte("root")), Generation: 3, Digest: verify.Leaf([]byte("digest")),
		Time: time.Date(2026, 1, 24, 10, 0, 0, 1000, time.UTC), Pruned: 2}
}

func vkey(k ed25519.PrivateKey) string {
	return must(verify.VerifierKey(origin, k.Public().(ed25519.PublicKey)))
}

// A checkpoint is a C2SP tlog-checkpoint in a signed note: package note opens it,
// tlog reads its first three lines, and a witness's signature beside ours is none
// of our business.
func TestCheckpointIsC2SP(t *testing.T) {
	msg := must(sample().Sign(key('a')))
	v := must(note.NewVerifier(vkey(key('a'))))
	n, err := note.Open(msg, note.VerifierList(v))
	if err != nil || len(n.Sigs) != 1 || n.Sigs[0].Name != origin {
		t.Fatalf("package note: %+v, %v", n, err)
	}
	lines := strings.SplitAfter(n.Text, "\n")
	if lines[0] != origin+"\n" {
		t.Errorf("the origin is %q", lines[0])
	}
	// tlog's parser takes its own database's name only.
	tree, err := tlog.ParseTree([]byte("go.sum database tree\n" + lines[1] + lines[2]))
	if err != nil || tree.N != 5 || verify.Hash(tree.Hash) != sample().Root {
		t.Errorf("tlog: %+v, %v", tree, err)
	}
	for _, l := range lines[3 : len(lines)-1] {
		if strings.TrimSpace(l) == "" {
			t.Errorf("an empty extension line")
		}
	}
	got, err := verify.OpenCheckpoint(msg, vkey(key('a')))
	if err != nil || got != sample() {
		t.Fatalf("it came back as %+v, %v", got, err)
	}
	// A witness cosigns.
	skey, _, err := note.GenerateKey(nil, "witness.example/w1")
	if err != nil {
		t.Fatal(err)
	}
	n.Sigs, n.UnverifiedSigs = nil, n.Sigs
	cosigned := must(note.Sign(n, must(note.NewSigner(skey))))
	if got, err := verify.OpenCheckpoint(cosigned, vkey(key('a'))); err != nil || got != sample() || !strings.Contains(string(cosigned), "witness.example") {
		t.Errorf("cosigned: %+v, %v\n%s", got, err, cosigned)
	}
}

func TestOpenCheckpoint(t *testing.T) {
	good := string(must(sample().Sign(key('a'))))
	other := sample()
	other.Origin = "keyturn.local/log/ffffffffffffffffffffffffffffffff"
	foreign := string(must(other.Sign(key('b'))))
	resigned := func(text string) string {
		n := &note.Note{Text: text}
		v := must(note.NewVerifier(vkey(key('a'))))
		return string(must(note.Sign(n, signer{v, key('a')})))
	}
	text := sample().Text()
	for what, c := range map[string]struct {
		msg, key, says string
		want           keyturn.Code
	}{
		"itself":                     {good, "", "", ""},
		"an edited size":             {strings.Replace(good, "\n5\n", "\n6\n", 1), "", "changed after it was signed", keyturn.Corrupt},
		"an edited generation":       {strings.Replace(good, "state 3", "state 4", 1), "", "changed after it was signed", keyturn.Corrupt},
		"another key, the same name": {string(must(sample().Sign(key('b')))), "", "of another log", keyturn.Corrupt},
		"another log":                {foreign, "", "of another log", keyturn.Corrupt},
		"cut short":                  {good[:len(good)-20], "", "", keyturn.Invalid},
		"nothing":                    {"", "", "not a checkpoint", keyturn.Invalid},
		"some text":                  {"hello\n", "", "not a checkpoint", keyturn.Invalid},
		"not ours, though signed":    {resigned("hello\n\nworld\n"), "", "not a checkpoint", keyturn.Invalid},
		"no state":                   {resigned(strings.Join(strings.SplitAfter(text, "\n")[:3], "")), "", "not a checkpoint", keyturn.Invalid},
		"no number of pruned ones":   {resigned(strings.Replace(text, "pruned 2\n", "", 1)), "", "not a checkpoint", keyturn.Invalid},
		"more pruned than there are": {resigned(strings.Replace(text, "pruned 2\n", "pruned 6\n", 1)), "", "not a checkpoint", keyturn.Invalid},
		"an edited number of pruned": {strings.Replace(good, "pruned 2", "pruned 3", 1), "", "changed after it was signed", keyturn.Corrupt},
		"a size with a zero ahead":   {resigned(strings.Replace(text, "\n5\n", "\n05\n", 1)), "", "not a checkpoint", keyturn.Invalid},
		"a size below zero":          {resigned(strings.Replace(text, "\n5\n", "\n-5\n", 1)), "", "not a checkpoint", keyturn.Invalid},
		"another origin":             {resigned(strings.Replace(text, origin, "keyturn.local/log/x", 1)), "", "not a checkpoint", keyturn.Invalid},
		"a line more of a later day": {resigned(text + "more 1\n"), "", "", ""},
		"too large":                  {good + strings.Repeat("— w AAAAAAAA\n", 10000), "", "not a checkpoint", keyturn.Invalid},
		"a wrong key":                {good, "abc", "not a verifier key", keyturn.Invalid},
		"a key in capitals":          {good, strings.ToUpper(vkey(key('a'))), "not a verifier key", keyturn.Invalid},
		"no key":                     {good, " ", "not a verifier key", keyturn.Invalid},
	} {
		k := c.key
		if k == "" {
			k = vkey(key('a'))
		}
		_, err := verify.OpenCheckpoint([]byte(c.msg), k)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, want %q %s", what, err, c.want, c.says)
		}
	}
}

type signer struct {
	note.Verifier
	key ed25519.PrivateKey
}

func (s signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// Taken apart and put together a checkpoint is the same, and what is no checkpoint
// cannot be taken apart: nothing of its text gets on.
func TestParts(t *testing.T) {
	good := must(sample().Sign(key('a')))
	parts, err := verify.Parts(good)
	if err != nil || string(verify.Whole(parts)) != string(good) {
		t.Fatalf("%+v, %v\n%s", parts, err, verify.Whole(parts))
	}
	form := must(keyturn.EncodeOp(keyturn.VerifyLog{Checkpoint: &parts}))
	again := must(keyturn.DecodeOp(form)).(keyturn.VerifyLog)
	if got, err := verify.OpenCheckpoint(verify.Whole(*again.Checkpoint), vkey(key('a'))); err != nil || got != sample() || len(form) > 600 {
		t.Errorf("by way of a record of %d bytes: %+v, %v", len(form), got, err)
	}
	if _, err := verify.OpenCheckpoint(verify.Whole(parts), vkey(key('b'))); !errors.Is(err, keyturn.Corrupt) {
		t.Errorf("another key: %v", err)
	}
	const word = "planted-in-the-file"
	for what, msg := range map[string]string{
		"a list of variables": "PASSWORD=" + word + "\n", "nothing": "",
		"a line more":       strings.Replace(string(good), "\n\n", "\n"+word+"\n\n", 1),
		"a text ahead":      word + "\n" + string(good),
		"another name":      strings.ReplaceAll(string(good), origin, word),
		"a name too long":   strings.ReplaceAll(string(good), origin, origin+"00"),
		"a time that talks": strings.Replace(string(good), "time 2026", "time "+word, 1),
		"no signature":      strings.Replace(string(good), "— "+origin, "— "+word, 1),
		"too large":         string(good) + strings.Repeat("— w AAAAAAAA\n", 10000),
	} {
		parts, err := verify.Parts([]byte(msg))
		if !errors.Is(err, keyturn.Invalid) || strings.Contains(fmt.Sprintf("%+v %v", err, errors.Unwrap(err)), word) || parts != (keyturn.SignedCheckpoint{}) {
			t.Errorf("%s: %+v, %v", what, parts, err)
		}
	}
	// What stands beside it goes nowhere.
	beside := string(good) + "— " + word + " AAAAAAAA\n"
	if parts, err := verify.Parts([]byte(beside)); err != nil || string(verify.Whole(parts)) != string(good) {
		t.Errorf("a signature beside it: %v", err)
	}
}
