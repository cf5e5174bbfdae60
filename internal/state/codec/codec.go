// Package codec encodes and decodes the plain form of what a store encrypts.
package codec

import (
	"encoding/binary"
	"time"
)

// Encoder writes the plain form of what is encrypted: numbers as varints, texts
// with their length in front.
type Encoder []byte

// Num writes a number, which is not negative.
func (e *Encoder) Num(n int) { *e = binary.AppendUvarint(*e, uint64(n)) }

// Text writes a text.
func (e *Encoder) Text(s string) { e.Num(len(s)); *e = append(*e, s...) }

// Bytes writes bytes.
func (e *Encoder) Bytes(b []byte) { e.Num(len(b)); *e = append(*e, b...) }

// Texts writes a list of texts.
func (e *Encoder) Texts(s []string) {
	e.Num(len(s))
	for _, t := range s {
		e.Text(t)
	}
}

// Time writes a time; the zero time stays zero.
func (e *Encoder) Time(t time.Time) {
	if t.IsZero() {
		e.Num(0)
		return
	}
	e.Num(1)
	*e = binary.AppendVarint(*e, t.Unix())
	e.Num(t.Nanosecond())
}

// Decoder reads what Encoder wrote; Bad is set once anything does not fit.
type Decoder struct {
	Rest []byte
	Bad  bool
}

// Num reads a number.
func (d *Decoder) Num() int {
	n, size := binary.Uvarint(d.Rest)
	if size <= 0 || n > 1<<62 {
		d.Bad, d.Rest = true, nil
		return 0
	}
	d.Rest = d.Rest[size:]
	return int(n)
}

// Bytes reads bytes; they are a part of Rest, not a copy.
func (d *Decoder) Bytes() []byte {
	n := d.Num()
	if n > len(d.Rest) {
		d.Bad, d.Rest = true, nil
		return nil
	}
	b := d.Rest[:n:n]
	d.Rest = d.Rest[n:]
	return b
}

// Text reads a text.
func (d *Decoder) Text() string { return string(d.Bytes()) }

// Count reads how many things follow, each of which takes a byte or more.
func (d *Decoder) Count() int {
	n := d.Num()
	if n > len(d.Rest) {
		d.Bad, d.Rest = true, nil
		return 0
	}
	return n
}

// Texts reads a list of texts.
func (d *Decoder) Texts() []string {
	n := d.Count()
	if n == 0 {
		return nil
	}
	out := make([]string, n)
	for i := range out {
		out[i] = d.Text()
	}
	return out
}

// Time reads a time, in UTC.
func (d *Decoder) Time() time.Time {
	if d.Num() == 0 {
		return time.Time{}
	}
	sec, size := binary.Varint(d.Rest)
	if size <= 0 {
		d.Bad, d.Rest = true, nil
		return time.Time{}
	}
	d.Rest = d.Rest[size:]
	return time.Unix(sec, int64(d.Num())).UTC()
}

// Done reports whether everything was read and fitted.
func (d *Decoder) Done() bool { return !d.Bad && len(d.Rest) == 0 }
