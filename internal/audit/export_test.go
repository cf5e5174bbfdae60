package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/verify"
	"pgregory.net/rapid"
)

type tb interface {
	Helper()
	Fatal(...any)
}

func export(t tb, l *audit.Log, g audit.Range) string {
	t.Helper()
	var out strings.Builder
	for line, err := range l.Export(context.Background(), g) {
		if err != nil {
			t.Fatal(err)
		}
		out.Write(line)
		out.WriteByte('\n')
	}
	return out.String()
}

func checkpoint(t tb, l *audit.Log) ([]byte, verify.Checkpoint) {
	t.Helper()
	msg, c, err := l.Checkpoint(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return msg, c
}

func file(text string, held verify.Held) (verify.Report, error) {
	return verify.File(strings.NewReader(text), held)
}

// written has a log of n operations with a checkpoint in the middle.
func written(t testing.TB, n int) (s *store, l *audit.Log, held []byte, at verify.Checkpoint) {
	t.Helper()
	s, c := &store{top: keyturn.LogTop{Generation: 7}}, &clock{now: start}
	l = audit.New(s, c.Now)
	for i := range n {
		c.add(time.Minute)
		if i == n/2 {
			held, at = checkpoint(t, l)
		}
		if err := l.Append(context.Background(), intent(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		l.Later(context.Background(), outcome(fmt.Sprint(i)))
	}
	if err := l.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s, l, held, at
}

func TestExport(t *testing.T) {
	s, l, held, at := written(t, 10)
	key, err := l.VerifierKey()
	must(t, err)
	text := export(t, l, audit.Range{})
	for what, h := range map[string]verify.Held{"nothing": {}, "a key": {Key: key}, "a checkpoint": {Checkpoint: held}, "both": {Checkpoint: held, Key: key}} {
		r, err := file(text, h)
		if err != nil || r.First != 1 || r.Size != 20 || r.Key != key || r.Made.Size != 20 || r.Made.Generation != 7 {
			t.Fatalf("with %s: %+v, %v", what, r, err)
		}
		if h.Checkpoint != nil && (r.Against.Size != at.Size || r.Consistent() != 20-at.Size) || h.Checkpoint == nil && r.Consistent() != 20 {
			t.Errorf("with %s: %+v", what, r)
		}
	}
	// Parts of it.
	for from := int64(1); from <= 21; from++ {
		part := export(t, l, audit.Range{From: from})
		r, err := file(part, verify.Held{Key: key})
		if err != nil || r.Size != 20 || from <= 20 && r.First != from || strings.Count(part, "\n") != int(23-from) {
			t.Errorf("from %d: %+v, %v", from, r, err)
		}
		_, err = file(part, verify.Held{Checkpoint: held})
		if ok := from <= at.Size+1; ok != (err == nil) || !ok && !errors.Is(err, keyturn.Invalid) {
			t.Errorf("from %d, with the checkpoint of %d: %v", from, at.Size, err)
		}
	}
	since := export(t, l, audit.Range{Since: start.Add(6 * time.Minute)})
	if r, err := file(since, verify.Held{}); err != nil || r.First != 11 {
		t.Errorf("since the 6th: %+v, %v", r, err)
	}
	if r, err := file(export(t, l, audit.Range{Since: start.AddDate(1, 0, 0)}), verify.Held{}); err != nil || r.First != 0 || r.Size != 20 {
		t.Errorf("since never: %+v, %v", r, err)
	}
	for _, err := range l.Export(t.Context(), audit.Range{From: 22}) {
		if !errors.Is(err, keyturn.Invalid) {
			t.Errorf("from 22: %v", err)
		}
	}
	// An export of a log that is not whole has no checkpoint at its end.
	s.rows[7].Data = bytes.Replace(s.rows[7].Data, []byte("success"), []byte("error"), 1)
	var last error
	n := 0
	for line, err := range l.Export(t.Context(), audit.Range{}) {
		if last = err; bytes.Contains(line, []byte("checkpoint")) {
			t.Error("a damaged log has a checkpoint")
		}
		n++
	}
	if !errors.Is(last, keyturn.Corrupt) || n != 9 {
		t.Errorf("a damaged log: %d lines, %v", n, last)
	}
	empty := audit.New(&store{}, nil)
	if r, err := file(export(t, empty, audit.Range{}), verify.Held{}); err != nil || r.Size != 0 || r.First != 0 {
		t.Errorf("an empty log: %+v, %v", r, err)
	}
}

// Whoever has no key can cut an export anew from a later record on, since each part of
// a log is an export: it verifies, and is not called complete. A pruned one neither.
func TestPartsAreNotWhole(t *testing.T) {
	_, l, held, at := written(t, 10)
	lines := strings.SplitAfter(export(t, l, audit.Range{}), "\n")
	key, err := l.VerifierKey()
	must(t, err)
	var edge verify.Edge
	for n := 1; n <= int(at.Size); n++ {
		e, ok := verify.ParseLine([]byte(strings.TrimSuffix(lines[n], "\n")))
		if !ok {
			t.Fatal("not a line")
		}
		edge.Add(e.Leaf)
		cut := string(verify.NewHeader(l.Origin(), key, edge).Line()) + "\n" + strings.Join(lines[n+1:], "")
		if r, err := file(cut, verify.Held{Checkpoint: held, Key: key}); err != nil || r.Whole() || r.First != int64(n+1) {
			t.Errorf("cut anew behind record %d: %+v, %v", n, r, err)
		}
	}
	if r, err := file(strings.Join(lines, ""), verify.Held{Checkpoint: held}); err != nil || !r.Whole() {
		t.Errorf("the file itself: %+v, %v", r, err)
	}
	later(l)
	if _, err := l.Prune(t.Context(), start.Add(4*time.Minute), pruner); err != nil {
		t.Fatal(err)
	}
	if r, err := l.VerifyAgainst(t.Context(), held); err != nil || r.Whole() {
		t.Errorf("a pruned log: %+v, %v", r, err)
	}
}

func TestStateAgainstACheckpoint(t *testing.T) {
	s, l, held, _ := written(t, 4)
	whole := export(t, l, audit.Range{})
	for what, c := range map[string]struct {
		generation int64
		digest     byte
		says       string
	}{
		"the same":              {7, 0, ""},
		"a later one":           {8, 1, ""},
		"an older one":          {6, 0, "an old copy: it is at generation 6, and was at 7"},
		"another one":           {7, 1, "changed from outside: generation 7 is not what it was"},
		"an older, another one": {6, 1, "an old copy"},
	} {
		s.top.Generation, s.top.Digest = c.generation, [32]byte{c.digest}
		_, err := l.VerifyAgainst(t.Context(), held)
		_, fileErr := file(export(t, l, audit.Range{}), verify.Held{Checkpoint: held})
		for _, err := range []error{err, fileErr} {
			if c.says == "" && err != nil || c.says != "" && (!errors.Is(err, keyturn.Corrupt) || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	// Another store's checkpoint, and a file of another store.
	other := audit.New(&store{other: 1}, nil)
	foreign, _ := checkpoint(t, other)
	if _, err := l.VerifyAgainst(t.Context(), foreign); !errors.Is(err, keyturn.Corrupt) || !strings.Contains(err.Error(), "of another log") {
		t.Errorf("another store's checkpoint: %v", err)
	}
	if _, err := file(whole, verify.Held{Checkpoint: foreign}); !errors.Is(err, keyturn.Corrupt) || !strings.Contains(err.Error(), "of another log") {
		t.Errorf("a file, by another store's checkpoint: %v", err)
	}
	key, err := other.VerifierKey()
	must(t, err)
	if _, err := file(whole, verify.Held{Key: key}); !errors.Is(err, keyturn.Corrupt) || !strings.Contains(err.Error(), "of another log") {
		t.Errorf("a file, by another store's key: %v", err)
	}
	if _, err := l.VerifyAgainst(t.Context(), []byte("x")); !errors.Is(err, keyturn.Invalid) {
		t.Errorf("no checkpoint: %v", err)
	}
}

// fileMutations change an exported file without any key; they may leave it as it was.
var fileMutations = map[string]func(t *rapid.T, lines []string) []string{
	"a bit": func(t *rapid.T, lines []string) []string {
		text := []byte(join(lines))
		text[rapid.IntRange(0, len(text)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		return []string{string(text)}
	},
	"a byte more": func(t *rapid.T, lines []string) []string {
		text, i := join(lines), 0
		i = rapid.IntRange(0, len(text)).Draw(t, "at")
		return []string{text[:i] + string(rapid.SampledFrom([]byte("\n\r\x00 a0,}\"=")).Draw(t, "byte")) + text[i:]}
	},
	"a byte less": func(t *rapid.T, lines []string) []string {
		text := join(lines)
		i := rapid.IntRange(0, len(text)-1).Draw(t, "at")
		return []string{text[:i] + text[i+1:]}
	},
	"cut short": func(t *rapid.T, lines []string) []string {
		text := join(lines)
		return []string{text[:rapid.IntRange(0, len(text)-1).Draw(t, "at")]}
	},
	"a line less": func(t *rapid.T, lines []string) []string {
		i := rapid.IntRange(0, len(lines)-1).Draw(t, "line")
		return slices.Delete(lines, i, i+1)
	},
	"a line twice": func(t *rapid.T, lines []string) []string {
		i := rapid.IntRange(0, len(lines)-1).Draw(t, "line")
		return slices.Insert(lines, rapid.IntRange(0, len(lines)).Draw(t, "to"), lines[i])
	},
	"lines exchanged": func(t *rapid.T, lines []string) []string {
		i, j := rapid.IntRange(0, len(lines)-1).Draw(t, "line"), rapid.IntRange(0, len(lines)-1).Draw(t, "other")
		lines[i], lines[j] = lines[j], lines[i]
		return lines
	},
	"the last records less": func(t *rapid.T, lines []string) []string {
		i := rapid.IntRange(1, len(lines)-2).Draw(t, "from")
		return slices.Delete(lines, i, len(lines)-1)
	},
	"a content dropped": func(t *rapid.T, lines []string) []string {
		i := rapid.IntRange(1, len(lines)-2).Draw(t, "line")
		if before, _, ok := strings.Cut(lines[i], `,"record":`); ok {
			lines[i] = before + "}"
		}
		return lines
	},
	"a record edited, with its hash": func(t *rapid.T, lines []string) []string {
		i := rapid.IntRange(1, len(lines)-2).Draw(t, "line")
		e, ok := verify.ParseLine([]byte(lines[i]))
		if !ok {
			t.Fatal("a line that is none")
		}
		e.Data = bytes.Replace(e.Data, []byte("anna"), []byte("anne"), 1)
		e.Leaf = verify.Leaf(e.Data)
		lines[i] = string(verify.Line(e))
		return lines
	},
	"contents dropped, from the first one on": func(t *rapid.T, lines []string) []string {
		n := rapid.IntRange(1, len(lines)-2).Draw(t, "records")
		for i := 1; i <= n; i++ {
			before, _, _ := strings.Cut(lines[i], `,"record":`)
			lines[i] = strings.TrimSuffix(before, "}") + "}"
		}
		return lines
	},
	"all contents dropped": func(t *rapid.T, lines []string) []string {
		for i := 1; i < len(lines)-1; i++ {
			before, _, _ := strings.Cut(lines[i], `,"record":`)
			lines[i] = strings.TrimSuffix(before, "}") + "}"
		}
		return lines
	},
	"another key's checkpoint": func(t *rapid.T, lines []string) []string {
		other := strings.Split(strings.TrimSuffix(export(t, audit.New(&store{other: 2}, nil), audit.Range{}), "\n"), "\n")
		lines[len(lines)-1] = other[len(other)-1]
		if rapid.Bool().Draw(t, "header too") {
			lines[0] = other[0]
		}
		return lines
	},
	"an older checkpoint": func(t *rapid.T, lines []string) []string {
		lines[len(lines)-1] = string(verify.CheckpointLine(older))
		return lines
	},
}

var older []byte // a checkpoint of an earlier moment of the same log

func join(lines []string) string { return strings.Join(lines, "\n") + "\n" }

// Every change of an exported file is found by the file alone: who makes it has no
// key. One that is made with all keys is found by a checkpoint that was kept.
func TestFileFindsEveryMutation(t *testing.T) {
	const each = 150
	tried, total, names := map[string]int{}, 0, slices.Sorted(maps.Keys(fileMutations))
	rapid.Check(t, func(t *rapid.T) {
		s, c := &store{}, &clock{now: start}
		l := audit.New(s, c.Now)
		randomLog(t, l, c)
		older, _ = checkpoint(t, l)
		randomLog(t, l, c)
		g := audit.Range{From: int64(rapid.IntRange(0, 2).Draw(t, "from"))}
		whole := export(t, l, g)
		if _, err := file(whole, verify.Held{}); err != nil {
			t.Fatalf("the file itself: %v", err)
		}
		for range each {
			name := rapid.SampledFrom(names).Draw(t, "mutation")
			text := strings.TrimSuffix(join(fileMutations[name](t, strings.Split(strings.TrimSuffix(whole, "\n"), "\n"))), "\n")
			if !strings.HasSuffix(name, "short") && !strings.Contains(name, "byte") && !strings.Contains(name, "bit") {
				text += "\n"
			}
			if text == whole {
				continue
			}
			r, err := file(text, verify.Held{})
			if !errors.Is(err, keyturn.Corrupt) && !errors.Is(err, keyturn.Invalid) {
				t.Fatalf("%s: %+v, %v\n%s", name, r, err, text)
			}
			// Invalid is for what is no export any more, by its first line.
			if errors.Is(err, keyturn.Invalid) && strings.HasPrefix(text, whole[:32]) {
				t.Fatalf("%s: invalid, though it begins as an export: %v", name, err)
			}
			tried[name]++
			total++
		}
	})
	t.Logf("%d mutations of files: %v", total, tried)
	if total < 10_000 && !testing.Short() || len(tried) != len(fileMutations) {
		t.Errorf("only %d mutations, %d of %d kinds", total, len(tried), len(fileMutations))
	}
}

// A file that was forged by who holds all keys verifies by itself, and not against
// a checkpoint of the log that it pretends to be.
func TestForgedWithAllKeys(t *testing.T) {
	s, _, held, at := written(t, 10)
	for what, change := range map[string]func(rows []keyturn.LogEntry) []keyturn.LogEntry{
		"an edited record": func(rows []keyturn.LogEntry) []keyturn.LogEntry {
			rows[4].Data = bytes.Replace(rows[4].Data, []byte("anna"), []byte("anne"), 1)
			return refit(rows, 0)
		},
		"cut off": func(rows []keyturn.LogEntry) []keyturn.LogEntry { return rows[:at.Size-1] },
		"a fork": func(rows []keyturn.LogEntry) []keyturn.LogEntry {
			return refit(append(rows[:at.Size-1], keyturn.LogEntry{Data: forged(1)}, keyturn.LogEntry{Data: forged(2)}), 0)
		},
		"begun anew": func(rows []keyturn.LogEntry) []keyturn.LogEntry { return refit(rows[2:], 0) },
		"nothing":    func(rows []keyturn.LogEntry) []keyturn.LogEntry { return nil },
		"one inserted": func(rows []keyturn.LogEntry) []keyturn.LogEntry {
			return refit(slices.Insert(rows, 0, keyturn.LogEntry{Data: rows[0].Data[:0:0]}), 0)
		},
	} {
		rows := change(clone(s.rows))
		if what == "one inserted" {
			r := intent("forged")
			r.Format, r.Time = keyturn.RecordFormat, start
			rows[0].Data, _ = keyturn.EncodeRecord(r)
			refit(rows, 0)
		}
		forger := audit.New(&store{rows: rows, top: topOf(rows, s.top)}, nil)
		text := export(t, forger, audit.Range{})
		if _, err := file(text, verify.Held{}); err != nil {
			t.Errorf("%s: not even consistent: %v", what, err)
		}
		if _, err := file(text, verify.Held{Checkpoint: held}); !errors.Is(err, keyturn.Corrupt) {
			t.Errorf("%s, with the checkpoint: %v", what, err)
		}
		if _, err := forger.VerifyAgainst(t.Context(), held); !errors.Is(err, keyturn.Corrupt) {
			t.Errorf("the store, %s, with the checkpoint: %v", what, err)
		}
	}
}

// What a file does not say is told in words that help.
func TestFileErrors(t *testing.T) {
	_, l, held, _ := written(t, 4)
	text := export(t, l, audit.Range{})
	lines := strings.SplitAfter(text, "\n")
	short, _ := checkpoint(t, l)
	for what, c := range map[string]struct {
		text string
		held verify.Held
		want keyturn.Code
		says string
	}{
		"nothing":                  {"", verify.Held{}, keyturn.Invalid, "not an exported audit log"},
		"another file":             {"{}\n", verify.Held{}, keyturn.Invalid, "not an exported audit log"},
		"a long line":              {strings.Repeat("x", verify.MaxLine+1), verify.Held{}, keyturn.Invalid, "not an exported audit log"},
		"a newer format":           {strings.Replace(text, `"v":1`, `"v":2`, 1), verify.Held{}, keyturn.Invalid, "format 2"},
		"only the header":          {lines[0], verify.Held{}, keyturn.Corrupt, "cut short: it ends behind record 0"},
		"a part of the header":     {lines[0][:60], verify.Held{}, keyturn.Corrupt, "cut short: it ends in its first line"},
		"no checkpoint":            {strings.Join(lines[:5], ""), verify.Held{}, keyturn.Corrupt, "cut short: it ends behind record 4"},
		"a torn line":              {strings.Join(lines[:5], "") + lines[5][:40], verify.Held{}, keyturn.Corrupt, "cut short: it ends behind record 4"},
		"an empty line":            {strings.Join(lines[:5], "") + "\n" + strings.Join(lines[5:], ""), verify.Held{}, keyturn.Corrupt, "line 6 cannot be read"},
		"a long line inside":       {lines[0] + strings.Repeat("x", verify.MaxLine+1), verify.Held{}, keyturn.Corrupt, "line 2 is too long"},
		"something behind":         {text + "x\n", verify.Held{}, keyturn.Corrupt, "something behind its checkpoint"},
		"an edited record":         {strings.Replace(text, "anna", "anne", 1), verify.Held{}, keyturn.Corrupt, "record 1 does not fit its hash"},
		"the last records removed": {strings.Join(lines[:5], "") + lines[len(lines)-2], verify.Held{}, keyturn.Corrupt, "at record 4, not at record 8"},
		"older than the checkpoint": {export(t, must2(written(t, 1)), audit.Range{}), verify.Held{Checkpoint: short}, keyturn.Corrupt,
			"older than your checkpoint: it ends at record 2, and had 8 records on 2026-01-24"},
		"whole": {text, verify.Held{Checkpoint: held}, "", ""},
	} {
		_, err := file(c.text, c.held)
		if c.want == "" && err == nil {
			continue
		}
		e := keyturn.AsError(err)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || e.Hint == "" {
			t.Errorf("%s: %v (%s), want %q", what, err, e.Code, c.says)
		}
	}
}

func must2(_ *store, l *audit.Log, _ []byte, _ verify.Checkpoint) *audit.Log { return l }

// Follow goes on with what others write, until it is told to end.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l, _, _ := written(t, 3)
		ctx, cancel := context.WithCancel(t.Context())
		other := audit.New(s, nil)
		var got []int64
		for line, err := range l.Follow(ctx, audit.Range{From: 5}) {
			must(t, err)
			e, ok := verify.ParseLine(line)
			if !ok {
				t.Fatalf("not a line: %s", line)
			}
			got = append(got, e.Seq)
			switch len(got) {
			case 2:
				go func() {
					time.Sleep(time.Hour)
					_ = other.Append(ctx, intent("x"), outcome("x"))
				}()
			case 4:
				cancel()
			}
		}
		if !slices.Equal(got, []int64{5, 6, 7, 8}) {
			t.Errorf("followed %v", got)
		}
		cancel()
	})
}
