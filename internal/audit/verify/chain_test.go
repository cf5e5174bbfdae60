package verify_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

var start = time.Date(2026, 1, 24, 10, 0, 0, 0, time.UTC)

// rows makes rows of records, as one would who can write the log and knows how.
func rows(t *testing.T, records ...keyturn.Record) []keyturn.LogEntry {
	t.Helper()
	var out []keyturn.LogEntry
	var last keyturn.LogEntry
	for _, r := range records {
		r.Format = keyturn.RecordFormat
		if r.Time.IsZero() {
			r.Time = start
		}
		data, err := keyturn.EncodeRecord(r)
		if err != nil {
			t.Fatal(err)
		}
		last = keyturn.LogEntry{Seq: last.Seq + 1, Data: data, Leaf: verify.Leaf(data)}
		out = append(out, last)
	}
	return out
}

// The hash of an empty leaf is that of RFC 6962.
func TestLeaf(t *testing.T) {
	if got, want := verify.Leaf(nil), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"; hex.EncodeToString(got[:]) != want {
		t.Errorf("the empty leaf is %x", got)
	}
}

func TestChain(t *testing.T) {
	in := func(id string) keyturn.Record { return keyturn.Record{ID: id, Phase: keyturn.Intent} }
	out := func(id string) keyturn.Record { return keyturn.Record{ID: id, Phase: keyturn.Outcome} }
	no := func(id string) keyturn.Record { return keyturn.Record{ID: id, Phase: keyturn.Refusal} }
	late := in("a")
	late.Time = start.Add(time.Microsecond)
	for name, c := range map[string]struct {
		records []keyturn.Record
		open    int
		bad     int // number of the row that is refused, 0 for none
	}{
		"whole":                     {records: []keyturn.Record{in("a"), in("b"), out("a"), no("c"), out("b")}},
		"open":                      {records: []keyturn.Record{in("a"), in("b"), out("a")}, open: 1},
		"an outcome first":          {records: []keyturn.Record{in("a"), out("b")}, bad: 2, open: 1},
		"an outcome twice":          {records: []keyturn.Record{in("a"), out("a"), out("a")}, bad: 3},
		"an intent twice":           {records: []keyturn.Record{in("a"), in("a")}, bad: 2, open: 1},
		"an outcome of a refusal":   {records: []keyturn.Record{no("a"), out("a")}, bad: 2},
		"an unknown phase":          {records: []keyturn.Record{in("a"), {ID: "a", Phase: "done"}}, bad: 2, open: 1},
		"no phase":                  {records: []keyturn.Record{{ID: "a"}}, bad: 1},
		"a time before the last":    {records: []keyturn.Record{late, in("b")}, bad: 2, open: 1},
		"the same time as the last": {records: []keyturn.Record{in("a"), in("b")}, open: 2},
	} {
		var chain verify.Chain
		bad := 0
		for i, e := range rows(t, c.records...) {
			r, err := chain.Next(e)
			if err != nil {
				if bad = i + 1; !errors.Is(err, keyturn.Corrupt) {
					t.Errorf("%s: %v", name, err)
				}
				break
			}
			if r.ID != c.records[i].ID || chain.Size() != int64(i+1) {
				t.Errorf("%s: row %d came back as %+v, size %d", name, i+1, r, chain.Size())
			}
		}
		if bad != c.bad || chain.Open() != c.open {
			t.Errorf("%s: row %d was refused, %d are open; want %d and %d", name, bad, chain.Open(), c.bad, c.open)
		}
	}
}

// A row that was refused changes nothing: the next one is checked against the
// last good one.
func TestChainAfterARefusal(t *testing.T) {
	all := rows(t, keyturn.Record{ID: "a", Phase: keyturn.Intent}, keyturn.Record{ID: "a", Phase: keyturn.Outcome})
	var c verify.Chain
	if _, err := c.Next(all[1]); !errors.Is(err, keyturn.Corrupt) || c.Size() != 0 {
		t.Fatalf("row 2 as the first: %v", err)
	}
	for _, e := range all {
		if _, err := c.Next(e); err != nil {
			t.Error(err)
		}
	}
	if c.Size() != 2 || c.Open() != 0 {
		t.Errorf("size %d, %d open", c.Size(), c.Open())
	}
}

// Identifiers are as long as those that keyturn makes, and no longer: what is
// remembered of a hostile file does not grow with them.
func TestLongIdentifiers(t *testing.T) {
	for n, ok := range map[int]bool{26: true, keyturn.MaxID: true, keyturn.MaxID + 1: false, 1 << 20: false} {
		for what, r := range map[string]keyturn.Record{
			"id": {ID: strings.Repeat("x", n), Phase: keyturn.Intent}, "parent": {ID: "x", Parent: strings.Repeat("x", n), Phase: keyturn.Intent},
		} {
			var c verify.Chain
			if _, err := c.Next(rows(t, r)[0]); ok != (err == nil) || !ok && !errors.Is(err, keyturn.Corrupt) {
				t.Errorf("an %s of %d bytes: %v", what, n, err)
			}
		}
	}
}

// However many operations a hostile file begins, few are remembered.
func TestManyOpen(t *testing.T) {
	defer verify.SetMaxOpen(3)()
	in := func(id string) keyturn.Record { return keyturn.Record{ID: id, Phase: keyturn.Intent} }
	out := func(id string) keyturn.Record { return keyturn.Record{ID: id, Phase: keyturn.Outcome} }
	var c verify.Chain
	for i, e := range rows(t, in("a"), in("b"), in("c"), out("a"), in("d"), in("e")) {
		if _, err := c.Next(e); (i < 5) != (err == nil) || i == 5 && !errors.Is(err, keyturn.Corrupt) {
			t.Errorf("row %d: %v", i+1, err)
		}
	}
}
