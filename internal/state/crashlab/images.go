package crashlab

import (
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"slices"
)

// Image is what a disk may hold after a crash.
type Image struct {
	Files Files
	// At is the number of operations that the disk was asked for before the crash.
	At int
	// How says what survived, for messages.
	How string
}

// Plan says which images are made of each point at which a disk may crash.
type Plan struct {
	// Random is the number of random choices of what survives; beside them there
	// are none, all, prefixes, and all but the last.
	Random int
	// Prefixes is the largest number of prefixes; some are chosen where there are
	// more.
	Prefixes int
	// Sector is the size in bytes of what a disk writes as a whole; random images
	// use this one or eight of it.
	Sector int64
	// Every makes images of every n-th point only; 1 where it is zero.
	Every int
	// From is the first point, in operations; those before it have no images.
	From int
}

// image is a disk between operations: what is durable, and what is not yet.
type image struct {
	names   map[string]int
	files   map[int][]byte
	pending []Op
}

// Images calls each with images of the disk at every point from the first to the
// last operation, and after it, until each returns false. Images that are alike at
// one point are made once. The disk must be at rest.
//
// What survives is chosen by rng. A write that is lost may leave the file longer,
// with zeros or with old bytes of other files where the data was to come, as file
// systems that write sizes ahead of data do. Names survive or not each by itself;
// operations on one name, and writes to one sector, in their order.
func (d *Disk) Images(plan Plan, rng *rand.Rand, each func(Image) bool) {
	d.mu.Lock()
	journal := slices.Clone(d.journal)
	d.mu.Unlock()
	s := &image{names: map[string]int{}, files: map[int][]byte{}}
	for i, name := range slices.Sorted(maps.Keys(d.base)) {
		s.names[name], s.files[i] = i, slices.Clone(d.base[name])
	}
	every := max(1, plan.Every)
	for at := 0; ; at++ {
		if at >= plan.From && at%every == 0 || at == len(journal) {
			seen := map[uint64]bool{}
			for _, c := range choices(plan, rng, len(s.pending)) {
				files := s.make(c, rng)
				if h := files.hash(); !seen[h] {
					seen[h] = true
					if !each(Image{Files: files, At: at, How: c.how}) {
						return
					}
				}
			}
		}
		if at == len(journal) {
			return
		}
		s.apply(journal[at])
	}
}

// apply does one operation: a sync makes durable what it is for, and all others
// wait for one.
func (s *image) apply(op Op) {
	if op.Kind == FailedSync {
		s.pending = slices.DeleteFunc(s.pending, func(p Op) bool { return p.Kind == Write && p.inode == op.inode })
		return
	}
	if op.Kind != Sync && op.Kind != SyncDir {
		s.pending = append(s.pending, op)
		return
	}
	s.pending = slices.DeleteFunc(s.pending, func(p Op) bool {
		name := p.Kind == Create || p.Kind == Remove || p.Kind == Rename
		if durable := name && op.Kind == SyncDir || !name && op.Kind == Sync && p.inode == op.inode; !durable {
			return false
		}
		s.do(p)
		return true
	})
}

// do does an operation for good.
func (s *image) do(op Op) {
	switch op.Kind {
	case Write:
		s.files[op.inode] = put(s.files[op.inode], op.Data, op.Off)
	case Truncate:
		s.files[op.inode] = resize(s.files[op.inode], op.Off)
	case Create:
		s.names[op.Name] = op.inode
	case Remove:
		delete(s.names, op.Name)
	case Rename:
		if i, ok := s.names[op.Name]; ok {
			delete(s.names, op.Name)
			s.names[op.To] = i
		}
	}
}

// choice says which of the pending operations survive.
type choice struct {
	how    string
	keep   func(i int) bool
	sector int64 // tear what is kept, and what is lost, by this; 0: do not
}

func choices(plan Plan, rng *rand.Rand, n int) []choice {
	out := []choice{{how: "nothing that was not synced", keep: func(int) bool { return false }}}
	if n == 0 {
		return out
	}
	out = append(out, choice{how: "everything", keep: func(int) bool { return true }},
		choice{how: "all but the last", keep: func(i int) bool { return i < n-1 }},
		choice{how: "only the last", keep: func(i int) bool { return i == n-1 }})
	prefixes := rng.Perm(n)
	for _, p := range prefixes[:min(n, plan.Prefixes)] {
		out = append(out, choice{how: "a prefix", keep: func(i int) bool { return i < p }})
	}
	for k := range plan.Random {
		odds := []float64{0.5, 0.9, 0.1}[k%3]
		mask := make([]bool, n)
		for i := range mask {
			mask[i] = rng.Float64() < odds
		}
		c := choice{how: "some", keep: func(i int) bool { return mask[i] }}
		if k%2 == 1 {
			c.how, c.sector = "some, torn", plan.Sector<<(3*rng.IntN(2))
		}
		out = append(out, c)
	}
	return out
}

// make returns the files after a crash.
func (s *image) make(c choice, rng *rand.Rand) Files {
	is := &image{names: maps.Clone(s.names), files: map[int][]byte{}}
	for i, data := range s.files {
		is.files[i] = slices.Clone(data)
	}
	for i, op := range s.pending {
		switch kept := c.keep(i); {
		case op.Kind == Write && c.sector > 0:
			is.tear(op, c.sector, kept, rng)
		case kept:
			is.do(op)
		case op.Kind == Write && c.how == "some" && rng.IntN(4) == 0:
			is.lengthen(op, rng)
		}
	}
	out := Files{}
	for name, i := range is.names {
		out[name] = is.files[i]
	}
	return out
}

// tear lets each sector of a write survive or not; most do where the write is kept.
func (s *image) tear(op Op, sector int64, kept bool, rng *rand.Rand) {
	end := op.Off + int64(len(op.Data))
	for from := op.Off; from < end; {
		to := min(end, (from/sector+1)*sector)
		if (rng.IntN(8) > 0) == kept {
			s.files[op.inode] = put(s.files[op.inode], op.Data[from-op.Off:to-op.Off], from)
		}
		from = to
	}
}

// lengthen leaves of a lost write only that the file became longer.
func (s *image) lengthen(op Op, rng *rand.Rand) {
	was := int64(len(s.files[op.inode]))
	s.files[op.inode] = grow(s.files[op.inode], op.Off+int64(len(op.Data)))
	if added := s.files[op.inode][was:]; len(added) > 0 && rng.IntN(2) == 0 {
		for i := range added {
			added[i] = byte(rng.Uint32())
		}
	}
}

var seed = maphash.MakeSeed()

func (f Files) hash() uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, name := range slices.Sorted(maps.Keys(f)) {
		_, _ = h.WriteString(name)
		_ = h.WriteByte(0)
		_, _ = h.Write(f[name])
	}
	return h.Sum64()
}
