package codec_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/state/codec"
)

func TestBack(t *testing.T) {
	at := time.Date(1969, 1, 2, 3, 4, 5, 678, time.UTC)
	var e codec.Encoder
	e.Num(300)
	e.Text("text")
	e.Bytes([]byte{0, 1})
	e.Texts([]string{"a", "", "b"})
	e.Time(at)
	e.Time(time.Time{})
	read := func(b []byte) (bool, bool) {
		d := codec.Decoder{Rest: b}
		same := d.Num() == 300 && d.Text() == "text" && bytes.Equal(d.Bytes(), []byte{0, 1}) &&
			slices.Equal(d.Texts(), []string{"a", "", "b"}) && d.Time().Equal(at) && d.Time().IsZero()
		return same, d.Done()
	}
	if same, done := read(e); !same || !done {
		t.Errorf("it came back as something else: %v, %v", same, done)
	}
	for n := range len(e) {
		if same, done := read(e[:n]); same && done {
			t.Errorf("%d bytes of %d read as all", n, len(e))
		}
	}
	if _, done := read(append(e, 0)); done {
		t.Error("more than was written reads as done")
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		d := codec.Decoder{Rest: b}
		for !d.Bad && len(d.Rest) > 0 {
			d.Num()
			d.Texts()
			d.Time()
			d.Bytes()
			d.Count()
		}
	})
}
