package table

import (
	"context"
	"crypto/subtle"
	"database/sql"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state/codec"
	"github.com/keyturn/keyturn/internal/state/rows"
	"github.com/keyturn/keyturn/internal/state/seal"
	"github.com/keyturn/keyturn/internal/state/sqlite"
)

// kindsOne are the kinds of items that a store of format 1 can hold: their names are
// not in it.
var kindsOne = []string{"candidate", "config", "project", "proof", "request"}

// Tree makes the rows of records that follow the log's end, and the tree with them.
type Tree = func(top keyturn.LogTop, records [][]byte) (add []keyturn.LogEntry, tree []byte, err error)

// FormatOne encrypts all rows of a store of format 1 anew, as format 2 has them, and
// returns the head that they have now; was is the head of format 1. They must be
// whole: what was changed from outside would not be known as such any more.
func FormatOne(ctx context.Context, conn sqlite.Conn, from, to rows.Keys, was []byte, tree Tree) (*rows.Top, error) {
	plain, err := from.Open(seal.Head, was, "head")
	d := codec.Decoder{Rest: plain}
	last, link := int64(d.Num()), d.Bytes()
	items, secrets := rows.DecodeSum(&d), rows.DecodeSum(&d)
	if err != nil || !d.Done() {
		return nil, rows.Damage("the end of the audit log is not known")
	}
	h := &rows.Top{Generation: 1}
	move := Mover{Conn: conn, From: from, To: to, All: true, SecretsWere: &secrets, SecretsAre: &h.Secrets, ItemsWere: &items, ItemsAre: &h.Items}
	for _, step := range []func(context.Context) (int, error){move.Secrets, move.Versions} {
		move.id, move.number = 0, 0
		for n := 1; n > 0; {
			if n, err = step(ctx); err != nil {
				return nil, err
			}
		}
	}
	if err := move.itemsOne(ctx); err != nil {
		return nil, err
	}
	if (secrets != rows.Sum{} || items != rows.Sum{}) {
		return nil, rows.Damage("a secret, a request or another item was removed, or replaced by an older copy")
	}
	if err := CheckSecrets(ctx, conn, to, h.Secrets, false); err != nil {
		return nil, err
	}
	return h, move.logOne(ctx, h, last, link, tree)
}

// itemsOne moves all items of format 1: they are few.
func (m *Mover) itemsOne(ctx context.Context) error {
	kinds := map[string]string{}
	for _, kind := range kindsOne {
		kinds[string(m.From.MAC("kind", kind))] = kind
	}
	var found []rows.Item
	err := sqlite.Each(ctx, m.Conn, "SELECT kind, id, expires, body FROM item", nil, func(r *sql.Rows) error {
		var it rows.Item
		err := r.Scan(&it.Kind, &it.ID, &it.Expires, &it.Body)
		found = append(found, it)
		return err
	})
	if err != nil {
		return err
	}
	for _, r := range found {
		kind := kinds[string(r.Kind)]
		plain, err := m.From.Open(seal.Item, r.Body, "item", kind, string(r.ID))
		d := codec.Decoder{Rest: plain}
		it := keyturn.Item{ID: d.Text(), Expires: d.Time(), Body: d.Bytes()}
		if err != nil || !d.Done() {
			return rows.Damage("a request, an approval or another item cannot be read")
		}
		if err := m.moveItem(ctx, r, kind, it); err != nil {
			return err
		}
	}
	return nil
}

// logOne gives the records of format 1, which were a chain of links, to the log's
// tree.
func (m *Mover) logOne(ctx context.Context, h *rows.Top, last int64, want []byte, tree Tree) error {
	var link [32]byte
	for h.Last.Seq < last {
		var records [][]byte
		seq := h.Last.Seq
		err := m.some(ctx, "SELECT seq, data FROM log WHERE seq > ? ORDER BY seq", []any{seq}, func(r *sql.Rows) (int, error) {
			var data []byte
			at := int64(0)
			if err := r.Scan(&at, &data); err != nil {
				return 0, err
			}
			if seq++; at != seq {
				return 0, rows.Damage("record " + rows.Number(seq) + " of the audit log is missing")
			}
			plain, err := m.From.Open(seal.Log, data, "log", rows.Number(seq))
			if err != nil || len(plain) < len(link) {
				return 0, rows.Damage("record " + rows.Number(seq) + " of the audit log cannot be read")
			}
			link = [32]byte(plain)
			records = append(records, plain[len(link):])
			return len(data), nil
		})
		if err == nil && len(records) == 0 {
			err = rows.Damage("record " + rows.Number(seq+1) + " of the audit log is missing")
		}
		if err != nil {
			return err
		}
		add, edge, err := tree(keyturn.LogTop{Last: h.Last, Tree: h.Tree}, records)
		if err != nil {
			return err
		}
		for _, e := range add {
			if err := sqlite.Exec(ctx, m.Conn, "UPDATE log SET data = ? WHERE seq = ?", m.To.SealEntry(e), e.Seq); err != nil {
				return err
			}
			h.Last = e
		}
		if h.Tree = edge; h.Last.Seq != seq {
			return keyturn.E(keyturn.Internal, "the log's tree has another size than the log", "")
		}
	}
	there := int64(0)
	err := sqlite.Each(ctx, m.Conn, "SELECT count(*) FROM log", nil, func(r *sql.Rows) error { return r.Scan(&there) })
	if err == nil && (there != last || last > 0 && subtle.ConstantTimeCompare(link[:], want) != 1) {
		err = rows.Damage("the audit log should end at record " + rows.Number(last) + ", but does not")
	}
	return err
}
