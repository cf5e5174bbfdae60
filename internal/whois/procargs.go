package whois

import (
	"bytes"
	"encoding/binary"
)

// maxArgs bounds how much of a command line is looked at.
const maxArgs = 64

// parseProcArgs reads what macOS answers to kern.procargs2: the count of
// arguments, the path of the program, zero bytes, the arguments, and then the
// environment, which is left alone.
func parseProcArgs(b []byte) (exe string, args []string) {
	if len(b) < 4 {
		return "", nil
	}
	n := int(int32(binary.LittleEndian.Uint32(b)))
	path, rest, ok := bytes.Cut(b[4:], []byte{0})
	if !ok {
		return "", nil
	}
	rest = bytes.TrimLeft(rest, "\x00")
	for i := 0; i < n && i < maxArgs; i++ {
		arg, more, ok := bytes.Cut(rest, []byte{0})
		if !ok {
			break
		}
		args, rest = append(args, string(arg)), more
	}
	return string(path), args
}
