package launch

import (
	"debug/elf"
	"runtime/debug"
)

// Dynamic reports whether the system's dynamic linker starts this program: then
// LD_PRELOAD, which whoever starts it chooses, puts code of theirs into it. Where the
// program's own file cannot be read, how it was built decides.
func Dynamic() bool {
	if dynamic, err := interpreted("/proc/self/exe"); err == nil {
		return dynamic
	}
	info, ok := debug.ReadBuildInfo()
	for i := 0; ok && i < len(info.Settings); i++ {
		if s := info.Settings[i]; s.Key == "CGO_ENABLED" {
			return s.Value != "0"
		}
	}
	return true // nobody knows
}

// interpreted reports whether a program names another that starts it (PT_INTERP).
func interpreted(path string) (bool, error) {
	f, err := elf.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return true, nil
		}
	}
	return false, nil
}
