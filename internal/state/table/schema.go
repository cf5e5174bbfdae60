package table

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn/internal/state/rows"
	"github.com/keyturn/keyturn/internal/state/sqlite"
)

// CheckSchema checks that a database has the tables of schema as they are made, and
// nothing that runs by itself: a view, a trigger, an index or a generated column that
// somebody put in the way would run, for as long as it likes, when a table is read.
// Tables of other names are left alone. With all unset only the table meta need be
// there as it is, for whoever reads no more of a newer format. Comments and white
// space do not count.
func CheckSchema(ctx context.Context, q sqlite.Querier, schema string, all bool) error {
	want := map[string]string{}
	for _, s := range strings.Split(plainSQL(schema), ";") {
		if words := strings.Fields(s); len(words) > 2 {
			want[words[2]] = strings.TrimSpace(s)
		}
	}
	const most = 100
	found, entries, strange := 0, 0, false
	query := "SELECT type, name, tbl_name, substr(coalesce(sql, ''), 1, 4000) FROM sqlite_schema LIMIT " + strconv.Itoa(most)
	err := sqlite.Each(ctx, q, query, nil, func(r *sql.Rows) error {
		var kind, name, table, text string
		if err := r.Scan(&kind, &name, &table, &text); err != nil {
			return err
		}
		entries++
		ours := want[table] != "" && (all || table == "meta")
		switch {
		case kind == "table" && ours && plainSQL(text) == want[table]:
			found++
		case kind == "table" && !ours:
		case kind == "index" && text == "": // of a table's own keys
		case kind == "index" && !ours:
		case !all && table != "meta" && name != "meta":
		default:
			strange = true
		}
		return nil
	})
	if err == nil && (strange || entries == most || all && found != len(want) || !all && found != 1) {
		err = rows.Damage("its tables are not as keyturn makes them")
	}
	return err
}

// plainSQL is a text of SQL without comments, and with single spaces.
func plainSQL(s string) string {
	var out strings.Builder
	for line := range strings.Lines(s) {
		code, _, _ := strings.Cut(line, "--")
		out.WriteString(code + " ")
	}
	return strings.Join(strings.Fields(out.String()), " ")
}
