package verify_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// whole is an exported file of n records, made by hand.
func whole(t testing.TB, n int) []byte {
	t.Helper()
	c := sample()
	var edge verify.Edge
	out := append(verify.NewHeader(c.Origin, vkey(key('a')), edge).Line(), '\n')
	for i := range n {
		r := keyturn.Record{Format: keyturn.RecordFormat, ID: strings.Repeat("x", i+1), Phase: keyturn.Intent, Time: start}
		data, err := keyturn.EncodeRecord(r)
		if err != nil {
			t.Fatal(err)
		}
		e := keyturn.LogEntry{Seq: int64(i + 1), Data: data, Leaf: verify.Leaf(data)}
		edge.Add(e.Leaf)
		out = append(append(out, verify.Line(e)...), '\n')
	}
	c.Size, c.Root = edge.Size(), edge.Root()
	return append(append(out, verify.CheckpointLine(must(c.Sign(key('a'))))...), '\n')
}

// Whatever is read, it neither panics nor is taken for whole unless it is the file.
func FuzzFile(f *testing.F) {
	good := whole(f, 3)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(bytes.ReplaceAll(good, []byte("\n"), []byte("\r\n")))
	f.Add([]byte(`{"keyturn":"audit-export","v":1,"from":9223372036854775807}` + "\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := verify.File(bytes.NewReader(data), verify.Held{Key: vkey(key('a'))})
		if err != nil {
			if e := keyturn.AsError(err); e.Code != keyturn.Corrupt && e.Code != keyturn.Invalid || e.Hint == "" {
				t.Errorf("%v (%s)", err, e.Code)
			}
			return
		}
		if r.Size != 3 || !bytes.Equal(data, whole(t, 3)) {
			t.Errorf("taken for whole: %+v\n%s", r, data)
		}
	})
}

func FuzzOpenCheckpoint(f *testing.F) {
	good := must(sample().Sign(key('a')))
	f.Add(good, vkey(key('a')))
	f.Add(good[:40], vkey(key('a')))
	f.Add(good, "a+00000000+AA==")
	f.Add([]byte("\n\n— \n"), "")
	f.Fuzz(func(t *testing.T, msg []byte, k string) {
		c, err := verify.OpenCheckpoint(msg, k)
		if err == nil && (k != vkey(key('a')) || c != sample()) {
			t.Errorf("opened: %+v by %q\n%s", c, k, msg)
		}
	})
}
