package leak

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

const (
	gram      = 4  // bytes looked at together
	maxWindow = 12 // bytes at the head of a form whose grams are known

	multiplier = 0x9e3779b1 // of the hash of a gram
)

// filter knows the grams that occur in the first bytes of the forms. If a gram
// at position p is not among them, no form can begin so that p lies within its
// window: looking at every (reach+1)-th position is enough to see them all.
type filter struct {
	set   []uint64 // bitmap of hashed grams
	shift uint8    // takes a hash to an index
	reach int      // the window without its last gram
}

func compileFilter(forms []form) filter {
	window := maxWindow
	for _, f := range forms {
		window = min(window, len(f.bytes))
	}
	f := filter{reach: window - gram}
	heads := 0 // the forms are sorted
	for i, form := range forms {
		if i == 0 || !bytes.Equal(form.bytes[:window], forms[i-1].bytes[:window]) {
			heads++
		}
	}
	// Some 32 bits for each gram, at least 1 KiB and at most 1 MiB in all.
	log := min(max(bits.Len(uint(heads*(f.reach+1)*32)), 13), 23)
	f.set = make([]uint64, 1<<(log-6))
	f.shift = uint8(32 - log)
	for _, form := range forms {
		for p := 0; p <= f.reach; p++ {
			h := hash(form.bytes[p:], f.shift)
			f.set[h/64] |= 1 << (h % 64)
		}
	}
	return f
}

// hash takes the gram at the head of p to an index. A gram is hashed the same
// way on every platform.
func hash(p []byte, shift uint8) uint32 {
	return binary.LittleEndian.Uint32(p) * multiplier >> shift
}

// skip returns the first position from start on where a form might begin.
// What is left at the end of p always might.
func (f *filter) skip(p []byte, start int) int {
	reach, shift, set := f.reach, f.shift, f.set
	i := start + reach
	for ; i+gram <= len(p); i += reach + 1 {
		h := hash(p[i:], shift)
		if set[h/64]>>(h%64)&1 != 0 {
			break
		}
	}
	return i - reach
}
