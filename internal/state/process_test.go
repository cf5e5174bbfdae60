package state

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
)

// TestMain lets the test binary be a process of its own that writes to a store.
func TestMain(m *testing.M) {
	if dir := os.Getenv("KEYTURN_STATE_WRITER"); dir != "" {
		write(dir, os.Getenv("KEYTURN_STATE_MODE"))
		return
	}
	os.Exit(m.Run())
}

func check(err error) {
	if err != nil {
		fmt.Println("failed:", errText(err))
		os.Exit(1)
	}
}

// write appends 25 versions by compare-and-set, each with a record; or appends
// until it is killed, and says after each what was acknowledged.
func write(dir, mode string) {
	ctx := context.Background()
	db, err := Open(ctx, dir, rootOf, Options{})
	check(err)
	if mode == "short" { // as many short processes
		for range 60 {
			check(db.AppendLog(ctx, true, entry))
			_, err := db.LastLog(ctx)
			check(err)
			check(db.AppendLog(ctx, false, entry))
			check(db.Close())
			db, err = Open(ctx, dir, rootOf, Options{})
			check(err)
		}
		return
	}
	for done := 0; mode == "endless" || done < 25; {
		at := 0
		versions, err := db.Versions(ctx, "shared")
		if err == nil {
			at = len(versions)
		} else if !isCode(err, keyturn.NotFound) {
			check(err)
		}
		next := strconv.Itoa(at + 1)
		_, err = db.Append(ctx, "shared", at, secretOf("n", next))
		if isCode(err, keyturn.Conflict) {
			continue
		}
		check(err)
		done++
		err = db.AppendLog(ctx, done%2 == 0, func(last keyturn.LogEntry) ([]keyturn.LogEntry, error) {
			return []keyturn.LogEntry{{Seq: last.Seq + 1, Data: []byte(next)}}, nil
		})
		check(err)
		check(db.UpdateItem(ctx, "k", "count", func(it keyturn.Item) (keyturn.Item, error) {
			n, _ := strconv.Atoi(string(it.Body))
			it.Body = []byte(strconv.Itoa(n + 1))
			return it, nil
		}))
		_, err = db.Mark(ctx, "shared", at+1, keyturn.Live)
		check(err)
		check(db.VerifyState(ctx))
		if mode == "endless" {
			fmt.Println("done", next)
		}
	}
	check(db.Close())
}

func writer(t *testing.T, dir, mode string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "KEYTURN_STATE_WRITER="+dir, "KEYTURN_STATE_MODE="+mode)
	return cmd
}

// wholeness checks that versions and records are counted without gaps, and that
// each version holds its own value. It returns the number of versions.
func wholeness(t *testing.T, db *DB) int {
	t.Helper()
	versions, err := db.Versions(t.Context(), "shared")
	if err != nil {
		t.Fatal(errText(err))
	}
	for i := range versions {
		s, err := db.Read(t.Context(), "shared", i+1)
		if err != nil || string(s.Values["n"].Reveal()) != strconv.Itoa(i+1) {
			t.Fatalf("version %d: another value, or %v", i+1, errText(err))
		}
	}
	records := int64(0)
	for e, err := range db.Log(t.Context(), 1) {
		if records++; err != nil || e.Seq != records {
			t.Fatalf("record %d: %v", records, errText(err))
		}
	}
	if n := int64(len(versions)); records < n-1 || records > n {
		t.Errorf("%d records for %d versions", records, n)
	}
	if err := db.VerifyState(t.Context()); err != nil {
		t.Error(errText(err))
	}
	var sound string
	if err := db.pool.QueryRow("PRAGMA integrity_check").Scan(&sound); err != nil || sound != "ok" {
		t.Errorf("integrity: %s %v", sound, err)
	}
	return len(versions)
}

func TestProcesses(t *testing.T) {
	t.Parallel()
	db, dir := create(t, Options{})
	writers(t, dir, "")
	if n := wholeness(t, db); n != 100 {
		t.Errorf("%d versions, want 100", n)
	}
	if it, err := db.Item(t.Context(), "k", "count"); err != nil || string(it.Body) != "100" {
		t.Errorf("counted %s: %v", it.Body, errText(err))
	}
}

// TestShortProcesses has the store opened and closed all the time, so that often
// nobody else has it open: the WAL is recovered and taken over.
func TestShortProcesses(t *testing.T) {
	t.Parallel()
	first, dir := create(t, Options{})
	_ = first.Close()
	writers(t, dir, "short")
	db := reopen(t, dir, Options{})
	if last, err := db.LastLog(t.Context()); err != nil || last.Seq != 4*60*2 {
		t.Errorf("%d records: %v", last.Seq, errText(err))
	}
	for _, err := range db.Log(t.Context(), 1) {
		if err != nil {
			t.Fatal(errText(err))
		}
	}
}

// writers runs four processes to their end.
func writers(t *testing.T, dir, mode string) {
	t.Helper()
	var running []*exec.Cmd
	for range 4 {
		cmd := writer(t, dir, mode)
		cmd.Stdout = new(strings.Builder)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, cmd)
	}
	for _, cmd := range running {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, cmd.Stdout)
		}
	}
}

func TestKilled(t *testing.T) {
	t.Parallel()
	first, dir := create(t, Options{})
	_ = first.Close()
	for round := range 20 {
		cmd := writer(t, dir, "endless")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		acknowledged := 0
		lines := bufio.NewScanner(out)
		for i := 0; i <= round && lines.Scan(); i++ {
			n, ok := strings.CutPrefix(lines.Text(), "done ")
			if acknowledged, err = strconv.Atoi(n); !ok || err != nil {
				t.Fatal(lines.Text())
			}
		}
		_ = cmd.Process.Kill()
		for lines.Scan() { // what it said before it died
			acknowledged++
		}
		_ = cmd.Wait()
		db := reopen(t, dir, Options{})
		last, err := db.LastLog(t.Context())
		if err != nil {
			t.Fatal(errText(err))
		}
		n := wholenessAfterKills(t, db)
		if n < acknowledged || n > acknowledged+1 || int(last.Seq) > n {
			t.Errorf("round %d: %d versions, %d acknowledged, %d records", round, n, acknowledged, last.Seq)
		}
		_ = db.Close()
	}
}

// wholenessAfterKills is wholeness, where each kill may have lost one record that
// was never written.
func wholenessAfterKills(t *testing.T, db *DB) int {
	t.Helper()
	versions, err := db.Versions(t.Context(), "shared")
	if err != nil {
		t.Fatal(errText(err))
	}
	s, err := db.Read(t.Context(), "shared", len(versions))
	if err != nil || string(s.Values["n"].Reveal()) != strconv.Itoa(len(versions)) {
		t.Fatalf("the newest version: another value, or %v", errText(err))
	}
	for _, err := range db.Log(t.Context(), 1) {
		if err != nil {
			t.Fatal(errText(err))
		}
	}
	if err := db.VerifyState(t.Context()); err != nil {
		t.Error(errText(err))
	}
	return len(versions)
}
