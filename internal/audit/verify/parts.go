package verify

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/keyturn/keyturn"
)

// OriginOf is the name of a log in its checkpoints and exports.
func OriginOf(id keyturn.LogID) string { return originPrefix + hex.EncodeToString(id[:]) }

const originPrefix = "keyturn.local/log/"

// Parts takes a signed checkpoint apart, without a key: whether the signature is
// the log's shows when Whole puts it together again and OpenCheckpoint opens it.
// Invalid where it is none that this program could have made: then nothing of its
// text is in what comes back, nor in the error.
func Parts(msg []byte) (keyturn.SignedCheckpoint, error) {
	none := keyturn.SignedCheckpoint{}
	if len(msg) > MaxCheckpoint {
		return none, notCheckpoint(nil)
	}
	_, err := note.Open(msg, note.VerifierList())
	var unverified *note.UnverifiedNoteError
	if !errors.As(err, &unverified) {
		return none, notCheckpoint(nil)
	}
	n := unverified.Note
	c, ok := parse(n.Text)
	if !ok {
		return none, notCheckpoint(nil)
	}
	if c.Text() != n.Text {
		return none, keyturn.E(keyturn.Invalid, "the checkpoint says more than this keyturn knows", "a newer keyturn made it: verify with that one, or an exported file with this one")
	}
	p := keyturn.SignedCheckpoint{Size: c.Size, Root: c.Root, Generation: c.Generation, Digest: c.Digest, Time: c.Time.UTC(), Pruned: c.Pruned}
	id, ok := strings.CutPrefix(c.Origin, originPrefix)
	if !ok || p.Log.UnmarshalText([]byte(id)) != nil || OriginOf(p.Log) != c.Origin {
		return none, notCheckpoint(nil)
	}
	for _, s := range n.UnverifiedSigs {
		raw, err := base64.StdEncoding.Strict().DecodeString(s.Base64)
		if s.Name != c.Origin || err != nil || len(raw) != 4+len(p.Signature) {
			continue
		}
		p.Key, p.Signature = s.Hash, keyturn.Signature(raw[4:])
		return p, nil
	}
	return none, notCheckpoint(nil)
}

// Whole puts together what Parts took apart: a signed note, with the signature of
// the log alone.
func Whole(p keyturn.SignedCheckpoint) []byte {
	c := Checkpoint{Origin: OriginOf(p.Log), Size: p.Size, Root: Hash(p.Root), Generation: p.Generation, Digest: Hash(p.Digest), Time: p.Time, Pruned: p.Pruned}
	sig := append(binary.BigEndian.AppendUint32(nil, p.Key), p.Signature[:]...)
	return []byte(c.Text() + "\n— " + c.Origin + " " + base64.StdEncoding.EncodeToString(sig) + "\n")
}
