package state

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"iter"
	"slices"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state/rows"
	"github.com/keyturn/keyturn/internal/state/sqlite"
	"github.com/keyturn/keyturn/internal/state/table"
)

func (db *DB) expired(it keyturn.Item) bool {
	return !it.Expires.IsZero() && !db.now().Before(it.Expires)
}

// someItems returns the rows of a kind that have not expired; the one with an id,
// or all where id is empty.
func (t *tx) someItems(ctx context.Context, kind, id string) (out []keyturn.Item, err error) {
	kinds, ids := t.MACs("kind", kind), t.MACs("item", kind, id)
	query, args := "SELECT kind, id, body FROM item WHERE kind IN (?, ?)", []any{kinds[0], kinds[1]}
	if id != "" {
		query, args = query+" AND id IN (?, ?)", append(args, ids[0], ids[1])
	}
	err = sqlite.Each(ctx, t, query, args, func(r *sql.Rows) error {
		var kindMAC, mac, body []byte
		if err := r.Scan(&kindMAC, &mac, &body); err != nil {
			return err
		}
		is, it, err := t.OpenItem(kindMAC, mac, body)
		if err == nil && (is != kind || id != "" && it.ID != id) {
			err = t.db.damaged("an item stands under another name")
		}
		if err == nil && !t.db.expired(it) {
			out = append(out, it)
		}
		return err
	})
	if err == nil && id != "" && len(out) > 1 {
		err = t.db.damaged("an item is there twice")
	}
	return out, err
}

// readItems runs do in one snapshot, in which the rows of all items are those that
// the head tells of.
func (db *DB) readItems(ctx context.Context, do func(*tx) error) error {
	return db.read(ctx, func(t *tx) error {
		h, err := t.top(ctx)
		if err != nil {
			return err
		}
		if _, err := table.CheckItems(ctx, t.Conn, t.Keys, h.Items, nil); err != nil {
			return err
		}
		return do(t)
	})
}

// Item returns one item; NotFound where there is none or it has expired; Corrupt
// where any item of any kind was changed or removed from outside.
func (db *DB) Item(ctx context.Context, kind, id string) (keyturn.Item, error) {
	var some []keyturn.Item
	err := db.readItems(ctx, func(t *tx) (err error) {
		if id != "" {
			some, err = t.someItems(ctx, kind, id)
		}
		return err
	})
	if err != nil {
		return keyturn.Item{}, err
	}
	if len(some) == 0 {
		return keyturn.Item{}, keyturn.E(keyturn.NotFound, "no "+keyturn.Clean(kind)+" '"+keyturn.Clean(id)+"'", "")
	}
	return some[0], nil
}

// Items yields the items of a kind that have not expired, by id. It is one
// snapshot, which is held in memory; no transaction is open while it yields.
func (db *DB) Items(ctx context.Context, kind string) iter.Seq2[keyturn.Item, error] {
	return func(yield func(keyturn.Item, error) bool) {
		var out []keyturn.Item
		err := db.readItems(ctx, func(t *tx) (err error) {
			out, err = t.someItems(ctx, kind, "")
			return err
		})
		if err != nil {
			yield(keyturn.Item{}, err)
			return
		}
		slices.SortFunc(out, func(a, b keyturn.Item) int { return cmp.Compare(a.ID, b.ID) })
		for _, it := range out {
			if !yield(it, nil) {
				return
			}
		}
	}
}

// UpdateItem replaces one item in one durable transaction: change gets it, or one
// without a body where there is none or it has expired, and returns the new one; a
// nil body removes it. An error of change is returned, and leaves everything as it
// was. Change must not write to the store itself. Expired items of the same kind
// are removed on the way.
func (db *DB) UpdateItem(ctx context.Context, kind, id string, change func(keyturn.Item) (keyturn.Item, error)) error {
	if id == "" {
		return keyturn.E(keyturn.Internal, "an item has no id", "")
	}
	return db.write(ctx, func(t *tx, h *rows.Top) error {
		kinds, ids, now := t.MACs("kind", kind), t.MACs("item", kind, id), db.now().Unix()
		stay, err := table.CheckItems(ctx, t.Conn, t.Keys, h.Items, func(k, i []byte, expires int64) bool {
			return among(k, kinds) && (among(i, ids) || expires > 0 && expires <= now)
		})
		if err != nil {
			return err
		}
		old := keyturn.Item{ID: id}
		some, err := t.someItems(ctx, kind, id)
		if err != nil {
			return err
		}
		if len(some) > 0 {
			old = some[0]
		}
		it, err := change(old)
		if err != nil {
			return err
		}
		it.ID, h.Items = id, stay
		err = t.exec(ctx, "DELETE FROM item WHERE kind IN (?, ?) AND (id IN (?, ?) OR expires > 0 AND expires <= ?)", kinds[0], kinds[1], ids[0], ids[1], now)
		if err != nil || it.Body == nil {
			return err
		}
		return table.PutItem(ctx, t.Conn, &h.Items, t.SealItem(kind, it), t.Keys)
	})
}

func among(mac []byte, macs [2][]byte) bool {
	return bytes.Equal(mac, macs[0]) || bytes.Equal(mac, macs[1])
}
