package state

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"strconv"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state/codec"
	"github.com/keyturn/keyturn/internal/state/rows"
	"github.com/keyturn/keyturn/internal/state/sqlite"
)

// logTop is what the log is told of the store.
func (t *tx) logTop(h *rows.Top) keyturn.LogTop {
	e := make(codec.Encoder, 0, 128)
	e.Num(int(h.Generation))
	h.Items.Encode(&e)
	h.Secrets.Encode(&e)
	mac := hmac.New(sha256.New, t.digest)
	mac.Write(e)
	return keyturn.LogTop{Last: h.Last, Tree: h.Tree, Pruned: max(0, h.Pruned-1), Generation: h.Generation, Digest: [32]byte(mac.Sum(nil))}
}

// top reads the head, and holds the last record of the log against it. It finds the
// keys of the transaction, too.
func (t *tx) top(ctx context.Context) (*rows.Top, error) {
	const query = `SELECT m.v, (SELECT v FROM meta WHERE k = 'master'), coalesce(l.seq, 0), l.data FROM meta m
		LEFT JOIN log l ON l.seq = (SELECT max(seq) FROM log) WHERE m.k = 'head'`
	var head, wrapped, data []byte
	var seq int64
	err := sqlite.Each(ctx, t, query, nil, func(r *sql.Rows) error { return r.Scan(&head, &wrapped, &seq, &data) })
	if err != nil {
		return nil, err
	}
	if err := t.use(ctx, wrapped); err != nil {
		return nil, err
	}
	h, err := t.OpenTop(head)
	if err != nil {
		return nil, err
	}
	want := h.Last
	if h.Last = (keyturn.LogEntry{}); seq != 0 && seq == want.Seq {
		if h.Last, err = t.OpenEntry(seq, data, h.Pruned); err != nil {
			return nil, err
		}
	}
	if seq != want.Seq || h.Last.Leaf != want.Leaf {
		return nil, t.db.damaged("the audit log should end at record " + strconv.FormatInt(want.Seq, 10) + ", but ends at " + strconv.FormatInt(seq, 10))
	}
	return h, nil
}
