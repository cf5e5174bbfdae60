package state

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"iter"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state/codec"
)

func (db *DB) sealItem(kind string, mac []byte, it keyturn.Item) []byte {
	e := make(codec.Encoder, 0, len(it.Body)+64)
	e.Text(it.ID)
	e.Time(it.Expires)
	e.Bytes(it.Body)
	return seal(db.keys.item, e, db.keys.place("item", kind, string(mac)))
}

func (db *DB) openItem(kind string, mac, sealed []byte) (keyturn.Item, error) {
	plain, err := unseal(db.keys.item, sealed, db.keys.place("item", kind, string(mac)))
	d := codec.Decoder{Rest: plain}
	it := keyturn.Item{ID: d.Text(), Expires: d.Time(), Body: d.Bytes()}
	if err != nil || !d.Done() {
		return keyturn.Item{}, db.damaged("an item of kind '" + keyturn.Clean(kind) + "' cannot be read")
	}
	return it, nil
}

func (db *DB) expired(it keyturn.Item) bool {
	return !it.Expires.IsZero() && !db.now().Before(it.Expires)
}

// item returns a row that has not expired; its body is nil where there is none.
func (db *DB) item(ctx context.Context, q querier, kind, id string) (keyturn.Item, error) {
	out := keyturn.Item{ID: id}
	mac := db.keys.mac("item", kind, id)
	err := each(ctx, q, "SELECT body FROM item WHERE kind = ? AND id = ?", []any{db.keys.mac("kind", kind), mac}, func(r *sql.Rows) error {
		var body []byte
		if err := r.Scan(&body); err != nil {
			return err
		}
		it, err := db.openItem(kind, mac, body)
		if err == nil && !db.expired(it) {
			out = it
		}
		return err
	})
	return out, err
}

// readItems runs do in one snapshot, in which the rows of all items are those that
// the head tells of.
func (db *DB) readItems(ctx context.Context, do func(tx) error) error {
	return db.read(ctx, func(t tx) error {
		h, err := db.top(ctx, t)
		if err != nil {
			return err
		}
		if _, err := db.itemsOf(ctx, t, h.items, nil); err != nil {
			return err
		}
		return do(t)
	})
}

// Item returns one item; NotFound where there is none or it has expired; Corrupt
// where any item of any kind was changed or removed from outside.
func (db *DB) Item(ctx context.Context, kind, id string) (keyturn.Item, error) {
	var it keyturn.Item
	err := db.readItems(ctx, func(t tx) (err error) {
		it, err = db.item(ctx, t, kind, id)
		return err
	})
	if err != nil {
		return keyturn.Item{}, err
	}
	if it.Body == nil {
		return keyturn.Item{}, keyturn.E(keyturn.NotFound, "no "+keyturn.Clean(kind)+" '"+keyturn.Clean(id)+"'", "")
	}
	return it, nil
}

// Items yields the items of a kind that have not expired, by id. It is one
// snapshot, which is held in memory; no transaction is open while it yields.
func (db *DB) Items(ctx context.Context, kind string) iter.Seq2[keyturn.Item, error] {
	return func(yield func(keyturn.Item, error) bool) {
		var out []keyturn.Item
		err := db.readItems(ctx, func(t tx) error {
			return each(ctx, t, "SELECT id, body FROM item WHERE kind = ?", []any{db.keys.mac("kind", kind)}, func(r *sql.Rows) error {
				var mac, body []byte
				if err := r.Scan(&mac, &body); err != nil {
					return err
				}
				it, err := db.openItem(kind, mac, body)
				if err == nil && !db.expired(it) {
					out = append(out, it)
				}
				return err
			})
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
	return db.write(ctx, func(t tx, h *top) error {
		kindMAC, mac, now := db.keys.mac("kind", kind), db.keys.mac("item", kind, id), db.now().Unix()
		stay, err := db.itemsOf(ctx, t, h.items, func(k, i []byte, expires int64) bool {
			return bytes.Equal(k, kindMAC) && (bytes.Equal(i, mac) || expires > 0 && expires <= now)
		})
		if err != nil {
			return err
		}
		old, err := db.item(ctx, t, kind, id)
		if err != nil {
			return err
		}
		it, err := change(old)
		if err != nil {
			return err
		}
		it.ID, h.items = id, stay
		err = t.exec(ctx, "DELETE FROM item WHERE kind = ? AND (id = ? OR expires > 0 AND expires <= ?)", kindMAC, mac, now)
		if err != nil || it.Body == nil {
			return err
		}
		expires, body := collect(it.Expires), db.sealItem(kind, mac, it)
		h.items.add(db.keys.itemTag(kindMAC, mac, expires, len(body), body[:nonceSize], body[len(body)-tagSize:]))
		return t.exec(ctx, "INSERT INTO item (kind, id, expires, body) VALUES (?, ?, ?, ?)", kindMAC, mac, expires, body)
	})
}

// collect is the second from which a row can be removed: never before it expires.
func collect(expires time.Time) int64 {
	if expires.IsZero() {
		return 0
	}
	return max(1, expires.Add(time.Second-1).Unix())
}
