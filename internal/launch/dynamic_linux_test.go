package launch

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// TestDynamic: a program is started by the dynamic linker where its file says so, and
// not by what it was built with.
func TestDynamic(t *testing.T) {
	for _, kind := range []elf.ProgType{elf.PT_LOAD, elf.PT_INTERP, elf.PT_DYNAMIC} {
		h := elf.Header64{Type: uint16(elf.ET_DYN), Machine: uint16(elf.EM_X86_64), Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 2}
		copy(h.Ident[:], elf.ELFMAG)
		h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
		var b bytes.Buffer
		for _, part := range []any{h, elf.Prog64{Type: uint32(elf.PT_LOAD)}, elf.Prog64{Type: uint32(kind)}} {
			if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(t.TempDir(), "program")
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := interpreted(path)
		if err != nil || got != (kind == elf.PT_INTERP) {
			t.Errorf("%v: %v, %v", kind, got, err)
		}
	}
	if _, err := interpreted(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("there is no such file")
	}
	want, err := interpreted("/proc/self/exe")
	if err != nil || Dynamic() != want {
		t.Errorf("this test counts as dynamic %v; its file says %v, %v", Dynamic(), want, err)
	}
}
