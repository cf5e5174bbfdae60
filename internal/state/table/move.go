package table

import (
	"context"
	"database/sql"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state/rows"
	"github.com/keyturn/keyturn/internal/state/sqlite"
)

// Mover encrypts rows anew: it opens them with some keys, and seals them with others
// (or the same: then with the newest). Its steps take the next some rows each, and
// return how many these were.
type Mover struct {
	Conn     sqlite.Conn // with a transaction that may write
	From, To rows.Keys
	Pruned   int64 // the head's
	// Sums are changed with the rows.
	SecretsWere, SecretsAre, ItemsWere, ItemsAre *rows.Sum
	// Where the step is.
	id     int64
	number int
}

// A step ends at some rows or some bytes.
const (
	someRows  = 128
	someBytes = 1 << 20
)

// some runs one query that selects rows of old epochs, and collects them up to a
// limit: the statement has ended before anything is written.
func (m *Mover) some(ctx context.Context, query string, args []any, row func(*sql.Rows) (size int, err error)) error {
	size := 0
	return sqlite.Each(ctx, m.Conn, query+" LIMIT ?", append(args, someRows), func(r *sql.Rows) error {
		n, err := row(r)
		if size += n; err == nil && size > someBytes {
			err = sqlite.ErrStop
		}
		return err
	})
}

type secretRow struct {
	id        int64
	mac, head []byte
	newest    int
}

// Secrets moves rows of secrets.
func (m *Mover) Secrets(ctx context.Context) (int, error) {
	var found []secretRow
	const query = "SELECT id, name, newest, head FROM secret WHERE id > ? AND substr(head, 1, 4) <> ? ORDER BY id"
	err := m.some(ctx, query, []any{m.id, m.To.Prefix()}, func(r *sql.Rows) (int, error) {
		var s secretRow
		err := r.Scan(&s.id, &s.mac, &s.newest, &s.head)
		found = append(found, s)
		return len(s.head), err
	})
	if err != nil {
		return 0, err
	}
	for _, r := range found {
		s, err := m.From.OpenHead(r.id, r.mac, r.newest, r.head)
		if err != nil {
			return 0, err
		}
		m.SecretsWere.Remove(m.From.SecretTag(r.mac, r.head))
		mac := m.To.MAC("name", s.Name)
		head := m.To.SealHead(mac, s)
		m.SecretsAre.Add(m.To.SecretTag(mac, head))
		if err := sqlite.Exec(ctx, m.Conn, "UPDATE secret SET name = ?, head = ? WHERE id = ?", mac, head, r.id); err != nil {
			return 0, err
		}
		m.id = r.id
	}
	return len(found), nil
}

type versionRow struct {
	secret          secretRow
	number          int
	info, key, data []byte
}

// Versions moves rows of versions, the values under new data keys. It comes after
// Secrets.
func (m *Mover) Versions(ctx context.Context) (int, error) {
	var found []versionRow
	const query = `SELECT v.secret, v.number, v.info, v.key, v.data, s.name, coalesce(s.newest, 0), s.head
		FROM version v LEFT JOIN secret s ON s.id = v.secret
		WHERE (v.secret, v.number) > (?, ?) AND (substr(v.info, 1, 4) <> ? OR substr(v.key, 1, 4) <> ?) ORDER BY v.secret, v.number`
	prefix := m.To.Prefix()
	err := m.some(ctx, query, []any{m.id, m.number, prefix, prefix}, func(r *sql.Rows) (int, error) {
		var v versionRow
		s := &v.secret
		err := r.Scan(&s.id, &v.number, &v.info, &v.key, &v.data, &s.mac, &s.newest, &s.head)
		found = append(found, v)
		return len(v.info) + len(v.data), err
	})
	if err != nil {
		return 0, err
	}
	for _, r := range found {
		if r.secret.mac == nil {
			return 0, rows.Damage("there are versions without a secret")
		}
		s, err := m.To.OpenHead(r.secret.id, r.secret.mac, r.secret.newest, r.secret.head)
		if err != nil {
			return 0, err
		}
		v, err := m.From.OpenVersion(s, r.number, r.info, r.key == nil && r.data == nil)
		if err != nil {
			return 0, err
		}
		var key, data []byte
		if v.Info.State != keyturn.Destroyed {
			values, err := m.From.OpenValues(s, v, r.key, r.data)
			if err != nil {
				return 0, err
			}
			if key, data, err = m.To.SealValues(s, r.number, v.Info.Fields, values); err != nil {
				return 0, err
			}
		}
		if err := sqlite.Exec(ctx, m.Conn, "UPDATE version SET info = ?, key = ?, data = ? WHERE secret = ? AND number = ?",
			m.To.SealInfo(s, v), key, data, s.ID, r.number); err != nil {
			return 0, err
		}
		m.id, m.number = r.secret.id, r.number
	}
	return len(found), nil
}

// Items moves rows of items.
func (m *Mover) Items(ctx context.Context) (int, error) {
	var found []rows.Item
	err := m.some(ctx, "SELECT kind, id, expires, body FROM item WHERE substr(body, 1, 4) <> ?", []any{m.To.Prefix()}, func(r *sql.Rows) (int, error) {
		var it rows.Item
		err := r.Scan(&it.Kind, &it.ID, &it.Expires, &it.Body)
		found = append(found, it)
		return len(it.Body), err
	})
	if err != nil {
		return 0, err
	}
	for _, r := range found {
		kind, it, err := m.From.OpenItem(r.Kind, r.ID, r.Body)
		if err != nil {
			return 0, err
		}
		m.ItemsWere.Remove(m.From.ItemTagOf(r))
		if err := sqlite.Exec(ctx, m.Conn, "DELETE FROM item WHERE kind = ? AND id = ?", r.Kind, r.ID); err != nil {
			return 0, err
		}
		if err := PutItem(ctx, m.Conn, m.ItemsAre, m.To.SealItem(kind, it), m.To); err != nil {
			return 0, err
		}
	}
	return len(found), nil
}

// PutItem adds a row of an item that is not there, and its tag to the sum.
func PutItem(ctx context.Context, conn sqlite.Conn, sum *rows.Sum, r rows.Item, k rows.Keys) error {
	sum.Add(k.ItemTagOf(r))
	return sqlite.Exec(ctx, conn, "INSERT INTO item (kind, id, expires, body) VALUES (?, ?, ?, ?)", r.Kind, r.ID, r.Expires, r.Body)
}

// Log moves rows of the log.
func (m *Mover) Log(ctx context.Context) (int, error) {
	var found []keyturn.LogEntry
	err := m.some(ctx, "SELECT seq, data FROM log WHERE seq > ? AND substr(data, 1, 4) <> ? ORDER BY seq", []any{m.id, m.To.Prefix()}, func(r *sql.Rows) (int, error) {
		var e keyturn.LogEntry
		err := r.Scan(&e.Seq, &e.Data)
		found = append(found, e)
		return len(e.Data), err
	})
	if err != nil {
		return 0, err
	}
	for _, r := range found {
		e, err := m.From.OpenEntry(r.Seq, r.Data, m.Pruned)
		if err != nil {
			return 0, err
		}
		if err := sqlite.Exec(ctx, m.Conn, "UPDATE log SET data = ? WHERE seq = ?", m.To.SealEntry(e), e.Seq); err != nil {
			return 0, err
		}
		m.id = r.Seq
	}
	return len(found), nil
}
