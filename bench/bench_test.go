//go:build unix

// Package bench measures keyturn beside something that everybody knows, in one
// run on one machine: what it prints are ratios. Run it with 'make bench'.
package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/leak"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/local"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/rootkey"
	"github.com/keyturn/keyturn/internal/world"
)

func TestMain(m *testing.M) { world.Main(m) }

// TestRatios prints the tables. It fails where something that has to stay flat
// does not; it never fails for an absolute time.
func TestRatios(t *testing.T) {
	if os.Getenv("KEYTURN_BENCH") == "" {
		t.Skip("it takes minutes: run 'make bench' (KEYTURN_BENCH=1)")
	}
	t.Logf("%s %s/%s, %d CPUs", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	t.Run("Process", process)
	t.Run("Redactor", redactor)
	t.Run("Audit", gets)
	t.Run("Vault", vaults)
	t.Run("Size", size)
}

func median[T int64 | float64 | time.Duration](list []T) T {
	slices.Sort(list)
	return list[len(list)/2]
}

// machine has a store, and lets whoever runs the benchmark do what it measures:
// that may be an agent.
func machine(t *testing.T) *world.Machine {
	t.Helper()
	m := world.New(t)
	dir := filepath.Join(m.Home, ".config", "keyturn")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	const rules = "rules:\n  - {who: agents, may: [list, describe, write], on: [\"local/**\"]}\n"
	if err := os.WriteFile(filepath.Join(dir, "keyturn.yaml"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	m.Must("", "init", "--key", "file") // a person, which makes the rules known
	m.Must("s3cret", "put", "local/bench/app", "password=-")
	return m
}

// programs are the binaries that are measured, built as they ship.
type programs struct{ keyturn, hello, measure string }

func build(t *testing.T) programs {
	t.Helper()
	dir := t.TempDir()
	one := func(name, pkg string) string {
		out := filepath.Join(dir, name)
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", pkg, err, text)
		}
		return out
	}
	return programs{one("keyturn", "../cmd/keyturn"), one("hello", "./testdata/hello"), one("measure", "./testdata/measure")}
}

// run is what measure prints.
type run struct {
	Command, Status int
	Micros, MaxRSS  int64
}

// compare runs commands in turn and returns for each its median time in
// microseconds and its median peak memory in MiB.
func compare(t *testing.T, m *world.Machine, p programs, rounds int, commands ...[]string) (micros, mib []float64) {
	t.Helper()
	args := []string{strconv.Itoa(rounds)}
	for i, c := range commands {
		if i > 0 {
			args = append(args, ",")
		}
		args = append(args, c...)
	}
	cmd := exec.Command(p.measure, args...)
	cmd.Env, cmd.Dir, cmd.Stderr = m.Env, m.Work, os.Stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	times, sizes := make([][]float64, len(commands)), make([][]float64, len(commands))
	dec := json.NewDecoder(bytes.NewReader(text))
	for dec.More() {
		var r run
		if err := dec.Decode(&r); err != nil {
			t.Fatal(err)
		}
		if r.Status != 0 {
			t.Fatalf("%v: exit status %d", commands[r.Command], r.Status)
		}
		unit := 1024.0 // Linux and the BSDs count KiB
		if runtime.GOOS == "darwin" {
			unit = 1
		}
		times[r.Command] = append(times[r.Command], float64(r.Micros))
		sizes[r.Command] = append(sizes[r.Command], float64(r.MaxRSS)*unit/(1<<20))
	}
	for i := range commands {
		micros, mib = append(micros, median(times[i])), append(mib, median(sizes[i]))
	}
	return micros, mib
}

func process(t *testing.T) {
	m, p := machine(t), build(t)
	names := []string{"hello-world", "keyturn version", "keyturn get", "keyturn put"}
	micros, mib := compare(t, m, p, 40, []string{p.hello}, []string{p.keyturn, "version"},
		[]string{p.keyturn, "get", "local/bench/app"},
		[]string{p.keyturn, "put", "local/bench/app", "--generate", "password"})
	var b strings.Builder
	fmt.Fprintf(&b, "whole processes, median of 40, a store with its root key in a file:\n%-18s %9s %9s %8s %9s\n", "", "ms", "more ms", "times", "peak MiB")
	for i, name := range names {
		fmt.Fprintf(&b, "%-18s %9.2f %9.2f %8.1f %9.1f\n", name, micros[i]/1000, (micros[i]-micros[0])/1000, micros[i]/micros[0], mib[i])
	}
	for _, file := range []string{p.hello, p.keyturn} {
		if fi, err := os.Stat(file); err == nil {
			fmt.Fprintf(&b, "size of %s: %.1f MB\n", filepath.Base(file), float64(fi.Size())/1e6)
		}
	}
	t.Log(b.String())
}

// text is ordinary output of a program, without any value in it.
func text(size int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("request served connection from upstream closed by peer while reading response header user session cache miss retry scheduled worker started")
	var b bytes.Buffer
	for b.Len() < size {
		fmt.Fprintf(&b, "2026-07-%02dT%02d:%02d:%02dZ INFO ", 1+rng.IntN(28), rng.IntN(24), rng.IntN(60), rng.IntN(60))
		for range 6 + rng.IntN(10) {
			b.WriteString(words[rng.IntN(len(words))] + " ")
		}
		fmt.Fprintf(&b, "id=%08x\n", rng.Uint32())
	}
	return b.Bytes()[:size]
}

func needles(n int) []leak.Needle {
	rng := rand.New(rand.NewPCG(3, 4))
	out := make([]leak.Needle, n)
	for i := range out {
		v := make([]byte, 32)
		for j := range v {
			v[j] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[rng.IntN(64)]
		}
		out[i] = leak.Needle{Value: v, Label: "local/app" + strconv.Itoa(i) + "#password"}
	}
	return out
}

// redactor compares what run does with a program's output, reading a pipe and
// writing another, with and without redaction.
func redactor(t *testing.T) {
	data := text(32 << 20)
	counts := []int{0, 1, 100, 1000} // 0: no redactor at all
	var matchers []*leak.Matcher
	var compile []time.Duration
	for _, n := range counts {
		began := time.Now()
		m, _, err := leak.Compile(needles(n))
		if err != nil {
			t.Fatal(err)
		}
		matchers, compile = append(matchers, m), append(compile, time.Since(began))
	}
	times := make([][]time.Duration, len(counts))
	for range 7 {
		for i, n := range counts {
			times[i] = append(times[i], through(t, data, func(dst io.Writer) io.WriteCloser {
				if n == 0 {
					return plain{dst}
				}
				return matchers[i].Writer(dst, leak.Options{})
			}))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d MiB of log lines from a pipe to a pipe, median of 7:\n%-22s %9s %9s %12s\n", len(data)>>20, "", "MiB/s", "times", "compile ms")
	base := median(times[0])
	for i, n := range counts {
		name := "plain copy"
		if n > 0 {
			name = fmt.Sprintf("redactor, %d needles", n)
		}
		took := median(times[i])
		fmt.Fprintf(&b, "%-22s %9.0f %9.2f %12.2f\n", name, float64(len(data))/(1<<20)/took.Seconds(), float64(took)/float64(base), float64(compile[i].Microseconds())/1000)
	}
	t.Log(b.String())
}

type plain struct{ io.Writer }

func (plain) Close() error { return nil }

// through copies data from one pipe to another by way of filter.
func through(t *testing.T, data []byte, filter func(io.Writer) io.WriteCloser) time.Duration {
	t.Helper()
	inR, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	go func() {
		_, _ = inW.Write(data)
		_ = inW.Close()
	}()
	drained := make(chan int64)
	go func() {
		n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{outR}, make([]byte, 64<<10))
		drained <- n
	}()
	w := filter(outW)
	_, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{inR}, make([]byte, 32<<10))
	if err == nil {
		err = w.Close()
	}
	_ = outW.Close()
	n := <-drained
	took := time.Since(began)
	_, _ = inR.Close(), outR.Close()
	if err != nil || n != int64(len(data)) {
		t.Fatalf("copied %d of %d bytes (%v)", n, len(data), err)
	}
	return took
}

// flat is how much dearer an operation may be in a large store than in one of a
// thousand secrets.
const flat = 2.0

// size fills one store up and measures at each size: a put and a get by way of
// the mount, the listing of all names (for each name), and whole processes.
func size(t *testing.T) {
	m, p := machine(t), build(t)
	ctx := context.Background()
	db, err := state.Open(ctx, m.Store, func(id, kind, place string) ([]byte, error) {
		return rootkey.Keeper{Dir: m.Store, Store: id}.Load(ctx, kind, place)
	}, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	mount := platform.NewMount("local", local.New(db, "local"), local.Spec, "")
	n := 0
	put := func() time.Duration {
		ref, err := keyturn.ParseRef(fmt.Sprintf("local/team%d/app%d/config", n%100, n))
		if err != nil {
			t.Fatal(err)
		}
		n++
		values := map[string]keyturn.Value{"password": keyturn.NewValue([]byte(strconv.Itoa(n) + " a value of ordinary length"))}
		began := time.Now()
		if _, err := mount.Put(ctx, ref, platform.Put{Values: values}); err != nil {
			t.Fatal(err)
		}
		return time.Since(began)
	}
	rows := []string{"put, new secret", "get, one secret", "list, for each name", "list, a folder in a hundred", "process: get", "process: put"}
	cost := make([][]float64, len(rows)) // microseconds
	sizes := []int{1000, 10_000, 100_000}
	for _, total := range sizes {
		for n < total-300 {
			put()
		}
		var puts, gets, lists, folders []float64
		for range 300 {
			puts = append(puts, micro(put()))
		}
		for range 300 {
			ref, err := keyturn.ParseRef(fmt.Sprintf("local/team%d/app%d/config", 7, 7+100*rand.IntN(total/100)))
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if _, err := mount.Get(ctx, ref); err != nil {
				t.Fatal(err)
			}
			gets = append(gets, micro(time.Since(began)))
		}
		for range 5 {
			count, took := list(t, mount, "local/")
			if count < total {
				t.Fatalf("%d of %d secrets listed", count, total)
			}
			lists = append(lists, micro(took)/float64(count))
			_, took = list(t, mount, "local/team7/")
			folders = append(folders, micro(took))
		}
		whole, _ := compare(t, m, p, 30, []string{p.keyturn, "get", "local/team7/app7/config"},
			[]string{p.keyturn, "put", "local/bench/app", "--generate", "password"})
		for i, v := range []float64{median(puts), median(gets), median(lists), median(folders), whole[0], whole[1]} {
			cost[i] = append(cost[i], v)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "cost of one operation in stores of %v secrets, µs (times that of the smallest):\n", sizes)
	for i, row := range rows {
		fmt.Fprintf(&b, "%-28s", row)
		for j, v := range cost[i] {
			ratio := v / cost[i][0]
			fmt.Fprintf(&b, " %12.1f (%5.2f)", v, ratio)
			if ratio > flat && !strings.HasPrefix(row, "list, a folder") {
				t.Errorf("%s costs %.1f times as much at %d secrets as at %d; it has to stay within %.0f times", row, ratio, sizes[j], sizes[0], flat)
			}
		}
		b.WriteByte('\n')
	}
	b.WriteString("(a folder is found by looking at every name: names are encrypted, so that its cost grows with the store)\n")
	t.Log(b.String())
}

func micro(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

func list(t *testing.T, mount *platform.Mount, prefix string) (int, time.Duration) {
	t.Helper()
	under, err := keyturn.ParsePrefix(prefix)
	if err != nil {
		t.Fatal(err)
	}
	count, began := 0, time.Now()
	for _, err := range mount.List(context.Background(), under, false) {
		if err != nil {
			t.Fatal(err)
		}
		count++
	}
	return count, time.Since(began)
}
