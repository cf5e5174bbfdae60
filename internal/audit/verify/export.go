package verify

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"sync"

	"github.com/keyturn/keyturn"
)

// ExportFormat is the version of exported files.
const ExportFormat = 1

// MaxLine is the longest line of an exported file, in bytes.
const MaxLine = 4 << 20

// Header is the first line of an exported file. Behind it comes one line for each
// record (see Line), and last a signed checkpoint (see CheckpointLine).
type Header struct {
	Kind   string `json:"keyturn"` // "audit-export"
	Format int    `json:"v"`
	Origin string `json:"origin"` // name of the log
	Key    string `json:"key"`    // verifier key of its checkpoints
	From   int64  `json:"from"`   // number of the first record
	// Edge is the right edge of the tree of the records before From, in base64.
	Edge []string `json:"edge,omitempty"`
}

const kindExport = "audit-export"

// NewHeader returns the header of an export whose first record comes behind edge.
func NewHeader(origin, vkey string, edge Edge) Header {
	h := Header{Kind: kindExport, Format: ExportFormat, Origin: origin, Key: vkey, From: edge.size + 1}
	for _, hash := range edge.hashes {
		h.Edge = append(h.Edge, base64Of(Hash(hash)))
	}
	return h
}

// Line returns the header's line, without its end.
func (h Header) Line() []byte { return jsonLine(h) }

// Line is one row as a line of an exported file, without its end:
//
//	{"seq":7,"leaf":"<base64>","record":{…}}
//
// with the record's bytes exactly as they were hashed, and no record where
// retention has dropped its content.
func Line(e keyturn.LogEntry) []byte {
	out := make([]byte, 0, len(e.Data)+100)
	out = append(out, `{"seq":`...)
	out = strconv.AppendInt(out, e.Seq, 10)
	out = append(out, `,"leaf":"`...)
	out = base64.StdEncoding.AppendEncode(out, e.Leaf[:])
	out = append(out, '"')
	if e.Data != nil {
		out = append(out, `,"record":`...)
		out = append(out, e.Data...)
	}
	return append(out, '}')
}

// ParseLine reads what Line made, and no other spelling. The row's bytes are part
// of line.
func ParseLine(line []byte) (e keyturn.LogEntry, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(`{"seq":`))
	digits, rest, more := bytes.Cut(rest, []byte(`,"leaf":"`))
	if !ok || !more || len(rest) < 46 || rest[44] != '"' || len(digits) == 0 || digits[0] < '1' || digits[0] > '9' {
		return e, false
	}
	var err error
	if e.Seq, err = strconv.ParseInt(string(digits), 10, 64); err != nil {
		return e, false
	}
	var leaf [33]byte // of 44 digits
	if n, err := base64.StdEncoding.Strict().Decode(leaf[:], rest[:44]); err != nil || n != len(e.Leaf) {
		return e, false
	}
	e.Leaf = Hash(leaf[:32])
	rest = rest[45:]
	if string(rest) == "}" {
		return e, true
	}
	data, ok := bytes.CutPrefix(rest, []byte(`,"record":{`))
	if !ok || len(data) < 2 || data[len(data)-1] != '}' {
		return e, false
	}
	e.Data = rest[len(`,"record":`) : len(rest)-1]
	return e, true
}

type checkpointLine struct {
	Checkpoint string `json:"checkpoint"`
}

// CheckpointLine is a signed checkpoint as the last line of an exported file,
// without its end.
func CheckpointLine(msg []byte) []byte { return jsonLine(checkpointLine{string(msg)}) }

func jsonLine(v any) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // not reached: texts and numbers
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// Held is what the verifier of a file holds themselves, both from elsewhere than
// the file; either may be left out.
type Held struct {
	Checkpoint []byte // a signed checkpoint of an earlier time
	Key        string // the log's verifier key
}

// File verifies an exported file by itself and by what the verifier holds. It is
// Corrupt, each case with its own words, where the file was cut short, edited, is
// of another log, or does not agree with the verifier's checkpoint; Invalid where
// it is no export at all. It reads as a stream, MaxLine at most at a time. A
// failure of r is Unavailable.
func File(r io.Reader, held Held) (Report, error) {
	f := &file{lines: bufio.NewScanner(r), held: held}
	f.lines.Buffer(make([]byte, 64<<10), MaxLine)
	f.lines.Split(wholeLines)
	err := f.begin()
	if err != nil {
		return Report{}, err
	}
	msg, err := f.rows()
	report := f.check.Report()
	report.Key = f.header.Key
	if err != nil {
		return report, err
	}
	made, err := OpenCheckpoint(msg, f.header.Key)
	if err != nil {
		if errors.Is(err, keyturn.Invalid) {
			err = f.corrupt("its checkpoint cannot be read", nil)
		}
		return report, err
	}
	report.Made = &made
	if err := f.check.End(made); err != nil {
		return report, err
	}
	return report, f.check.State(made)
}

type file struct {
	lines  *bufio.Scanner
	number int // of the line
	held   Held
	header Header
	check  *Check
}

// wholeLines is bufio.ScanLines for lines that end with exactly one line feed; a
// last one without it is marked by a zero byte in its place.
func wholeLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), append(bytes.Clone(data), 0), nil
	}
	return 0, nil, nil
}

// next returns the next line; nil at the end.
func (f *file) next() ([]byte, error) {
	f.number++
	if f.lines.Scan() {
		return f.lines.Bytes(), nil
	}
	return nil, f.lines.Err()
}

// unread is the error of a line that next could not read.
func (f *file) unread(err error) error {
	if errors.Is(err, bufio.ErrTooLong) {
		if f.header.Kind == "" {
			return notExport(nil)
		}
		return f.corrupt(fmt.Sprintf("line %d is too long", f.number), nil)
	}
	return keyturn.E(keyturn.Unavailable, "the file cannot be read", "try it again, or with a copy of it").Because(err)
}

func notExport(cause error) error {
	return keyturn.E(keyturn.Invalid, "this is not an exported audit log", "'keyturn audit export' makes one").Because(cause)
}

func (f *file) corrupt(why string, cause error) error {
	whole := "no record is whole"
	if f.check != nil {
		if r := f.check.Report(); r.First > 0 {
			whole = fmt.Sprintf("records %d to %d are whole", r.First, r.Size)
		}
	}
	return keyturn.E(keyturn.Corrupt, "the exported file was changed: "+why, whole+"; take another copy of the file, or export again").Because(cause)
}

// begin reads the header and the verifier's checkpoint.
func (f *file) begin() error {
	line, err := f.next()
	if err != nil {
		return f.unread(err)
	}
	var h Header
	if !bytes.HasPrefix(line, []byte(`{"keyturn":"`+kindExport+`","v":`)) {
		return notExport(nil)
	}
	if bytes.HasSuffix(line, []byte{0}) {
		return f.cut()
	}
	if err := json.Unmarshal(line, &h); err != nil {
		return f.corrupt("its first line cannot be read", err)
	}
	if h.Format > ExportFormat {
		return keyturn.E(keyturn.Invalid, fmt.Sprintf("the exported file has format %d, and this keyturn reads format %d", h.Format, ExportFormat), "use a newer keyturn")
	}
	if h.Format < 1 || h.From < 1 || !bytes.Equal(h.Line(), line) {
		return f.corrupt("its first line is not in its one form", nil)
	}
	var edge []byte
	for _, s := range h.Edge {
		hash, ok := hashOf(s)
		if !ok {
			return f.corrupt("its first line has a broken hash", nil)
		}
		edge = append(edge, hash[:]...)
	}
	var before Edge
	if before, err = ReadEdge(h.From-1, lastOf(edge), edge); err != nil {
		return f.corrupt("its first line has the wrong hashes", nil)
	}
	if v, err := verifier(h.Key); err != nil || v.Name() != h.Origin {
		return f.corrupt("its first line has a broken key", nil)
	}
	f.header = h
	if f.held.Key != "" {
		if _, err := verifier(f.held.Key); err != nil {
			return err
		}
	}
	if f.held.Key != "" && f.held.Key != h.Key {
		return keyturn.E(keyturn.Corrupt, "the exported file is of another log: its key is "+keyturn.Clean(short(h.Key))+", not the one you hold",
			"take the file of your log, or the key of this one")
	}
	var against *Checkpoint
	if f.held.Checkpoint != nil {
		c, err := OpenCheckpoint(f.held.Checkpoint, h.Key)
		if err != nil {
			return err
		}
		against = &c
	}
	f.check = NewCheck(After(before), against)
	return nil
}

// lastOf is the last hash of an edge's bytes: what its last leaf is where the size
// is odd, which a file shows nowhere else.
func lastOf(edge []byte) (h Hash) {
	if len(edge) >= len(h) {
		h = Hash(edge[len(edge)-len(h):])
	}
	return h
}

// rows checks all rows, and returns the checkpoint behind them. What can be said of
// a row by itself is found out for many at once, on all processors.
func (f *file) rows() ([]byte, error) {
	for {
		p := f.page()
		p.read()
		for i, row := range p.rows {
			if !row.ok {
				return nil, f.corrupt(fmt.Sprintf("line %d cannot be read", p.first+i), nil)
			}
			if _, err := f.check.next(row.entry, row.content); err != nil {
				return nil, err
			}
		}
		if p.err != nil {
			return nil, f.unread(p.err)
		}
		if p.last != nil {
			return f.end(p.last)
		}
		if p.cut {
			return nil, f.cut()
		}
	}
}

// How many lines, and bytes of them, are read before they are checked.
const (
	pageRows  = 1024
	pageBytes = 1 << 20
)

// page is some lines of rows, and what came behind them where that is no row.
type page struct {
	first int // number of the first line
	text  []byte
	ends  []int // of lines in text
	rows  []row
	last  []byte // the checkpoint's line
	cut   bool   // the file ends here, too early
	err   error  // it cannot be read here
}

type row struct {
	entry keyturn.LogEntry
	ok    bool
	content
}

func (f *file) page() *page {
	p := &page{first: f.number + 1}
	for len(p.ends) < pageRows && len(p.text) < pageBytes {
		line, err := f.next()
		if p.err = err; err != nil {
			return p
		}
		if p.cut = line == nil || bytes.HasSuffix(line, []byte{0}); p.cut {
			return p
		}
		if bytes.HasPrefix(line, []byte(`{"checkpoint":`)) {
			p.last = line
			return p
		}
		p.text = append(p.text, line...)
		p.ends = append(p.ends, len(p.text))
	}
	return p
}

func (p *page) read() {
	p.rows = make([]row, len(p.ends))
	workers := runtime.GOMAXPROCS(0)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := w * len(p.ends) / workers; i < (w+1)*len(p.ends)/workers; i++ {
				from := 0
				if i > 0 {
					from = p.ends[i-1]
				}
				r := &p.rows[i]
				if r.entry, r.ok = ParseLine(p.text[from:p.ends[i]:p.ends[i]]); r.ok {
					r.content = read(r.entry)
				}
			}
		})
	}
	all.Wait()
}

func (f *file) end(line []byte) ([]byte, error) {
	var c checkpointLine
	if err := json.Unmarshal(line, &c); err != nil || !bytes.Equal(CheckpointLine([]byte(c.Checkpoint)), line) {
		return nil, f.corrupt("its checkpoint cannot be read", err)
	}
	if more, err := f.next(); err != nil || more != nil {
		return nil, f.corrupt("there is something behind its checkpoint", err)
	}
	return []byte(c.Checkpoint), nil
}

func (f *file) cut() error {
	where := "in its first line"
	if f.check != nil {
		where = fmt.Sprintf("behind record %d, without the checkpoint that ends it", f.check.Report().Size)
	}
	return keyturn.E(keyturn.Corrupt, "the exported file was cut short: it ends "+where, "take another copy of the file, or export again")
}
