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
	"github.com/keyturn/keyturn/internal/state/codec"
)

// secret is the row of a secret.
type secret struct {
	id   int64
	name string
	// life is a random id that a secret gets when it is made, so that a row of a
	// secret that was destroyed does not fit the next one of the same name.
	life   string
	newest int
	last   time.Time // when the newest version was made
	revs   map[int]int
	rev    int       // the largest of revs
	tag    [4]uint64 // of the row, from find
}

// version is the row of a version.
type version struct {
	number int
	rev    int // 0 as made; must be what the secret's row says
	info   keyturn.Info
}

var states = []keyturn.State{keyturn.Live, keyturn.Deleted, keyturn.Destroyed}

// What the parts of a secret are bound to.
func (db *DB) headPlace(mac []byte) []byte { return db.keys.place("secret", string(mac)) }

func (db *DB) versionPlace(what string, s *secret, number int) []byte {
	return db.keys.place(what, s.life, s.name, strconv.Itoa(number))
}

func (db *DB) fieldPlace(s *secret, number int, field string) []byte {
	return db.keys.place("field", s.life, s.name, strconv.Itoa(number), field)
}

func (db *DB) sealHead(s *secret) []byte {
	e := make(codec.Encoder, 0, 128)
	e.Text(s.name)
	e.Text(s.life)
	e.Num(s.newest)
	e.Time(s.last)
	e.Num(s.rev)
	e.Num(len(s.revs))
	for _, n := range slices.Sorted(maps.Keys(s.revs)) {
		e.Num(n)
		e.Num(s.revs[n])
	}
	return seal(db.keys.head, e, db.headPlace(db.keys.mac("name", s.name)))
}

// openHead reads a secret's row that was found under mac.
func (db *DB) openHead(id int64, mac []byte, newest int, sealed []byte) (*secret, error) {
	plain, err := unseal(db.keys.head, sealed, db.headPlace(mac))
	if err != nil {
		return nil, db.damaged("the row of a secret cannot be read")
	}
	d := codec.Decoder{Rest: plain}
	s := &secret{id: id, name: d.Text(), life: d.Text(), newest: d.Num(), last: d.Time(), rev: d.Num()}
	if n := d.Count(); n > 0 {
		s.revs = make(map[int]int, n)
		for range n {
			k := d.Num()
			s.revs[k] = d.Num()
		}
	}
	if !d.Done() || s.newest != newest || s.newest < 1 {
		return nil, db.damaged("the row of a secret does not fit its versions")
	}
	return s, nil
}

func (db *DB) sealInfo(s *secret, v *version) []byte {
	e := make(codec.Encoder, 0, 256)
	e.Num(v.rev)
	e.Num(slices.Index(states, v.info.State))
	e.Time(v.info.Created)
	e.Time(v.info.Expires)
	e.Texts(v.info.Fields)
	e.Texts(v.info.Public)
	e.Num(len(v.info.Labels))
	for _, k := range slices.Sorted(maps.Keys(v.info.Labels)) {
		e.Text(k)
		e.Text(v.info.Labels[k])
	}
	return seal(db.keys.info, e, db.versionPlace("version", s, v.number))
}

// openInfo reads the row of a version; sealed is nil where the row is missing.
// Plain is what decodeInfo reads; it has been checked.
func (db *DB) openInfo(s *secret, number int, sealed []byte) (plain []byte, err error) {
	if sealed == nil {
		return nil, db.damaged("a version of a secret is missing")
	}
	plain, err = unseal(db.keys.info, sealed, db.versionPlace("version", s, number))
	if err != nil {
		return nil, db.damaged("a version of a secret cannot be read")
	}
	d := codec.Decoder{Rest: plain}
	if d.Num() != s.revs[number] || d.Bad {
		return nil, db.damaged("a version of a secret was replaced by an older copy")
	}
	return plain, nil
}

func (db *DB) decodeInfo(name string, number int, plain []byte) (*version, error) {
	d := codec.Decoder{Rest: plain}
	v := &version{number: number, rev: d.Num(), info: keyturn.Info{Path: name, Version: strconv.Itoa(number)}}
	state := d.Num()
	v.info.Created, v.info.Expires = d.Time(), d.Time()
	v.info.Fields, v.info.Public = d.Texts(), d.Texts()
	if n := d.Count(); n > 0 {
		v.info.Labels = make(map[string]string, n)
		for range n {
			k := d.Text()
			v.info.Labels[k] = d.Text()
		}
	}
	if !d.Done() || state >= len(states) {
		return nil, db.damaged("a version of a secret cannot be read")
	}
	v.info.State = states[state]
	return v, nil
}

// version reads the row of a version, and checks that its key and values are
// there, or gone where it is destroyed.
func (db *DB) version(s *secret, number int, sealed []byte, gone bool) (*version, error) {
	plain, err := db.openInfo(s, number, sealed)
	if err != nil {
		return nil, err
	}
	v, err := db.decodeInfo(s.name, number, plain)
	if err == nil && gone != (v.info.State == keyturn.Destroyed) {
		err = db.damaged("a version of a secret does not fit its key")
	}
	return v, err
}

func nothing(name string) error {
	return keyturn.E(keyturn.NotFound, "no secret at "+keyturn.Clean(name), "")
}

func noVersion(name string, number int) error {
	return keyturn.E(keyturn.NotFound, "no version "+strconv.Itoa(number)+" of "+keyturn.Clean(name), "")
}

// find returns the secret's row within a transaction; nil where there is none.
func (db *DB) find(ctx context.Context, q querier, name string) (s *secret, err error) {
	mac := db.keys.mac("name", name)
	err = each(ctx, q, "SELECT id, newest, head FROM secret WHERE name = ?", []any{mac}, func(r *sql.Rows) error {
		var id int64
		var newest int
		var head []byte
		if err := r.Scan(&id, &newest, &head); err != nil {
			return err
		}
		if s, err = db.openHead(id, mac, newest, head); err == nil {
			s.tag = db.keys.secretTag(mac, head)
		}
		return err
	})
	if err == nil && s != nil && s.name != name {
		err = db.damaged("a secret stands under another name")
	}
	return s, err
}

// all returns all versions of a secret within a transaction, oldest first.
func (db *DB) all(ctx context.Context, q querier, s *secret) ([]*version, error) {
	var out []*version
	err := each(ctx, q, "SELECT number, info, key IS NULL AND data IS NULL FROM version WHERE secret = ? ORDER BY number", []any{s.id}, func(r *sql.Rows) error {
		var number int
		var info []byte
		var gone bool
		if err := r.Scan(&number, &info, &gone); err != nil {
			return err
		}
		if number != len(out)+1 {
			return db.damaged("a version of a secret is missing")
		}
		if number > s.newest {
			return db.notNewest()
		}
		v, err := db.version(s, number, info, gone)
		out = append(out, v)
		return err
	})
	if err == nil && len(out) != s.newest {
		err = db.notNewest()
	}
	return out, err
}

func (db *DB) notNewest() error {
	return db.damaged("the newest version of a secret is missing, or is not the newest")
}

// Versions returns all versions of a secret, oldest first, deleted and destroyed
// ones too; of destroyed ones only number and times are known. NotFound where
// there is nothing of that name.
func (db *DB) Versions(ctx context.Context, name string) ([]keyturn.Info, error) {
	var out []keyturn.Info
	err := db.read(ctx, func(t tx) error {
		s, err := db.find(ctx, t, name)
		if err != nil {
			return err
		}
		if s == nil {
			return nothing(name)
		}
		versions, err := db.all(ctx, t, s)
		for _, v := range versions {
			if err == nil {
				out = append(out, v.info)
			}
		}
		return err
	})
	return out, err
}

// Read returns one version with its values, deleted ones too. NotFound where there
// is no such version, or it is destroyed.
func (db *DB) Read(ctx context.Context, name string, number int) (keyturn.Secret, error) {
	var out keyturn.Secret
	mac := db.keys.mac("name", name)
	const query = `SELECT s.id, s.newest, s.head, v.info, v.key, v.data,
		coalesce((SELECT max(number) FROM version WHERE secret = s.id), 0)
		FROM secret s LEFT JOIN version v ON v.secret = s.id AND v.number = ?2 WHERE s.name = ?1`
	found := false
	err := each(ctx, db.pool, query, []any{mac, number}, func(r *sql.Rows) error {
		found = true
		var id int64
		var newest, there int
		var head, info, key, data []byte
		if err := r.Scan(&id, &newest, &head, &info, &key, &data, &there); err != nil {
			return err
		}
		s, err := db.openHead(id, mac, newest, head)
		if err == nil && there != newest {
			err = db.notNewest()
		}
		if err != nil {
			return err
		}
		if number < 1 || number > s.newest {
			return noVersion(name, number)
		}
		v, err := db.version(s, number, info, key == nil && data == nil)
		if err != nil {
			return err
		}
		if v.info.State == keyturn.Destroyed {
			return noVersion(name, number)
		}
		out.Info = v.info
		out.Values, err = db.openValues(s, v, key, data)
		return err
	})
	if err == nil && !found {
		err = nothing(name)
	}
	if err != nil {
		return keyturn.Secret{}, db.fail(ctx, err)
	}
	return out, nil
}

func (db *DB) openValues(s *secret, v *version, key, data []byte) (map[string]keyturn.Value, error) {
	bad := func() (map[string]keyturn.Value, error) {
		return nil, db.damaged("the values of a secret cannot be read")
	}
	plainKey, err := unseal(db.keys.data, key, db.versionPlace("key", s, v.number))
	if err != nil {
		return bad()
	}
	aead, err := newAEAD(plainKey)
	if err != nil {
		return bad()
	}
	d := codec.Decoder{Rest: data}
	out := make(map[string]keyturn.Value, len(v.info.Fields))
	for _, f := range v.info.Fields {
		plain, err := unseal(aead, d.Bytes(), db.fieldPlace(s, v.number, f))
		if err != nil {
			return bad()
		}
		out[f] = keyturn.NewValue(plain)
	}
	if !d.Done() {
		return bad()
	}
	return out, nil
}

// sealValues encrypts values under a data key of their own; it returns that key,
// wrapped, and the ciphertexts in the order of fields.
func (db *DB) sealValues(s *secret, number int, fields []string, values map[string]keyturn.Value) (key, data []byte, err error) {
	plainKey := random(keySize)
	aead, err := newAEAD(plainKey)
	if err != nil {
		return nil, nil, err
	}
	e := make(codec.Encoder, 0, 256)
	for _, f := range fields {
		e.Bytes(seal(aead, values[f].Reveal(), db.fieldPlace(s, number, f)))
	}
	return seal(db.keys.data, plainKey, db.versionPlace("key", s, number)), e, nil
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
		var rows []row
		const query = `SELECT s.id, s.name, s.newest, s.head, coalesce(v.number, 0), v.info
			FROM secret s LEFT JOIN version v ON v.secret = s.id AND v.number = (SELECT max(number) FROM version WHERE secret = s.id)`
		var mac, head, info sql.RawBytes
		err := each(ctx, db.pool, query, nil, func(r *sql.Rows) error {
			var id int64
			var newest, there int
			if err := r.Scan(&id, &mac, &newest, &head, &there, &info); err != nil {
				return err
			}
			s, err := db.openHead(id, mac, newest, head)
			if err == nil && there != newest {
				err = db.notNewest()
			}
			if err != nil || !keyturn.Under(under, s.name) {
				return err
			}
			plain, err := db.openInfo(s, newest, info)
			rows = append(rows, row{s.name, newest, plain})
			return err
		})
		if err != nil {
			yield(keyturn.Info{}, db.fail(ctx, err))
			return
		}
		slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.name, b.name) })
		for i, r := range rows {
			v, err := db.decodeInfo(r.name, r.number, r.plain)
			if err == nil && i%256 == 0 {
				err = ctx.Err()
			}
			if err != nil {
				yield(keyturn.Info{}, err)
				return
			}
			if !yield(v.info, nil) {
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
	err := db.write(ctx, func(t tx, h *top) error {
		s, err := db.find(ctx, t, name)
		if err != nil {
			return err
		}
		isNew := s == nil
		if isNew {
			s = &secret{name: name, life: string(random(16))}
		}
		if expect >= 0 && s.newest != expect {
			return keyturn.E(keyturn.Conflict, keyturn.Clean(name)+" is not at the version that was expected", "")
		}
		now := db.now().UTC().Truncate(time.Microsecond)
		if now.Before(s.last) {
			now = s.last
		}
		s.newest, s.last = s.newest+1, now
		v := &version{number: s.newest, info: keyturn.Info{
			Path: name, Version: strconv.Itoa(s.newest), State: keyturn.Live, Created: now,
			Fields: slices.Sorted(maps.Keys(in.Values)), Public: slices.Clone(in.Public),
			Labels: maps.Clone(in.Labels), Expires: in.Expires.UTC(),
		}}
		key, data, err := db.sealValues(s, v.number, v.info.Fields, in.Values)
		if err != nil {
			return err
		}
		if err := db.putHead(ctx, t, h, s, isNew); err != nil {
			return err
		}
		out = v.info
		return t.exec(ctx, "INSERT INTO version (secret, number, info, key, data) VALUES (?, ?, ?, ?, ?)",
			s.id, v.number, db.sealInfo(s, v), key, data)
	})
	if err != nil {
		return keyturn.Info{}, err
	}
	return out, nil
}

func (db *DB) putHead(ctx context.Context, t tx, h *top, s *secret, isNew bool) error {
	mac, head := db.keys.mac("name", s.name), db.sealHead(s)
	if !isNew {
		h.secrets.remove(s.tag)
	}
	s.tag = db.keys.secretTag(mac, head)
	h.secrets.add(s.tag)
	if !isNew {
		return t.exec(ctx, "UPDATE secret SET newest = ?, head = ? WHERE id = ?", s.newest, head, s.id)
	}
	r, err := t.ExecContext(ctx, "INSERT INTO secret (name, newest, head) VALUES (?, ?, ?)", mac, s.newest, head)
	if err != nil {
		return err
	}
	s.id, err = r.LastInsertId()
	return err
}

// pick returns versions that exist and are not destroyed, within a transaction.
func (db *DB) pick(ctx context.Context, t tx, name string, numbers ...int) (*secret, []*version, error) {
	s, err := db.find(ctx, t, name)
	if err != nil {
		return nil, nil, err
	}
	if s == nil {
		return nil, nil, nothing(name)
	}
	var out []*version
	for _, n := range numbers {
		var info []byte
		var gone bool
		if n < 1 || n > s.newest {
			return nil, nil, noVersion(name, n)
		}
		err := each(ctx, t, "SELECT info, key IS NULL AND data IS NULL FROM version WHERE secret = ? AND number = ?", []any{s.id, n},
			func(r *sql.Rows) error { return r.Scan(&info, &gone) })
		if err != nil {
			return nil, nil, err
		}
		v, err := db.version(s, n, info, gone)
		if err != nil {
			return nil, nil, err
		}
		if v.info.State == keyturn.Destroyed {
			return nil, nil, noVersion(name, n)
		}
		out = append(out, v)
	}
	return s, out, nil
}

// revise gives a version the next revision.
func (s *secret) revise(v *version) {
	if s.revs == nil {
		s.revs = map[int]int{}
	}
	s.rev++
	v.rev = s.rev
	s.revs[v.number] = s.rev
}

// Mark makes a version live or deleted. NotFound where there is none, or it is
// destroyed. Durable when it returns.
func (db *DB) Mark(ctx context.Context, name string, number int, state keyturn.State) (keyturn.Info, error) {
	if state != keyturn.Live && state != keyturn.Deleted {
		return keyturn.Info{}, keyturn.E(keyturn.Internal, "a version cannot be marked '"+string(state)+"'", "")
	}
	var out keyturn.Info
	err := db.write(ctx, func(t tx, h *top) error {
		s, versions, err := db.pick(ctx, t, name, number)
		if err != nil {
			return err
		}
		v := versions[0]
		v.info.State = state
		s.revise(v)
		out = v.info
		if err := db.putHead(ctx, t, h, s, false); err != nil {
			return err
		}
		return t.exec(ctx, "UPDATE version SET info = ? WHERE secret = ? AND number = ?", db.sealInfo(s, v), s.id, number)
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
// When it returns nil, neither the database nor its WAL holds the wrapped keys;
// what a disk keeps of overwritten blocks is beyond it. Where another process read
// for so long that the WAL could not be emptied, the versions are destroyed and the
// error is Unavailable and says so.
func (db *DB) Shred(ctx context.Context, name string, numbers []int) error {
	err := db.write(ctx, func(t tx, h *top) error {
		if numbers == nil {
			return db.forget(ctx, t, h, name)
		}
		distinct := slices.Compact(slices.Sorted(slices.Values(numbers)))
		s, versions, err := db.pick(ctx, t, name, distinct...)
		if err != nil {
			return err
		}
		for _, v := range versions {
			v.info = keyturn.Info{State: keyturn.Destroyed, Created: v.info.Created, Expires: v.info.Expires}
			s.revise(v)
			if err := t.exec(ctx, "UPDATE version SET info = ?, key = NULL, data = NULL WHERE secret = ? AND number = ?",
				db.sealInfo(s, v), s.id, v.number); err != nil {
				return err
			}
		}
		return db.putHead(ctx, t, h, s, false)
	})
	if err != nil {
		return err
	}
	// The change is made: the caller's leaving does not stop the wiping.
	err = db.wipe(context.WithoutCancel(ctx))
	var e *keyturn.Error
	if errors.As(err, &e) {
		return keyturn.E(keyturn.Unavailable, keyturn.Clean(name)+" was destroyed, but its encrypted remains are still in '"+keyturn.Clean(db.path)+"-wal'",
			"the next destroy removes them too; so does the next put, once nothing else has the store open").Because(err)
	}
	return err
}

func (db *DB) forget(ctx context.Context, t tx, h *top, name string) error {
	s, err := db.find(ctx, t, name)
	if err != nil {
		return err
	}
	if s == nil {
		return nothing(name)
	}
	h.secrets.remove(s.tag)
	if err := t.exec(ctx, "DELETE FROM version WHERE secret = ?", s.id); err != nil {
		return err
	}
	return t.exec(ctx, "DELETE FROM secret WHERE id = ?", s.id)
}
