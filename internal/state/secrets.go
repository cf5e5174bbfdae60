package state

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"iter"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state/rows"
	"github.com/keyturn/keyturn/internal/state/seal"
	"github.com/keyturn/keyturn/internal/state/sqlite"
)

func nothing(name string) error {
	return keyturn.E(keyturn.NotFound, "no secret at "+keyturn.Clean(name), "")
}

func noVersion(name string, number int) error {
	return keyturn.E(keyturn.NotFound, "no version "+strconv.Itoa(number)+" of "+keyturn.Clean(name), "")
}

// find returns the secret's row within a transaction; nil where there is none.
func (t *tx) find(ctx context.Context, name string) (s *rows.Secret, err error) {
	macs := t.MACs("name", name)
	err = sqlite.Each(ctx, t, "SELECT id, name, newest, head FROM secret WHERE name IN (?, ?)", []any{macs[0], macs[1]}, func(r *sql.Rows) error {
		var id int64
		var newest int
		var mac, head []byte
		if err := r.Scan(&id, &mac, &newest, &head); err != nil {
			return err
		}
		if s != nil {
			return t.db.damaged("a secret is there twice")
		}
		if s, err = t.OpenHead(id, mac, newest, head); err == nil {
			s.Tag = t.SecretTag(mac, head)
		}
		return err
	})
	if err == nil && s != nil && s.Name != name {
		err = t.db.damaged("a secret stands under another name")
	}
	return s, err
}

// all returns all versions of a secret within a transaction, oldest first.
func (t *tx) all(ctx context.Context, s *rows.Secret) ([]*rows.Version, error) {
	var out []*rows.Version
	err := sqlite.Each(ctx, t, "SELECT number, info, key IS NULL AND data IS NULL FROM version WHERE secret = ? ORDER BY number", []any{s.ID}, func(r *sql.Rows) error {
		var number int
		var info []byte
		var gone bool
		if err := r.Scan(&number, &info, &gone); err != nil {
			return err
		}
		if number != len(out)+1 {
			return t.db.damaged("a version of a secret is missing")
		}
		if number > s.Newest {
			return rows.NotNewest
		}
		v, err := t.OpenVersion(s, number, info, gone)
		out = append(out, v)
		return err
	})
	if err == nil && len(out) != s.Newest {
		err = rows.NotNewest
	}
	return out, err
}

// Versions returns all versions of a secret, oldest first, deleted and destroyed
// ones too; of destroyed ones only number and times are known. NotFound where
// there is nothing of that name.
func (db *DB) Versions(ctx context.Context, name string) ([]keyturn.Info, error) {
	var out []keyturn.Info
	err := db.read(ctx, func(t *tx) error {
		s, err := t.find(ctx, name)
		if err != nil {
			return err
		}
		if s == nil {
			return nothing(name)
		}
		versions, err := t.all(ctx, s)
		for _, v := range versions {
			if err == nil {
				out = append(out, v.Info)
			}
		}
		return err
	})
	return out, err
}

// Read returns one version with its values, deleted ones too; number 0 is the newest
// one. Info.Current tells whether it is that and live. NotFound where there is no
// such version, or it is destroyed.
func (db *DB) Read(ctx context.Context, name string, number int) (keyturn.Secret, error) {
	var out keyturn.Secret
	const query = `SELECT s.id, s.name, s.newest, s.head, v.info, v.key, v.data,
		coalesce((SELECT max(number) FROM version WHERE secret = s.id), 0)
		FROM secret s LEFT JOIN version v ON v.secret = s.id AND v.number = CASE ?3 WHEN 0 THEN s.newest ELSE ?3 END WHERE s.name IN (?1, ?2)`
	err := db.read(ctx, func(t *tx) error {
		found := false
		macs := t.MACs("name", name)
		err := sqlite.Each(ctx, t, query, []any{macs[0], macs[1], number}, func(r *sql.Rows) error {
			found = true
			var id int64
			var newest, there int
			var mac, head, info, key, data []byte
			if err := r.Scan(&id, &mac, &newest, &head, &info, &key, &data, &there); err != nil {
				return err
			}
			s, err := t.OpenHead(id, mac, newest, head)
			if err == nil && there != newest {
				err = rows.NotNewest
			}
			if err == nil && s.Name != name {
				err = db.damaged("a secret stands under another name")
			}
			if err != nil {
				return err
			}
			n := number
			if n == 0 {
				n = s.Newest
			}
			if n < 1 || n > s.Newest {
				return noVersion(name, number)
			}
			v, err := t.OpenVersion(s, n, info, key == nil && data == nil)
			if err != nil {
				return err
			}
			if v.Info.State == keyturn.Destroyed {
				return noVersion(name, number)
			}
			out.Info = v.Info
			out.Current = n == s.Newest && v.Info.State == keyturn.Live
			out.Values, err = t.OpenValues(s, v, key, data)
			return err
		})
		if err == nil && !found {
			err = nothing(name)
		}
		return err
	})
	if err != nil {
		return keyturn.Secret{}, err
	}
	return out, nil
}

// Names yields the newest version of each secret whose name is under or lies below
// it, by name. No value is touched. It is one snapshot: the rows are read at the
// first step, and the names and infos of all that match are held in memory (some
// hundred bytes each) until the last; no transaction is open while it yields.
func (db *DB) Names(ctx context.Context, under string) iter.Seq2[keyturn.Info, error] {
	type row struct {
		name   string
		number int
		plain  []byte
	}
	return func(yield func(keyturn.Info, error) bool) {
		var found []row
		const query = `SELECT s.id, s.name, s.newest, s.head, coalesce(v.number, 0), v.info
			FROM secret s LEFT JOIN version v ON v.secret = s.id AND v.number = (SELECT max(number) FROM version WHERE secret = s.id)`
		var mac, head, info sql.RawBytes
		err := db.read(ctx, func(t *tx) error {
			return sqlite.Each(ctx, t, query, nil, func(r *sql.Rows) error {
				var id int64
				var newest, there int
				if err := r.Scan(&id, &mac, &newest, &head, &there, &info); err != nil {
					return err
				}
				s, err := t.OpenHead(id, mac, newest, head)
				if err == nil && there != newest {
					err = rows.NotNewest
				}
				if err != nil || !keyturn.Under(under, s.Name) {
					return err
				}
				plain, err := t.OpenInfo(s, newest, info)
				found = append(found, row{s.Name, newest, plain})
				return err
			})
		})
		if err != nil {
			yield(keyturn.Info{}, err)
			return
		}
		slices.SortFunc(found, func(a, b row) int { return cmp.Compare(a.name, b.name) })
		for i, r := range found {
			v, err := rows.DecodeInfo(r.name, r.number, r.plain)
			if err == nil && i%256 == 0 {
				err = ctx.Err()
			}
			if err != nil {
				yield(keyturn.Info{}, err)
				return
			}
			if !yield(v.Info, nil) {
				return
			}
		}
	}
}

// Append makes the version after the newest one. Expect is the number that must be
// newest: 0 for no such secret, -1 for anything; Conflict where it is not, and then
// nothing has changed. The time is the clock's, but never before that of the
// version ahead. Durable when it returns.
func (db *DB) Append(ctx context.Context, name string, expect int, in keyturn.Secret) (keyturn.Info, error) {
	var out keyturn.Info
	err := db.write(ctx, func(t *tx, h *rows.Top) error {
		s, err := t.find(ctx, name)
		if err != nil {
			return err
		}
		isNew := s == nil
		if isNew {
			s = &rows.Secret{Name: name, Life: string(seal.Random(16))}
		}
		if expect >= 0 && s.Newest != expect {
			return keyturn.E(keyturn.Conflict, keyturn.Clean(name)+" is not at the version that was expected", "")
		}
		now := db.now().UTC().Truncate(time.Microsecond)
		if now.Before(s.Last) {
			now = s.Last
		}
		s.Newest, s.Last = s.Newest+1, now
		v := &rows.Version{Number: s.Newest, Info: keyturn.Info{
			Path: name, Version: strconv.Itoa(s.Newest), State: keyturn.Live, Created: now,
			Fields: slices.Sorted(maps.Keys(in.Values)), Public: slices.Clone(in.Public),
			Given: maps.Clone(in.Given), Labels: maps.Clone(in.Labels), Expires: in.Expires.UTC(),
		}}
		key, data, err := t.SealValues(s, v.Number, v.Info.Fields, in.Values)
		if err != nil {
			return err
		}
		if err := t.putHead(ctx, h, s, isNew); err != nil {
			return err
		}
		out = v.Info
		return t.exec(ctx, "INSERT INTO version (secret, number, info, key, data) VALUES (?, ?, ?, ?, ?)",
			s.ID, v.Number, t.SealInfo(s, v), key, data)
	})
	if err != nil {
		return keyturn.Info{}, err
	}
	return out, nil
}

func (t *tx) putHead(ctx context.Context, h *rows.Top, s *rows.Secret, isNew bool) error {
	mac := t.MAC("name", s.Name)
	head := t.SealHead(mac, s)
	if !isNew {
		h.Secrets.Remove(s.Tag)
	}
	s.Tag = t.SecretTag(mac, head)
	h.Secrets.Add(s.Tag)
	if !isNew {
		return t.exec(ctx, "UPDATE secret SET name = ?, newest = ?, head = ? WHERE id = ?", mac, s.Newest, head, s.ID)
	}
	r, err := t.ExecContext(ctx, "INSERT INTO secret (name, newest, head) VALUES (?, ?, ?)", mac, s.Newest, head)
	if err != nil {
		return err
	}
	s.ID, err = r.LastInsertId()
	return err
}

// pick returns versions that exist and are not destroyed, within a transaction.
func (t *tx) pick(ctx context.Context, name string, numbers ...int) (*rows.Secret, []*rows.Version, error) {
	s, err := t.find(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	if s == nil {
		return nil, nil, nothing(name)
	}
	var out []*rows.Version
	for _, n := range numbers {
		var info []byte
		var gone bool
		if n < 1 || n > s.Newest {
			return nil, nil, noVersion(name, n)
		}
		err := sqlite.Each(ctx, t, "SELECT info, key IS NULL AND data IS NULL FROM version WHERE secret = ? AND number = ?", []any{s.ID, n},
			func(r *sql.Rows) error { return r.Scan(&info, &gone) })
		if err != nil {
			return nil, nil, err
		}
		v, err := t.OpenVersion(s, n, info, gone)
		if err != nil {
			return nil, nil, err
		}
		if v.Info.State == keyturn.Destroyed {
			return nil, nil, noVersion(name, n)
		}
		out = append(out, v)
	}
	return s, out, nil
}

// Mark makes a version live or deleted. NotFound where there is none, or it is
// destroyed. Durable when it returns.
func (db *DB) Mark(ctx context.Context, name string, number int, state keyturn.State) (keyturn.Info, error) {
	if state != keyturn.Live && state != keyturn.Deleted {
		return keyturn.Info{}, keyturn.E(keyturn.Internal, "a version cannot be marked '"+string(state)+"'", "")
	}
	var out keyturn.Info
	err := db.write(ctx, func(t *tx, h *rows.Top) error {
		s, versions, err := t.pick(ctx, name, number)
		if err != nil {
			return err
		}
		v := versions[0]
		v.Info.State = state
		s.Revise(v)
		out = v.Info
		if err := t.putHead(ctx, h, s, false); err != nil {
			return err
		}
		return t.exec(ctx, "UPDATE version SET info = ? WHERE secret = ? AND number = ?", t.SealInfo(s, v), s.ID, number)
	})
	if err != nil {
		return keyturn.Info{}, err
	}
	return out, nil
}

// Shred destroys the data keys and values of versions, all or none, and keeps
// their numbers and times; with numbers nil the secret goes with all that is known
// of it. NotFound where the secret, or one of the versions, is not there or is
// destroyed.
//
// When it returns nil, neither the database nor its WAL holds the wrapped keys or
// the values; what a disk keeps of overwritten blocks is beyond it. For that the
// database is written anew, which takes as long as copying it. Where that failed, or
// another process read for so long that the WAL could not be emptied, the versions
// are destroyed and the error is Unavailable and says so.
func (db *DB) Shred(ctx context.Context, name string, numbers []int) error {
	err := db.write(ctx, func(t *tx, h *rows.Top) error {
		if numbers == nil {
			return t.forget(ctx, h, name)
		}
		distinct := slices.Compact(slices.Sorted(slices.Values(numbers)))
		s, versions, err := t.pick(ctx, name, distinct...)
		if err != nil {
			return err
		}
		for _, v := range versions {
			v.Info = keyturn.Info{State: keyturn.Destroyed, Created: v.Info.Created, Expires: v.Info.Expires}
			s.Revise(v)
			if err := t.exec(ctx, "UPDATE version SET info = ?, key = NULL, data = NULL WHERE secret = ? AND number = ?",
				t.SealInfo(s, v), s.ID, v.Number); err != nil {
				return err
			}
		}
		return t.putHead(ctx, h, s, false)
	})
	if err != nil {
		return err
	}
	// The change is made: the caller's leaving does not stop the rows.Wiping.
	err = db.wipe(context.WithoutCancel(ctx))
	var e *keyturn.Error
	if errors.As(err, &e) {
		return keyturn.E(keyturn.Unavailable, keyturn.Clean(name)+" was destroyed, but its encrypted remains are still in '"+keyturn.Clean(db.path)+"' or its -wal file",
			"the next destroy removes them too").Because(err)
	}
	return err
}

func (t *tx) forget(ctx context.Context, h *rows.Top, name string) error {
	s, err := t.find(ctx, name)
	if err != nil {
		return err
	}
	if s == nil {
		return nothing(name)
	}
	h.Secrets.Remove(s.Tag)
	if err := t.exec(ctx, "DELETE FROM version WHERE secret = ?", s.ID); err != nil {
		return err
	}
	return t.exec(ctx, "DELETE FROM secret WHERE id = ?", s.ID)
}
