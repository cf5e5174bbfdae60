package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
)

// seconds ends the name of a member that is a time in seconds: a person reads it as
// one, a pipe gets the number.
const seconds = "_seconds"

// headings are columns as people read them.
func headings(columns []string) []string {
	var out []string
	for _, c := range columns {
		out = append(out, strings.ToUpper(strings.ReplaceAll(strings.TrimSuffix(c, seconds), "_", " ")))
	}
	return out
}

// cell is a member as people read it at a terminal, or as a pipe takes it.
func cell(c *command, column string, v any) string {
	if !strings.HasSuffix(column, seconds) || !c.OnTerminal() {
		return text(v)
	}
	n, err := strconv.ParseInt(text(v), 10, 64)
	switch {
	case err != nil:
		return text(v)
	case n == 0:
		return "-"
	case n%86400 == 0:
		return strconv.FormatInt(n/86400, 10) + "d"
	}
	short := (time.Duration(n) * time.Second).String() // 1h0m0s
	for _, zero := range []string{"m0s", "h0m"} {
		if s, ok := strings.CutSuffix(short, zero); ok {
			short = s + zero[:1]
		}
	}
	return short
}

// rows are items in the order of the columns.
func (o *options) rows(c *command, items []map[string]any) [][]string {
	var rows [][]string
	for _, it := range items {
		var row []string
		for _, col := range o.act.Columns {
			row = append(row, cell(c, col, it[col]))
		}
		rows = append(rows, row)
	}
	return rows
}

// lines are the members of one item.
func (o *options) lines(c *command, item map[string]any) [][]string {
	var rows [][]string
	for _, col := range o.act.Columns {
		if v, ok := item[col]; ok {
			name := strings.ReplaceAll(col, "_", " ")
			if c.OnTerminal() {
				name = strings.TrimSuffix(name, " seconds")
			}
			rows = append(rows, []string{name, cell(c, col, v)})
		}
	}
	return rows
}

// text is a member as people read it.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case string:
		if v == "" {
			return "-"
		}
		return keyturn.Clean(v)
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case []string:
		if len(v) == 0 {
			return "-"
		}
		return keyturn.Clean(strings.Join(v, ", "))
	}
	return keyturn.Clean(fmt.Sprint(v))
}
