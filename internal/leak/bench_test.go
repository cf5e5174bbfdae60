package leak

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// logText is ordinary output: log lines of different shapes, no value in them.
func logText(size int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("request served connection from upstream closed by peer while reading response header user session cache miss retry scheduled worker started listening on address deployed container image pulled digest sha256 the quick brown")
	var b strings.Builder
	for b.Len() < size {
		fmt.Fprintf(&b, "2026-07-%02dT%02d:%02d:%02d.%06dZ ", 1+rng.IntN(28), rng.IntN(24), rng.IntN(60), rng.IntN(60), rng.IntN(1e6))
		switch rng.IntN(4) {
		case 0:
			fmt.Fprintf(&b, `{"level":"info","trace":"%016x","path":"/api/v1/items/%d","status":%d,"ms":%d}`, rng.Uint64(), rng.IntN(1e5), 200+rng.IntN(300), rng.IntN(900))
		case 1:
			fmt.Fprintf(&b, "INFO [pool-%d] com.example.service.Handler:", rng.IntN(16))
			fallthrough
		default:
			for range 5 + rng.IntN(12) {
				b.WriteString(" " + words[rng.IntN(len(words))])
			}
		}
		b.WriteByte('\n')
	}
	return []byte(b.String()[:size])
}

// randomNeedles returns values of 32 characters from the base64 alphabet.
func randomNeedles(n int) []Needle {
	rng := rand.New(rand.NewPCG(3, 4))
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	needles := make([]Needle, n)
	for i := range needles {
		v := make([]byte, 32)
		for j := range v {
			v[j] = alphabet[rng.IntN(len(alphabet))]
		}
		needles[i] = Needle{Value: v, Label: fmt.Sprintf("local/app%d#password", i)}
	}
	return needles
}

const benchSize = 4 << 20

func benchStream(b *testing.B, m *Matcher, data []byte, chunk int) {
	b.Helper()
	w := m.Writer(io.Discard, Options{})
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		for p := data; len(p) > 0; {
			n := min(chunk, len(p))
			if _, err := w.Write(p[:n]); err != nil {
				b.Fatal(err)
			}
			p = p[n:]
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
}

// texts are other kinds of ordinary output.
func texts(b *testing.B) map[string][]byte {
	b.Helper()
	rng := rand.New(rand.NewPCG(5, 6))
	var pairs, lines, dump, code []byte
	for len(pairs) < benchSize {
		pairs = fmt.Appendf(pairs, "time=2026-07-%02dT%02d:%02d:%02dZ level=INFO msg=\"request served\" method=GET path=/api/v1/items/%d status=%d duration=%d.%dms remote=10.0.%d.%d:%d trace=%016x\n",
			1+rng.IntN(28), rng.IntN(24), rng.IntN(60), rng.IntN(60), rng.IntN(1e5), 200+rng.IntN(300), rng.IntN(900), rng.IntN(10), rng.IntN(256), rng.IntN(256), rng.IntN(65536), rng.Uint64())
	}
	for log := bytes.SplitAfter(logText(benchSize), []byte("\n")); len(lines) < benchSize; log = log[1:] {
		line, err := json.Marshal(map[string]any{"level": "info", "ts": rng.IntN(1e9), "msg": "got <" + string(log[0]) + "\tat main.go:12", "path": "/a/b?x=1&y=2", "id": fmt.Sprintf("%016x", rng.Uint64())})
		if err != nil {
			b.Fatal(err)
		}
		lines = append(append(lines, line...), '\n')
	}
	for i := 0; len(dump) < benchSize; i += 16 {
		dump = fmt.Appendf(dump, "%08x: % x\n", i, binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, rng.Uint64()), rng.Uint64()))
	}
	names, err := filepath.Glob("*.go")
	if err != nil {
		b.Fatal(err)
	}
	for len(code) < benchSize {
		for _, name := range names {
			p, err := os.ReadFile(name)
			if err != nil {
				b.Fatal(err)
			}
			code = append(code, p...)
		}
	}
	return map[string][]byte{"log": logText(benchSize), "code": code, "pairs": pairs, "json": lines, "dump": dump}
}

// BenchmarkRedactTexts is of 100 values.
func BenchmarkRedactTexts(b *testing.B) {
	m, _, err := Compile(randomNeedles(100))
	if err != nil {
		b.Fatal(err)
	}
	for name, data := range texts(b) {
		b.Run(name, func(b *testing.B) { benchStream(b, m, data[:benchSize], 32<<10) })
	}
}

func BenchmarkRedact(b *testing.B) {
	data := logText(benchSize)
	for _, n := range []int{0, 1, 100, 1000} {
		m, _, err := Compile(randomNeedles(n))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("needles=%d", n), func(b *testing.B) { benchStream(b, m, data, 32<<10) })
	}
}

// BenchmarkRedactHostile is text that keeps the automaton busy: beginnings of
// forms, and a value in every line.
func BenchmarkRedactHostile(b *testing.B) {
	needles := randomNeedles(100)
	m, _, err := Compile(needles)
	if err != nil {
		b.Fatal(err)
	}
	for name, cut := range map[string]int{"prefixes": 31, "values": 32} {
		var data []byte
		for i := 0; len(data) < benchSize; i++ {
			data = append(append(data, needles[i%100].Value[:cut]...), '\n')
		}
		b.Run(name, func(b *testing.B) { benchStream(b, m, data, 32<<10) })
	}
	b.Run("lines", func(b *testing.B) { benchStream(b, m, logText(benchSize), 100) })
}

func BenchmarkCopy(b *testing.B) {
	data := logText(benchSize)
	b.SetBytes(benchSize)
	buf := make([]byte, 32<<10)
	for b.Loop() {
		if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{&sliceReader{data}}, buf); err != nil {
			b.Fatal(err)
		}
	}
}

type sliceReader struct{ p []byte }

func (r *sliceReader) Read(p []byte) (int, error) {
	if len(r.p) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.p)
	r.p = r.p[n:]
	return n, nil
}

func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{1, 5, 100, 200, 1000} {
		needles := randomNeedles(n)
		b.Run(fmt.Sprintf("needles=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m, _, err := Compile(needles)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(len(m.automaton.nodes)), "states")
				b.ReportMetric(float64(len(m.forms)), "forms")
			}
		})
	}
}
