package whois

import (
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// ancestors takes one snapshot of all processes and follows the parents in it.
// The command line is read where the process may be opened.
func ancestors() ([]Process, error) {
	snap, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = windows.CloseHandle(snap) }()
	type entry struct {
		parent uint32
		name   string
	}
	all := map[uint32]entry{}
	e := windows.ProcessEntry32{Size: uint32(unsafe.Sizeof(windows.ProcessEntry32{}))}
	for err = windows.Process32First(snap, &e); err == nil; err = windows.Process32Next(snap, &e) {
		all[e.ProcessID] = entry{e.ParentProcessID, windows.UTF16ToString(e.ExeFile[:])}
	}
	if err != windows.ERROR_NO_MORE_FILES {
		return nil, err
	}
	var list []Process
	seen := map[uint32]bool{}
	for pid := uint32(os.Getppid()); pid != 0 && !seen[pid] && len(list) < maxAncestors; {
		p, ok := all[pid]
		if !ok {
			break // ended; Windows keeps no other parent
		}
		seen[pid] = true
		list = append(list, Process{PID: int(pid), Name: p.name, Args: commandLine(pid)})
		pid = p.parent
	}
	return list, nil
}

// commandLine returns the arguments of a process; nil where they are not to be
// had.
func commandLine(pid uint32) []string {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
	if err != nil {
		return nil
	}
	defer func() { _ = windows.CloseHandle(h) }()
	// A UNICODE_STRING whose text follows it; a command line has at most 64 KiB.
	buf := make([]uintptr, (128<<10)/unsafe.Sizeof(uintptr(0)))
	size := uint32(uintptr(len(buf)) * unsafe.Sizeof(buf[0]))
	err = windows.NtQueryInformationProcess(h, windows.ProcessCommandLineInformation, unsafe.Pointer(&buf[0]), size, &size)
	if err != nil {
		return nil
	}
	args, err := windows.DecomposeCommandLine((*windows.NTUnicodeString)(unsafe.Pointer(&buf[0])).String())
	if err != nil {
		return nil
	}
	return args[:min(len(args), maxArgs)]
}
