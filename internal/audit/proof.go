package audit

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// derive makes a key of n bytes for one purpose from the log's own (RFC 5869).
func (l *Log) derive(purpose string, n int) []byte {
	key := l.store.LogKey()
	out, err := hkdf.Key(sha256.New, key[:], nil, "keyturn audit log v1: "+purpose, n)
	if err != nil {
		panic(err) // only for more than 255 × 32 bytes
	}
	return out
}

func (l *Log) signer() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(l.derive("checkpoints", ed25519.SeedSize))
}

// Origin names the log in its checkpoints and exports. It is derived from the
// log's key: it stays with the log through backup, restore and a change of keys.
func (l *Log) Origin() string {
	return "keyturn.local/log/" + hex.EncodeToString(l.derive("origin", 16))
}

// VerifierKey is the public key of the log's checkpoints, as signed notes write it.
func (l *Log) VerifierKey() (string, error) {
	return verify.VerifierKey(l.Origin(), l.signer().Public().(ed25519.PublicKey))
}

// Checkpoint signs what the log and the store beside it are now, and returns the
// signed note and what it says. Rows are not checked: see Verify.
func (l *Log) Checkpoint(ctx context.Context) ([]byte, verify.Checkpoint, error) {
	top, err := l.store.LastLog(ctx)
	if err != nil {
		return nil, verify.Checkpoint{}, err
	}
	return l.checkpoint(top)
}

func (l *Log) checkpoint(top keyturn.LogTop) ([]byte, verify.Checkpoint, error) {
	edge, err := verify.ReadEdge(top.Last.Seq, top.Last.Leaf, top.Tree)
	if err != nil {
		return nil, verify.Checkpoint{}, err
	}
	c := verify.Checkpoint{Origin: l.Origin(), Size: edge.Size(), Root: edge.Root(),
		Generation: top.Generation, Digest: top.Digest, Time: l.Now().UTC(), Pruned: top.Pruned}
	msg, err := c.Sign(l.signer())
	return msg, c, err
}

// Verify checks every row, that the log ends where the store says it ends, and
// then what the store keeps beside the log.
// It returns the number of rows and the root of their tree in hexadecimal. Without
// a checkpoint from outside it shows that the log is consistent, not that it is
// complete: who holds the root key can write another one.
func (l *Log) Verify(ctx context.Context) (size int64, head string, err error) {
	r, err := l.VerifyAgainst(ctx, nil)
	if err != nil {
		return r.Size, "", err
	}
	return r.Size, hex.EncodeToString(r.Root[:]), nil
}

// VerifyAgainst is Verify, which also holds the log and the store's state against a
// signed checkpoint that was kept elsewhere, unless held is nil. Corrupt, each with
// its own words, where the log is older than the checkpoint or was written anew,
// and where the state is an older copy or another one than at its generation.
func (l *Log) VerifyAgainst(ctx context.Context, held []byte) (verify.Report, error) {
	var against *verify.Checkpoint
	if held != nil {
		vkey, err := l.VerifierKey()
		if err != nil {
			return verify.Report{}, err
		}
		c, err := verify.OpenCheckpoint(held, vkey)
		if err != nil {
			return verify.Report{}, err
		}
		against = &c
	}
	top, err := l.store.LastLog(ctx)
	if err != nil {
		return verify.Report{}, err
	}
	check := verify.NewCheck(verify.Chain{}, against)
	if err := l.walk(ctx, check, &top, nil); err != nil {
		return check.Report(), err
	}
	now := verify.Checkpoint{Size: top.Last.Seq, Generation: top.Generation, Digest: top.Digest}
	if err := check.State(now); err != nil {
		return check.Report(), err
	}
	return check.Report(), l.store.VerifyState(ctx)
}

// walk takes all rows up to top through check, and to visit, which may be nil, one
// by one behind its check, with the edge of the tree before it; an error of its ends
// the walk. Where others prune meanwhile top learns how far: what of their rows was
// met without content is as it should be.
func (l *Log) walk(ctx context.Context, check *verify.Check, top *keyturn.LogTop, visit func(keyturn.LogEntry, keyturn.Record, verify.Edge) error) error {
	for e, err := range l.store.Log(ctx, 1) {
		if err != nil {
			return err
		}
		if e.Seq > top.Last.Seq && check.Size() == top.Last.Seq {
			// Others may have added it meanwhile.
			if now, err := l.store.LastLog(ctx); err != nil || now.Last.Seq > top.Last.Seq {
				if err != nil {
					return err
				}
				break
			}
			return keyturn.E(keyturn.Corrupt, fmt.Sprintf("the audit log was changed from outside: it goes on behind its end, record %d", top.Last.Seq),
				fmt.Sprintf("records 1 to %d are whole; compare with a backup or an exported copy", top.Last.Seq))
		}
		before := check.Edge()
		r, err := check.Next(e)
		if err != nil {
			return err
		}
		if visit != nil {
			if err := visit(e, r, before); err != nil {
				return err
			}
		}
	}
	edge, err := verify.ReadEdge(top.Last.Seq, top.Last.Leaf, top.Tree)
	if err != nil {
		return err
	}
	now, err := l.store.LastLog(ctx)
	if err != nil {
		return err
	}
	top.Pruned = max(top.Pruned, min(now.Pruned, top.Last.Seq))
	return check.End(verify.Checkpoint{Size: top.Last.Seq, Root: edge.Root(), Pruned: top.Pruned})
}
