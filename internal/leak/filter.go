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
	second     = 0x85ebca6b // of its second one
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
	// Some 16 bits for each gram, of which two are set; at least 1 KiB and at most 1 MiB in all.
	log := min(max(bits.Len(uint(heads*(f.reach+1)*16)), 13), 23)
	f.set = make([]uint64, 1<<(log-6))
	f.shift = uint8(32 - log)
	for i, form := range forms {
		if i > 0 && bytes.Equal(form.bytes[:window], forms[i-1].bytes[:window]) {
			continue
		}
		for p := 0; p <= f.reach; p++ {
			f.add(binary.LittleEndian.Uint32(form.bytes[p:]))
		}
	}
	return f
}

// add adds a gram.
func (f *filter) add(gram uint32) {
	for _, h := range [2]uint32{gram * multiplier >> f.shift, gram * second >> f.shift} {
		f.set[h/64] |= 1 << (h % 64)
	}
}

// knows reports whether gram may be one of the filter. It is hashed the same way on every
// platform.
func (f *filter) knows(gram uint32) bool {
	h := gram * multiplier >> f.shift
	return f.set[h/64]>>(h%64)&1 != 0 && f.confirms(gram)
}

// confirms is the second half of knows.
func (f *filter) confirms(gram uint32) bool {
	h := gram * second >> f.shift
	return f.set[h/64]>>(h%64)&1 != 0
}

// has reports whether the gram at the head of p may be one of the filter.
func (f *filter) has(p []byte) bool {
	return f.knows(binary.LittleEndian.Uint32(p))
}

// skip returns the first position from start on where a form might begin.
// What is left at the end of p always might.
func (f *filter) skip(p []byte, start int) int {
	reach, shift, set := f.reach, f.shift, f.set
	i := start + reach
	for ; i+gram <= len(p); i += reach + 1 {
		gram := binary.LittleEndian.Uint32(p[i:])
		if h := gram * multiplier >> shift; set[h/64]>>(h%64)&1 != 0 && f.confirms(gram) {
			break
		}
	}
	return i - reach
}
