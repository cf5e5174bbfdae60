package whois

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ancestors reads /proc: for each ancestor one stat, one command line and one
// link. Processes of others may hide the latter two, and that is no error: what
// a user runs is readable for that user.
func ancestors() ([]Process, error) {
	var list []Process
	buf := make([]byte, 4096)
	for pid := os.Getppid(); pid > 0 && len(list) < maxAncestors; {
		dir := "/proc/" + strconv.Itoa(pid)
		stat, err := readHead(dir+"/stat", buf)
		if err != nil {
			return list, err
		}
		p := Process{PID: pid}
		parent := 0
		if p.Name, parent, err = parseStat(stat); err != nil {
			return list, err
		}
		if cmd, err := readHead(dir+"/cmdline", buf); err == nil && len(cmd) > 0 {
			p.Args = strings.Split(strings.TrimSuffix(string(cmd), "\x00"), "\x00")
		}
		p.Exe, _ = os.Readlink(dir + "/exe")
		list = append(list, p)
		if parent == pid {
			break
		}
		pid = parent
	}
	return list, nil
}

var errStat = errors.New("whois: /proc/PID/stat has an unknown form")

// parseStat reads "PID (NAME) STATE PPID …", where NAME may hold anything.
func parseStat(b []byte) (name string, parent int, err error) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return "", 0, errStat
	}
	rest := bytes.Fields(b[end+1:])
	if len(rest) < 2 {
		return "", 0, errStat
	}
	if parent, err = strconv.Atoi(string(rest[1])); err != nil || parent < 0 {
		return "", 0, errStat
	}
	return string(b[open+1 : end]), parent, nil
}

// readHead reads as much of a file as buf takes, without the poller that
// package os sets up for each file.
func readHead(path string, buf []byte) ([]byte, error) {
	fd, err := retry(func() (int, error) { return syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0) })
	if err != nil {
		return nil, err
	}
	defer func() { _ = syscall.Close(fd) }()
	n := 0
	for n < len(buf) {
		m, err := retry(func() (int, error) { return syscall.Read(fd, buf[n:]) })
		if err != nil {
			return nil, err
		}
		if m <= 0 {
			break
		}
		n += m
	}
	return buf[:n], nil
}

func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != syscall.EINTR {
			return n, err
		}
	}
}
