package verify

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/keyturn/keyturn"
)

// MaxCheckpoint is the largest signed checkpoint that is read, in bytes: room for
// many cosignatures of witnesses.
const MaxCheckpoint = 64 << 10

// Checkpoint is what a log and the store beside it were at one moment. Its text
// is a C2SP tlog-checkpoint (c2sp.org/tlog-checkpoint): origin, size and root,
// with three extension lines of ours:
//
//	keyturn.local/log/<id of the log>
//	<number of records>
//	<root hash of the tree, base64>
//	state <generation> <digest, base64>
//	time <RFC 3339, UTC>
//	pruned <number of records>
//
// Generation counts the changes of everything beside the log; the digest is
// keyed, so that it tells nothing of what is there. Pruned counts the records, from
// the first on, whose content retention has dropped: whoever drops the content of
// another leaves the tree as it is, and is found by this number.
type Checkpoint struct {
	Origin     string
	Size       int64
	Root       Hash
	Generation int64
	Digest     Hash
	Time       time.Time // UTC, whole microseconds
	Pruned     int64
}

// Text returns the text that is signed.
func (c Checkpoint) Text() string {
	return c.Origin + "\n" + strconv.FormatInt(c.Size, 10) + "\n" + base64Of(c.Root) + "\n" +
		"state " + strconv.FormatInt(c.Generation, 10) + " " + base64Of(c.Digest) + "\n" +
		"time " + c.Time.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano) + "\n" +
		"pruned " + strconv.FormatInt(c.Pruned, 10) + "\n"
}

// parse reads a text that Text made; any other spelling is not one. Further
// extension lines, as C2SP allows them, are left to newer programs.
func parse(text string) (c Checkpoint, ok bool) {
	lines := strings.SplitAfter(text, "\n")
	if len(lines) < 7 {
		return c, false
	}
	line := func(i int) string { return strings.TrimSuffix(lines[i], "\n") }
	c.Origin = line(0)
	var size, state, when, pruned error
	c.Size, size = strconv.ParseInt(line(1), 10, 64)
	root, rootOK := hashOf(line(2))
	generation, digest, _ := strings.Cut(strings.TrimPrefix(line(3), "state "), " ")
	c.Generation, state = strconv.ParseInt(generation, 10, 64)
	sum, sumOK := hashOf(digest)
	c.Time, when = time.Parse(time.RFC3339Nano, strings.TrimPrefix(line(4), "time "))
	c.Pruned, pruned = strconv.ParseInt(strings.TrimPrefix(line(5), "pruned "), 10, 64)
	c.Root, c.Digest = root, sum
	ok = errors.Join(size, state, when, pruned) == nil && rootOK && sumOK && c.Size >= 0 && c.Generation >= 0 &&
		c.Pruned >= 0 && c.Pruned <= c.Size
	return c, ok && c.Text() == strings.Join(lines[:6], "")
}

// Sign returns the checkpoint as a signed note (c2sp.org/signed-note), with an
// Ed25519 signature under the checkpoint's origin as the key's name.
func (c Checkpoint) Sign(key ed25519.PrivateKey) ([]byte, error) {
	vkey, err := VerifierKey(c.Origin, key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, keyturn.E(keyturn.Internal, "the log's verifier key cannot be read", "").Because(err)
	}
	msg, err := note.Sign(&note.Note{Text: c.Text()}, signer{v, key})
	if err != nil {
		return nil, keyturn.E(keyturn.Internal, "a checkpoint cannot be signed", "").Because(err)
	}
	return msg, nil
}

type signer struct {
	note.Verifier // for name and hash of the key
	key           ed25519.PrivateKey
}

func (s signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// VerifierKey returns the public key of a log in the form of signed notes:
// "<origin>+<hash>+<key>".
func VerifierKey(origin string, key ed25519.PublicKey) (string, error) {
	vkey, err := note.NewEd25519VerifierKey(origin, key)
	if err != nil {
		return "", keyturn.E(keyturn.Internal, "the log has no verifier key", "").Because(err)
	}
	return vkey, nil
}

// OpenCheckpoint reads a signed checkpoint and checks its signature by the
// verifier key vkey. Signatures of others, such as witnesses, may stand beside it.
// Corrupt where it was changed after it was signed or is signed by another key;
// Invalid where it is no checkpoint or vkey is no key.
func OpenCheckpoint(msg []byte, vkey string) (Checkpoint, error) {
	v, err := verifier(vkey)
	if err != nil {
		return Checkpoint{}, err
	}
	n, err := note.Open(msg, note.VerifierList(v))
	var invalid *note.InvalidSignatureError
	var unknown *note.UnverifiedNoteError
	switch {
	case len(msg) > MaxCheckpoint:
		return Checkpoint{}, notCheckpoint(nil)
	case errors.As(err, &invalid):
		return Checkpoint{}, keyturn.E(keyturn.Corrupt, "the checkpoint was changed after it was signed, or is signed by another log's key",
			"take another copy of the checkpoint; this one shows nothing")
	case errors.As(err, &unknown):
		return Checkpoint{}, keyturn.E(keyturn.Corrupt, "the checkpoint is of another log: its signature is of "+keyturn.Clean(signers(unknown.Note))+
			", and this log's key is "+keyturn.Clean(v.Name()), "take the checkpoint of this log, or the log of this checkpoint")
	case err != nil:
		return Checkpoint{}, notCheckpoint(err)
	}
	// Package note takes a signature whose last bits are set, too.
	if _, err := base64.StdEncoding.Strict().DecodeString(n.Sigs[0].Base64); err != nil {
		return Checkpoint{}, keyturn.E(keyturn.Corrupt, "the checkpoint's signature was changed", "take another copy of the checkpoint; this one shows nothing")
	}
	c, ok := parse(n.Text)
	if !ok || c.Origin != v.Name() {
		return Checkpoint{}, notCheckpoint(nil)
	}
	return c, nil
}

// verifier reads a verifier key in its one spelling: package note takes others.
// Invalid where it is none.
func verifier(vkey string) (note.Verifier, error) {
	bad := keyturn.E(keyturn.Invalid, "this is not a verifier key: '"+keyturn.Clean(short(vkey))+"'",
		"it looks like keyturn.local/log/…+…+…; 'keyturn audit checkpoint -o json' tells it")
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, bad.Because(err)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.SplitN(vkey, "+", 3)[2]) // three parts: name, hash, key
	if err != nil {
		return nil, bad.Because(err)
	}
	if again, err := note.NewEd25519VerifierKey(v.Name(), raw[1:]); err != nil || again != vkey {
		return nil, bad.Because(err)
	}
	return v, nil
}

func notCheckpoint(cause error) error {
	return keyturn.E(keyturn.Invalid, "this is not a checkpoint of a keyturn log", "'keyturn audit checkpoint' makes one").Because(cause)
}

func signers(n *note.Note) string {
	if n == nil || len(n.UnverifiedSigs) == 0 {
		return "nobody"
	}
	return short(n.UnverifiedSigs[0].Name)
}

func short(s string) string {
	if len(s) > 160 {
		return s[:160] + "…"
	}
	return s
}
