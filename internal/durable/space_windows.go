package durable

import "golang.org/x/sys/windows"

// Free returns how many bytes this user can still write to the disk that holds path;
// -1 where that is not known.
func Free(path string) int64 {
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return -1
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(p, &free, nil, nil); err != nil {
		return -1
	}
	return int64(free)
}
