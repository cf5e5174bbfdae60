// Command measure runs command lines in turn, ROUNDS times each, and prints for
// each run its time in microseconds and its peak memory. It is small, because
// Linux counts the memory of whoever starts a program as the program's own.
//
//	measure ROUNDS cmd arg ... , cmd arg ... , cmd arg ...
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// Run is one run of one command.
type Run struct {
	Command int
	Micros  int64
	MaxRSS  int64 // as the system counts it
	Status  int
}

func main() {
	rounds, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	var commands [][]string
	next := []string{}
	for _, a := range append(os.Args[2:], ",") {
		if a == "," {
			commands, next = append(commands, next), nil
			continue
		}
		next = append(next, a)
	}
	out := json.NewEncoder(os.Stdout)
	for range rounds {
		for i, c := range commands {
			cmd := exec.Command(c[0], c[1:]...)
			began := time.Now()
			err := cmd.Run()
			took := time.Since(began)
			if cmd.ProcessState == nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
			if err := out.Encode(Run{i, took.Microseconds(), int64(usage.Maxrss), cmd.ProcessState.ExitCode()}); err != nil {
				panic(err)
			}
		}
	}
}
