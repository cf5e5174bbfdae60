package state

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

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
// until it is killed, and says after each what was acknowledged; or gives the store
// new keys again and again.
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
	for rounds := 0; mode == "rekey" || mode == "rekeys" && rounds < 5; rounds++ {
		check(db.Rekey(ctx, func(done, total int) { fmt.Println("moved", done, "of", total) }))
		fmt.Println("rekeyed")
	}
	if mode == "rekeys" {
		check(db.Close())
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
		err = db.AppendLog(ctx, done%2 == 0, func(top keyturn.LogTop) ([]keyturn.LogEntry, []byte, error) {
			return []keyturn.LogEntry{{Seq: top.Last.Seq + 1, Data: []byte(next)}}, nil, nil
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
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
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
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	t.Parallel()
	first, dir := create(t, Options{})
	_ = first.Close()
	writers(t, dir, "short")
	db := reopen(t, dir, Options{})
	if last, err := db.LastLog(t.Context()); err != nil || last.Last.Seq != 4*60*2 {
		t.Errorf("%d records: %v", last.Last.Seq, errText(err))
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
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
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
		if n < acknowledged || n > acknowledged+1 || int(last.Last.Seq) > n {
			t.Errorf("round %d: %d versions, %d acknowledged, %d records", round, n, acknowledged, last.Last.Seq)
		}
		_ = db.Close()
	}
}

// TestRekeyProcesses writes and reads in three processes while two others give the
// store new keys all the time.
func TestRekeyProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	t.Parallel()
	db, dir := create(t, Options{})
	for i := range 200 {
		put(t, db, fmt.Sprint("more/", i), "value", "not a secret")
	}
	var running []*exec.Cmd
	for _, mode := range []string{"", "rekeys", "", "rekeys", ""} {
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
	if n := wholeness(t, db); n != 75 {
		t.Errorf("%d versions, want 75", n)
	}
	if it, err := db.Item(t.Context(), "k", "count"); err != nil || string(it.Body) != "75" {
		t.Errorf("counted %s: %v", it.Body, errText(err))
	}
	for i := range 200 {
		if _, err := db.Read(t.Context(), fmt.Sprint("more/", i), 1); err != nil {
			t.Fatal(errText(err))
		}
	}
	if _, newest := db.keys.Load().Epochs(); newest < 6 {
		t.Errorf("the newest epoch is %d: it was hardly rekeyed", newest)
	}
}

// TestRekeyKilled kills a rekey, and a writer beside it, at random moments; the next
// goes on. Nothing is lost, and in the end nothing of the first keys is left.
func TestRekeyKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	t.Parallel()
	first, dir := create(t, Options{})
	for i := range 300 {
		put(t, first, fmt.Sprint("more/", i), "value", fmt.Sprint("not a secret ", i))
	}
	put(t, first, "shared", "n", "1")
	addLog(t, first, 300)
	setItem(t, first, "m", "1", "an item")
	old := ciphertexts(t, first)
	_ = first.Close()
	acknowledged, midway := 1, 0
	for round := range 25 {
		beside := writer(t, dir, "endless")
		said, err := beside.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := writer(t, dir, "rekey")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(beside.Start(), cmd.Start()); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for i := 0; i <= round%9 && lines.Scan(); i++ {
			if strings.HasPrefix(lines.Text(), "failed") {
				t.Fatal(lines.Text())
			}
		}
		time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = beside.Process.Kill()
		for lines.Scan() {
		}
		for lines := bufio.NewScanner(said); lines.Scan(); {
			if _, err := fmt.Sscanf(lines.Text(), "done %d", &acknowledged); err != nil {
				t.Fatal(lines.Text())
			}
		}
		_, _ = cmd.Wait(), beside.Wait()
		db := reopen(t, dir, Options{})
		if is, err := db.Rekeying(t.Context()); err != nil {
			t.Fatal(errText(err))
		} else if is {
			midway++
		}
		n := wholenessAfterKills(t, db)
		if n < acknowledged || n > acknowledged+1 {
			t.Errorf("round %d: %d versions, %d acknowledged", round, n, acknowledged)
		}
		acknowledged = n // what is there stays there
		for i := range 300 {
			if s, err := db.Read(t.Context(), fmt.Sprint("more/", i), 1); err != nil || string(s.Values["value"].Reveal()) != fmt.Sprint("not a secret ", i) {
				t.Fatalf("round %d: secret %d: %s", round, i, errText(err))
			}
		}
		if _, err := db.Item(t.Context(), "m", "1"); err != nil {
			t.Fatal(errText(err))
		}
		_ = db.Close()
	}
	if midway < 5 {
		t.Errorf("only %d of 25 kills came midway", midway)
	}
	db := reopen(t, dir, Options{})
	for range 2 { // the first may only finish one of before
		if err := db.Rekey(t.Context(), nil); err != nil {
			t.Fatal(errText(err))
		}
	}
	wholenessAfterKills(t, db)
	if n := traces(contents(t, dir), old); n > 0 {
		t.Errorf("%d pieces of what the first keys encrypted are left", n)
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
