// Package procfs reads of the host's processes what surveys tell: programs,
// users and times, never arguments or environments, which may be secrets.
//
// What has ended meanwhile is not an error. internal/driver/containerd and
// internal/engine/premises call it.
package procfs

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Processes lists the numbers of those of the host.
func Processes() ([]int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	var out []int
	for _, dir := range dirs {
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			out = append(out, pid)
		}
	}
	return out, err
}

// Gone tells whether an error of /proc means that the process has ended.
func Gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) }

// Fields of /proc/<pid>/stat after the program's name: their places in proc(5)
// less 3.
const (
	parent   = 4 - 3
	session  = 6 - 3
	terminal = 7 - 3
	start    = 22 - 3
)

// stat gives the fields after the program's name, which may hold anything.
func stat(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
}

func number(pid, field int) int {
	f := stat(pid)
	if len(f) <= field {
		return 0
	}
	n, _ := strconv.Atoi(f[field])
	return n
}

// Parent of a process, 0 if it has ended.
func Parent(pid int) int { return number(pid, parent) }

// Session of a process, 0 if it has ended.
func Session(pid int) int { return number(pid, session) }

// Terminal that a process has, as /dev names it, "" if it has none.
func Terminal(pid int) string {
	dev := uint64(number(pid, terminal))
	switch major, minor := unix.Major(dev), unix.Minor(dev); {
	case dev == 0:
		return ""
	case major >= 136 && major <= 143:
		return fmt.Sprintf("pts/%d", (major-136)<<20|minor)
	case major == 4 && minor < 64:
		return fmt.Sprintf("tty%d", minor)
	case major == 4:
		return fmt.Sprintf("ttyS%d", minor-64)
	default:
		return fmt.Sprintf("the terminal %d:%d", major, minor)
	}
}

// Ticks is when a process began, in the kernel's own count.
func Ticks(pid int) int { return number(pid, start) }

// Status gives a line of /proc/<pid>/status, nil if it has ended.
func Status(pid int, name string) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.Fields(rest)
		}
	}
	return nil
}

// Describe names a process by program, user and start.
func Describe(pid int) string {
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		program = "an unknown program"
	}
	user := "unknown"
	if info, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			user = strconv.Itoa(int(s.Uid))
		}
	}
	return fmt.Sprintf("%d (%q, user %s, since %s)", pid, program[:min(len(program), 120)], user, cmp.Or(Started(pid), "an unknown time"))
}

// Started is when a process began, "" if it has ended.
func Started(pid int) string {
	const ticks = 100 // USER_HZ
	n := Ticks(pid)
	b, err := os.ReadFile("/proc/stat")
	if n == 0 || err != nil {
		return ""
	}
	_, after, _ := strings.Cut(string(b), "\nbtime ")
	boot, err := strconv.Atoi(strings.SplitN(after, "\n", 2)[0])
	if err != nil {
		return ""
	}
	return time.Unix(int64(boot+n/ticks), 0).UTC().Format(time.DateTime) + " UTC"
}
