package admin

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/cli/command"
)

// document is the answer in JSON.
func (o *options) document(op keyturn.PlatformAction, res *keyturn.Performed, artifacts []string) answer.Document {
	doc := answer.Success(o.act.Operation, res.Receipt)
	doc.Notices, doc.Artifacts, doc.Text = res.Notices, artifacts, res.Text
	if !o.act.Reads {
		doc.Target = res.Platform + " " + res.Target
	}
	switch {
	case res.Single && len(res.Items) == 1:
		doc.Item = res.Items[0]
	case res.Items != nil || o.act.Columns != nil && !res.Single && res.Says == "":
		items := res.Items
		if items == nil {
			items = []map[string]any{}
		}
		doc.Items = &items
	}
	if res.Policy != nil {
		doc.Policy = &answer.Policy{Name: res.Policy.Name, Applied: res.Policy.Applied}
	}
	if res.Change != nil {
		doc.Change = difference(res.Change.Before, res.Change.After)
	}
	if w := res.Wrapped; w != nil {
		doc.Wrapped = &answer.Wrapped{Accessor: w.Accessor, Seconds: w.Seconds}
	}
	if !op.To.IsZero() {
		stored := answer.SecretOf(res.Stored)
		doc.Secret = &stored
	}
	if op.Out != "" {
		doc.Artifacts = append(doc.Artifacts, o.toFile)
	}
	return doc
}

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
func cell(c *command.Command, column string, v any) string {
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
func (o *options) rows(c *command.Command, items []map[string]any) [][]string {
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
func (o *options) lines(c *command.Command, item map[string]any) [][]string {
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

// difference shows what changes between two texts: every line with "  ", "- " or
// "+ " before it, stretches that stay cut to two lines around a change.
func difference(before, after string) []string {
	a, b := split(before), split(after)
	// Longest common subsequence; policies are short. What is too long is told whole.
	if len(a)*len(b) > 4<<20 {
		return append(prefixed("- ", a), prefixed("+ ", b)...)
	}
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var all []string
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			all = append(all, "  "+a[i])
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || common[i+1][j] >= common[i][j+1]):
			all = append(all, "- "+a[i])
			i++
		default:
			all = append(all, "+ "+b[j])
			j++
		}
	}
	return around(all)
}

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

func prefixed(p string, lines []string) []string {
	var out []string
	for _, l := range lines {
		out = append(out, p+l)
	}
	return out
}

// around keeps changed lines and two on each side.
func around(lines []string) []string {
	const near = 2
	keep := make([]bool, len(lines))
	for i, l := range lines {
		if strings.HasPrefix(l, "  ") {
			continue
		}
		for k := max(0, i-near); k <= min(len(lines)-1, i+near); k++ {
			keep[k] = true
		}
	}
	var out []string
	for i, l := range lines {
		switch {
		case keep[i]:
			out = append(out, l)
		case i > 0 && keep[i-1]:
			out = append(out, "  …")
		}
	}
	return out
}
