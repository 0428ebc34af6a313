//go:build linux

// Command attempt tries what must not work from inside a dyno, and says how it
// went: a JSON line for each attempt. tests/live puts it into an app's
// repository and runs it there, and on the host, where it must succeed: what
// could not have worked anywhere proves nothing.
//
// Attempts are read from standard input, one a line: a word and its arguments.
// Those of the network are made all at once.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// outcome of an attempt: "ok", the name of an errno, or words; and what was
// read, if anything.
type outcome struct {
	Attempt string `json:"attempt"`
	Result  string `json:"result"`
	Read    string `json:"read,omitempty"`
}

func main() {
	runtime.LockOSThread() // namespaces and ids are a thread's
	var attempts []string
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if lines.Text() == "" {
			break
		}
		attempts = append(attempts, lines.Text())
	}
	out := json.NewEncoder(os.Stdout)
	for _, o := range network(attempts) {
		_ = out.Encode(o)
	}
	for _, a := range attempts {
		word, rest, _ := strings.Cut(a, " ")
		if remote[word] != nil {
			continue
		}
		try, known := local[word]
		if !known {
			_ = out.Encode(outcome{a, "unknown", ""})
			continue
		}
		read, err := try(rest)
		_ = out.Encode(outcome{a, verdict(err), read})
	}
	// Whoever looks from outside ends the input when done.
	fmt.Println("done")
	for lines.Scan() {
	}
}

func verdict(err error) string {
	var no syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &no):
		if name := unix.ErrnoName(no); name != "" {
			return name
		}
	}
	return err.Error()
}

// network makes the attempts over the network, many at a time.
func network(attempts []string) []outcome {
	var mu sync.Mutex
	var out []outcome
	var wg sync.WaitGroup
	slots := make(chan struct{}, 64)
	for _, a := range attempts {
		word, rest, _ := strings.Cut(a, " ")
		try := remote[word]
		if try == nil {
			continue
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			err := try(rest)
			mu.Lock()
			defer mu.Unlock()
			out = append(out, outcome{a, verdict(err), ""})
		})
	}
	wg.Wait()
	return out
}

// patience is long enough for a local connection on a loaded machine; a packet
// that a firewall drops is noticed by it alone.
const patience = 2 * time.Second

var remote = map[string]func(string) error{
	"tcp": func(address string) error { // HOST:PORT
		c, err := net.DialTimeout("tcp", address, patience)
		if err != nil {
			return err
		}
		return c.Close()
	},
	"dns": func(rest string) error { // SERVER:PORT NAME: an address counts
		server, name, _ := strings.Cut(rest, " ")
		return askDNS(server, name)
	},
	"unix": func(path string) error { // PATH, or @NAME for an abstract one
		var errs []error
		for _, kind := range []string{"unix", "unixpacket", "unixgram"} {
			c, err := net.DialTimeout(kind, path, patience)
			if err == nil {
				return c.Close()
			}
			errs = append(errs, err)
			if !errors.Is(err, unix.EPROTOTYPE) {
				return err
			}
		}
		return errors.Join(errs...)
	},
}

func askDNS(server, name string) error {
	c, err := net.DialTimeout("udp", server, patience)
	if err != nil {
		return err
	}
	defer c.Close()
	q := []byte{0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for label := range strings.SplitSeq(name, ".") {
		q = append(append(q, byte(len(label))), label...)
	}
	q = append(q, 0, 0, 1, 0, 1)
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.Write(q); err != nil {
		return err
	}
	answer := make([]byte, 512)
	n, err := c.Read(answer)
	switch {
	case err != nil:
		return err
	case n < 12 || answer[3]&15 != 0 || answer[6] == 0 && answer[7] == 0:
		return errNoSuchName
	}
	return nil
}

var errNoSuchName = errors.New("no such name")

func noRead(f func(string) error) func(string) (string, error) {
	return func(rest string) (string, error) { return "", f(rest) }
}

func call(number uintptr, args ...uintptr) func(string) (string, error) {
	return noRead(func(string) error {
		var a [6]uintptr
		copy(a[:], args)
		if _, _, no := unix.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]); no != 0 {
			return no
		}
		return nil
	})
}

var local = map[string]func(string) (string, error){
	"read": func(path string) (string, error) {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		buf := make([]byte, 4096)
		n, err := f.Read(buf)
		if n > 0 {
			err = nil
		}
		return string(buf[:max(n, 0)]), err
	},
	"list": func(path string) (string, error) {
		entries, err := os.ReadDir(path)
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return strings.Join(names, " "), err
	},
	"write": noRead(func(rest string) error { // PATH TEXT, without making or changing more than it must
		path, text, _ := strings.Cut(rest, " ")
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.WriteString(text)
		return err
	}),
	"create": noRead(func(rest string) error { // PATH TEXT
		path, text, _ := strings.Cut(rest, " ")
		return os.WriteFile(path, []byte(text), 0o644)
	}),
	"mkdir": noRead(func(path string) error { return os.Mkdir(path, 0o700) }),
	"mount": noRead(func(rest string) error { // TYPE DIR
		kind, dir, _ := strings.Cut(rest, " ")
		return unix.Mount("none", dir, kind, 0, "")
	}),
	"bind": noRead(func(rest string) error { // FROM TO
		from, to, _ := strings.Cut(rest, " ")
		return unix.Mount(from, to, "", unix.MS_BIND, "")
	}),
	"remount": noRead(func(dir string) error { return unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND, "") }),
	"umount":  noRead(func(dir string) error { return unix.Unmount(dir, unix.MNT_DETACH) }),
	"chroot": noRead(func(dir string) error {
		return unix.Chroot(dir)
	}),
	"mknod": noRead(func(rest string) error { // PATH b|c MAJOR MINOR
		var path, kind string
		var major, minor uint32
		if _, err := fmt.Sscan(rest, &path, &kind, &major, &minor); err != nil {
			return err
		}
		mode := uint32(unix.S_IFBLK)
		if kind == "c" {
			mode = unix.S_IFCHR
		}
		return unix.Mknod(path, mode|0o600, int(unix.Mkdev(major, minor)))
	}),
	"chown": noRead(func(rest string) error { // PATH UID
		path, uid, _ := strings.Cut(rest, " ")
		n, err := strconv.Atoi(uid)
		if err != nil {
			return err
		}
		return os.Chown(path, n, n)
	}),
	"setns": noRead(func(path string) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return unix.Setns(int(f.Fd()), 0)
	}),
	"unshare": noRead(func(what string) error {
		flags := map[string]int{"user": unix.CLONE_NEWUSER, "mount": unix.CLONE_NEWNS, "net": unix.CLONE_NEWNET, "pid": unix.CLONE_NEWPID, "cgroup": unix.CLONE_NEWCGROUP}
		// A user namespace needs a process of one thread, which this is not.
		if what == "user" {
			p, err := os.StartProcess("/proc/self/exe", []string{"attempt"}, &os.ProcAttr{Sys: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}})
			if err != nil {
				return err
			}
			_, err = p.Wait()
			return err
		}
		return unix.Unshare(flags[what])
	}),
	"kill": noRead(func(pid string) error { // whether it may be signalled
		n, err := strconv.Atoi(pid)
		if err != nil {
			return err
		}
		return unix.Kill(n, 0)
	}),
	"ptrace": noRead(func(pid string) error {
		n, err := strconv.Atoi(pid)
		if err != nil {
			return err
		}
		return unix.PtraceSeize(n) // the end of this process lets it go
	}),
	"rawsocket": noRead(func(string) error { return socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP) }),
	"packet":    noRead(func(string) error { return socket(unix.AF_PACKET, unix.SOCK_RAW, 0x0300) }),
	"setuid":    noRead(func(string) error { return unix.Setuid(0) }),
	"hostname":  noRead(func(name string) error { return unix.Sethostname([]byte(name)) }),
	"module":    call(unix.SYS_INIT_MODULE, 0, 0, 0),
	"swapoff":   call(unix.SYS_SWAPOFF, 0),
	"kexec":     call(unix.SYS_KEXEC_LOAD, 0, 0, 0, 0x8000_0000),
	"bpf":       call(unix.SYS_BPF, 0, 0, 0),
	"perf":      noRead(perf),
	"keyctl": noRead(func(string) error {
		_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, true)
		return err
	}),
	"syslog": noRead(func(string) error {
		_, err := unix.Klogctl(unix.SYSLOG_ACTION_READ_ALL, make([]byte, 64))
		return err
	}),
	"handle": noRead(func(path string) error { // opens a file by its handle, past every path
		h, _, err := unix.NameToHandleAt(unix.AT_FDCWD, path, 0)
		if err != nil {
			return err
		}
		at, err := unix.Open(path, unix.O_RDONLY, 0)
		if err != nil {
			return err
		}
		defer unix.Close(at)
		fd, err := unix.OpenByHandleAt(at, h, unix.O_RDONLY)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}),
}

func socket(family, kind, protocol int) error {
	fd, err := unix.Socket(family, kind, protocol)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// perf opens a counter of the whole machine.
func perf(string) error {
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})), Config: unix.PERF_COUNT_SW_CPU_CLOCK}
	fd, err := unix.PerfEventOpen(&attr, -1, 0, -1, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}
