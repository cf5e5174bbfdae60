package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/verify"
	"pgregory.net/rapid"
)

// relink makes rows from number from on fit those before them, as somebody would
// who can write the store and knows how it works.
func relink(rows []keyturn.LogEntry, from int) {
	var prev [32]byte
	if from > 0 {
		prev = rows[from-1].Link
	}
	for i := from; i < len(rows); i++ {
		rows[i].Seq = int64(i + 1)
		rows[i].Link = verify.Link(prev, verify.Leaf(rows[i].Data))
		prev = rows[i].Link
	}
}

// mutations change a log; they may leave it as it was, which is no mutation.
var mutations = map[string]func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry{
	"delete": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		i := at(t, rows)
		return slices.Delete(rows, i, i+1)
	},
	"delete and renumber": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		i := at(t, rows)
		rows = slices.Delete(rows, i, i+1)
		for j := range rows {
			rows[j].Seq = int64(j + 1)
		}
		return rows
	},
	"delete and relink": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		i := at(t, rows)
		rows = slices.Delete(rows, i, i+1)
		relink(rows, i)
		return rows
	},
	"duplicate": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		i := at(t, rows)
		return slices.Insert(rows, at(t, rows), rows[i])
	},
	"duplicate and relink": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		i, j := at(t, rows), at(t, rows)
		rows = slices.Insert(rows, j, rows[i])
		relink(rows, j)
		return rows
	},
	"swap": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		i, j := at(t, rows), at(t, rows)
		rows[i], rows[j] = rows[j], rows[i]
		return rows
	},
	"swap data": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		i, j := at(t, rows), at(t, rows)
		rows[i].Data, rows[j].Data = rows[j].Data, rows[i].Data
		return rows
	},
	"swap and relink": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		i, j := at(t, rows), at(t, rows)
		rows[i].Data, rows[j].Data = rows[j].Data, rows[i].Data
		relink(rows, min(i, j))
		return rows
	},
	"edit a byte": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		d := rows[at(t, rows)].Data
		d[rapid.IntRange(0, len(d)-1).Draw(t, "byte")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		return rows
	},
	"edit a byte and relink": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		i := at(t, rows)
		d := rows[i].Data
		d[rapid.IntRange(0, len(d)-1).Draw(t, "byte")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		relink(rows, i)
		return rows
	},
	"edit a record": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		i := at(t, rows)
		rows[i].Data = bytes.Replace(rows[i].Data, []byte("anna"), []byte("anne"), 1)
		relink(rows, i)
		return rows
	},
	"edit a link": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		rows[at(t, rows)].Link[rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1
		return rows
	},
	"edit a number": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		rows[at(t, rows)].Seq += int64(rapid.SampledFrom([]int{-1, 1, 2, 1 << 40}).Draw(t, "by"))
		return rows
	},
	"truncate the end": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry { return rows[:at(t, rows)] },
	"truncate the begin": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		rows = rows[at(t, rows)+1:]
		relink(rows, 0)
		return rows
	},
	"fork": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		i := at(t, rows)
		n := rapid.IntRange(0, 2*len(rows)).Draw(t, "rows")
		rows = rows[:i]
		for range n {
			rows = append(rows, keyturn.LogEntry{Data: forged(len(rows))})
		}
		relink(rows, i)
		return rows
	},
	"insert": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		i := at(t, rows)
		rows = slices.Insert(rows, i, keyturn.LogEntry{Data: forged(i)})
		relink(rows, i)
		return rows
	},
}

func at(t *rapid.T, rows []keyturn.LogEntry) int {
	return rapid.IntRange(0, len(rows)-1).Draw(t, "row")
}

func forged(i int) []byte {
	r := intent(fmt.Sprintf("forged-%d", i))
	r.Format, r.Time = keyturn.RecordFormat, start.AddDate(1, 0, 0)
	data, err := keyturn.EncodeRecord(r)
	if err != nil {
		panic(err)
	}
	return data
}

func TestVerifyFindsEveryMutation(t *testing.T) {
	const each = 300 // mutations of one log
	tried := map[string]int{}
	total := 0
	names := slices.Sorted(func(yield func(string) bool) {
		for n := range mutations {
			if !yield(n) {
				return
			}
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		s, c := &store{}, &clock{now: start}
		l := audit.New(s, c.Now)
		randomLog(t, l, c)
		if n, _, err := l.Verify(context.Background()); err != nil || n != int64(len(s.rows)) {
			t.Fatalf("the log itself: %d, %v", n, err)
		}
		whole := s.rows
		for range each {
			name := rapid.SampledFrom(names).Draw(t, "mutation")
			rows := slices.Clone(whole)
			for i := range rows {
				rows[i].Data = bytes.Clone(rows[i].Data)
			}
			rows = mutations[name](t, rows)
			if slices.EqualFunc(rows, whole, func(a, b keyturn.LogEntry) bool {
				return a.Seq == b.Seq && a.Link == b.Link && bytes.Equal(a.Data, b.Data)
			}) {
				continue
			}
			changed := &store{rows: rows, head: s.head}
			if n, _, err := audit.New(changed, nil).Verify(context.Background()); !errors.Is(err, keyturn.Corrupt) {
				t.Fatalf("%s: verify says %d, %v", name, n, err)
			}
			tried[name]++
			total++
		}
	})
	t.Logf("%d mutations: %v", total, tried)
	if total < 10_000 && !testing.Short() || len(tried) != len(mutations) {
		t.Errorf("only %d mutations, %d of %d kinds", total, len(tried), len(mutations))
	}
}

// randomLog writes a short log with operations that overlap, and some refused.
func randomLog(t *rapid.T, l *audit.Log, c *clock) {
	var open []string
	for i := range rapid.IntRange(2, 12).Draw(t, "steps") {
		c.add(1000 * 1000)
		id := fmt.Sprint(i)
		var records []keyturn.Record
		switch rapid.IntRange(0, 3).Draw(t, "step") {
		case 0:
			r := intent(id)
			r.Phase, r.Status, r.Code = keyturn.Refusal, "denied", keyturn.Denied
			records = append(records, r)
		case 1:
			child := intent(id + "c")
			child.Parent = id
			records = append(records, intent(id), child)
			open = append(open, id, id+"c")
		default:
			records = append(records, intent(id))
			open = append(open, id)
		}
		if len(open) > 0 && rapid.Bool().Draw(t, "ends") {
			records = append(records, outcome(open[0]))
			open = open[1:]
		}
		if err := l.Append(context.Background(), records...); err != nil {
			t.Fatal(err)
		}
	}
}
