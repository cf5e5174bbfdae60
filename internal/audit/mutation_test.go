package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/verify"
	"pgregory.net/rapid"
)

// refit gives rows from number from on their numbers and leaves, as somebody would
// who can write the store's rows and knows how it works.
func refit(rows []keyturn.LogEntry, from int) []keyturn.LogEntry {
	for i := from; i < len(rows); i++ {
		rows[i].Seq = int64(i + 1)
		if rows[i].Data != nil {
			rows[i].Leaf = verify.Leaf(rows[i].Data)
		}
	}
	return rows
}

// topOf is the end that fits rows, as somebody makes it who holds every key.
func topOf(rows []keyturn.LogEntry, was keyturn.LogTop) keyturn.LogTop {
	var edge verify.Edge
	was.Last = keyturn.LogEntry{}
	for _, e := range rows {
		edge.Add(e.Leaf)
		was.Last = e
	}
	was.Tree = edge.Bytes()
	return was
}

type mutation = func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry

// mutations change a log; they may leave it as it was, which is no mutation.
var mutations = map[string]mutation{
	"delete": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		i := at(t, rows)
		return slices.Delete(rows, i, i+1)
	},
	"delete and refit": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		i := at(t, rows)
		return refit(slices.Delete(rows, i, i+1), i)
	},
	"duplicate": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		i := at(t, rows)
		return slices.Insert(rows, at(t, rows), rows[i])
	},
	"duplicate and refit": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		i, j := at(t, rows), at(t, rows)
		return refit(slices.Insert(rows, j, rows[i]), j)
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
	"swap and refit": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		i, j := at(t, rows), at(t, rows)
		rows[i].Data, rows[j].Data = rows[j].Data, rows[i].Data
		return refit(rows, min(i, j))
	},
	"edit a byte": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		d := rows[at(t, rows)].Data
		d[rapid.IntRange(0, len(d)-1).Draw(t, "byte")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		return rows
	},
	"edit a byte and refit": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		i := at(t, rows)
		d := rows[i].Data
		d[rapid.IntRange(0, len(d)-1).Draw(t, "byte")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		return refit(rows, i)
	},
	"edit a record": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		i := at(t, rows)
		rows[i].Data = bytes.Replace(rows[i].Data, []byte("anna"), []byte("anne"), 1)
		return refit(rows, i)
	},
	"edit a leaf": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		rows[at(t, rows)].Leaf[rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1
		return rows
	},
	"edit a number": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		rows[at(t, rows)].Seq += int64(rapid.SampledFrom([]int{-1, 1, 2, 1 << 40}).Draw(t, "by"))
		return rows
	},
	"drop a content": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		rows[at(t, rows)].Data = nil
		return rows
	},
	"drop the first contents": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		for i := range rows[:at(t, rows)+1] {
			rows[i].Data = nil
		}
		return rows
	},
	"drop a content and edit its leaf": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		for i := range rows[:at(t, rows)+1] {
			rows[i].Data = nil
		}
		rows[0].Leaf[9] ^= 64
		return rows
	},
	"truncate the end": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry { return rows[:at(t, rows)] },
	"truncate the begin": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		return refit(rows[at(t, rows)+1:], 0)
	},
	"fork": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		i := at(t, rows)
		n := rapid.IntRange(0, 2*len(rows)).Draw(t, "rows")
		rows = rows[:i]
		for range n {
			rows = append(rows, keyturn.LogEntry{Data: forged(len(rows))})
		}
		return refit(rows, i)
	},
	"insert": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		i := at(t, rows)
		return refit(slices.Insert(rows, i, keyturn.LogEntry{Data: forged(i)}), i)
	},
	"append": func(t *rapid.T, rows []keyturn.LogEntry) []keyturn.LogEntry {
		return refit(append(rows, keyturn.LogEntry{Data: forged(len(rows))}), len(rows))
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

func clone(rows []keyturn.LogEntry) []keyturn.LogEntry {
	rows = slices.Clone(rows)
	for i := range rows {
		rows[i].Data = bytes.Clone(rows[i].Data)
	}
	return rows
}

func same(a, b keyturn.LogEntry) bool {
	return a.Seq == b.Seq && a.Leaf == b.Leaf && bytes.Equal(a.Data, b.Data)
}

// Every change of the rows is found without a checkpoint: who makes it cannot
// write the store's own end of the log. Who can, is found by a checkpoint that was
// kept elsewhere, exactly where what it covers was changed.
func TestVerifyFindsEveryMutation(t *testing.T) {
	const each = 150 // mutations of one log
	tried, withKeys := map[string]int{}, map[string]int{}
	total, fooled, spared := 0, 0, 0
	names := slices.Sorted(maps.Keys(mutations))
	rapid.Check(t, func(t *rapid.T) {
		s, c := &store{top: keyturn.LogTop{Generation: 7}}, &clock{now: start}
		l := audit.New(s, c.Now)
		randomLog(t, l, c)
		held, covers, err := l.Checkpoint(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		randomLog(t, l, c)
		if r, err := l.VerifyAgainst(context.Background(), held); err != nil || r.Size != int64(len(s.rows)) || r.Consistent() != r.Size-covers.Size {
			t.Fatalf("the log itself: %+v, %v", r, err)
		}
		whole := s.rows
		for range each {
			name := rapid.SampledFrom(names).Draw(t, "mutation")
			rows := mutations[name](t, clone(whole))
			if slices.EqualFunc(rows, whole, same) {
				continue
			}
			changed := &store{rows: rows, top: s.top}
			if n, _, err := audit.New(changed, nil).Verify(context.Background()); !errors.Is(err, keyturn.Corrupt) {
				t.Fatalf("%s: verify says %d, %v", name, n, err)
			}
			tried[name]++
			total++

			owned := &store{rows: rows, top: topOf(rows, s.top)}
			_, _, err := audit.New(owned, nil).Verify(context.Background())
			_, heldErr := audit.New(owned, nil).VerifyAgainst(context.Background(), held)
			n := int(covers.Size)
			untouched := len(rows) >= n && slices.EqualFunc(rows[:n], whole[:n], func(a, b keyturn.LogEntry) bool { return a.Leaf == b.Leaf })
			switch {
			case !untouched && !errors.Is(heldErr, keyturn.Corrupt):
				t.Fatalf("%s by who holds the keys, below the checkpoint: %v", name, heldErr)
			case untouched && (err == nil) != (heldErr == nil):
				t.Fatalf("%s by who holds the keys, behind the checkpoint: %v without, %v with it", name, err, heldErr)
			case err == nil && heldErr != nil:
				fooled++ // without the checkpoint nobody would know
				withKeys[name]++
			case untouched:
				spared++
			}
		}
	})
	t.Logf("%d mutations: %v; by who holds the keys %d found by the checkpoint alone: %v; %d behind it", total, tried, fooled, withKeys, spared)
	if total < 10_000 && !testing.Short() || len(tried) != len(mutations) || fooled == 0 || spared == 0 {
		t.Errorf("only %d mutations, %d of %d kinds; %d and %d by who holds the keys", total, len(tried), len(mutations), fooled, spared)
	}
}

// randomLog writes a short log with operations that overlap, and some refused.
func randomLog(t *rapid.T, l *audit.Log, c *clock) {
	var open []string
	for i := range rapid.IntRange(2, 12).Draw(t, "steps") {
		c.add(1000 * 1000)
		id := fmt.Sprint(c.Now().UnixMilli(), "-", i)
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
