// Package table works on whole tables of a store: it checks their rows against the sums
// in the head, and encrypts them anew. Callers pass in the transaction.
package table

import (
	"context"
	"database/sql"
	"strconv"

	"github.com/keyturn/keyturn/internal/state/rows"
	"github.com/keyturn/keyturn/internal/state/seal"
	"github.com/keyturn/keyturn/internal/state/sqlite"
)

// CheckItems checks all rows of items against their sum, and returns the sum of those
// that stay; nil for all.
func CheckItems(ctx context.Context, conn sqlite.Conn, k rows.Keys, want rows.Sum, goes func(kind, id []byte, expires int64) bool) (stay rows.Sum, err error) {
	const query = "SELECT kind, id, expires, length(body), substr(body, 1, ?), substr(body, -?) FROM item"
	var is rows.Sum
	err = sqlite.Each(ctx, conn, query, []any{k.Overhead(), seal.TagSize}, func(r *sql.Rows) error {
		var kind, id, front, end []byte
		var expires int64
		var length int
		if err := r.Scan(&kind, &id, &expires, &length, &front, &end); err != nil {
			return err
		}
		n := k.ItemTag(kind, id, expires, length, front, end)
		is.Add(n)
		if goes == nil || !goes(kind, id, expires) {
			stay.Add(n)
		}
		return nil
	})
	if err == nil && is != want {
		err = rows.Damage("requests, approvals or other items were removed, or replaced by older copies" + counted(want.N, is.N))
	}
	return stay, err
}

func counted(want, is int) string {
	if want == is {
		return ""
	}
	return " (" + strconv.Itoa(want) + " should be there, " + strconv.Itoa(is) + " are)"
}

// CheckSecrets checks all rows of secrets and versions against their sum. Values are
// decrypted, and dropped, where values is set.
func CheckSecrets(ctx context.Context, conn sqlite.Conn, k rows.Keys, want rows.Sum, values bool) error {
	// The versions of a secret come one after the other: both tables are read in
	// the order of their keys.
	const query = `SELECT s.id, s.name, s.newest, s.head, coalesce(v.number, 0), v.info, v.key IS NULL AND v.data IS NULL,
		CASE WHEN ?1 THEN v.key END, CASE WHEN ?1 THEN v.data END
		FROM secret s LEFT JOIN version v ON v.secret = s.id ORDER BY s.id, v.number`
	var is rows.Sum
	var s *rows.Secret
	seen, versions := 0, 0 // of this secret, of all
	var mac, head, info, key, data sql.RawBytes
	err := sqlite.Each(ctx, conn, query, []any{values}, func(r *sql.Rows) error {
		var id int64
		var newest, number int
		var gone bool
		err := r.Scan(&id, &mac, &newest, &head, &number, &info, &gone, &key, &data)
		if err != nil {
			return err
		}
		if s == nil || s.ID != id {
			if s != nil && seen != s.Newest {
				return rows.NotNewest
			}
			if s, err = k.OpenHead(id, mac, newest, head); err != nil {
				return err
			}
			is.Add(k.SecretTag(mac, head))
			seen = 0
		}
		seen++
		versions++
		if number != seen || number > s.Newest {
			return rows.Damage("a version of a secret is missing, or is one too many")
		}
		v, err := k.OpenVersion(s, number, info, gone)
		if err == nil && values && !gone {
			_, err = k.OpenValues(s, v, key, data)
		}
		return err
	})
	if err != nil {
		return err
	}
	if s != nil && seen != s.Newest {
		return rows.NotNewest
	}
	if is != want {
		return rows.Damage("a secret was removed, or replaced by an older copy" + counted(want.N, is.N))
	}
	there := 0
	err = sqlite.Each(ctx, conn, "SELECT count(*) FROM version", nil, func(r *sql.Rows) error { return r.Scan(&there) })
	if err == nil && there != versions {
		err = rows.Damage("there are versions without a secret")
	}
	return err
}
