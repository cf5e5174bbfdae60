package whois

import (
	"os"

	"golang.org/x/sys/unix"
)

// ancestors asks the kernel for each ancestor and its command line, which it
// gives for processes of the same user only.
func ancestors() ([]Process, error) {
	var list []Process
	for pid := os.Getppid(); pid > 0 && len(list) < maxAncestors; {
		k, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
		if err != nil {
			return list, err
		}
		p := Process{PID: pid, Name: unix.ByteSliceToString(k.Proc.P_comm[:])}
		if raw, err := unix.SysctlRaw("kern.procargs2", pid); err == nil {
			p.Exe, p.Args = parseProcArgs(raw)
		}
		list = append(list, p)
		parent := int(k.Eproc.Ppid)
		if parent == pid {
			break
		}
		pid = parent
	}
	return list, nil
}
