package containerd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/driver/containerd/procfs"
)

// process is one of the host, with the namespaces that it is in as the kernel
// writes them ("pid:[4026531836]").
type process struct {
	pid                   int
	pidNS, mountNS, netNS string
	closed                bool // it may do more than this one, which may not look into it
}

// processes lists those of the host; kernel threads have no namespaces of note.
func processes() ([]process, error) {
	pids, err := procfs.Processes()
	if err != nil {
		return nil, err
	}
	var out []process
	for _, pid := range pids {
		p := process{pid: pid}
		for name, to := range map[string]*string{"pid": &p.pidNS, "mnt": &p.mountNS, "net": &p.netNS} {
			*to, err = os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, name))
			switch {
			case err == nil, procfs.Gone(err):
			case errors.Is(err, fs.ErrPermission):
				p.closed = true
			default:
				return nil, err // not to see is not to find nothing
			}
		}
		if p.pidNS != "" || p.closed {
			out = append(out, p)
		}
	}
	return out, nil
}

// wider says what a process may do that none in a container of a space, whose ids
// begin at base, may; "" if that is nothing.
func wider(pid, base int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "" // it has ended
	}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(line, ":")
		if why := widerBy(name, strings.Fields(value), base); why != "" {
			return why
		}
	}
	return ""
}

// widerBy looks at one line of /proc/<pid>/status.
func widerBy(name string, values []string, base int) string {
	for _, v := range values {
		n, err := strconv.ParseUint(v, 10, 64)
		switch name {
		case "Uid", "Gid":
			if err != nil || n < uint64(base) || n >= uint64(base+rangeSize) {
				return "has an id outside of its space's range"
			}
		case "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb":
			if strings.Trim(v, "0") != "" {
				return "has capabilities"
			}
		case "NoNewPrivs":
			if v != "1" {
				return "may gain privileges"
			}
		case "Seccomp":
			if v != "2" {
				return "runs without a seccomp filter"
			}
		}
	}
	return ""
}

// membership of processes in the cgroups below one.
type membership struct {
	groups map[string]bool  // names of the cgroups right below it
	of     map[int][]string // for each process those that it, or one below it, is in; "" = in none but the upper one
}

// members reads the cgroups below one, in each hierarchy that has it.
func members(cgroup string) (membership, error) {
	pattern := filepath.Join(cgroupRoot, "*", cgroup)
	if unified() {
		pattern = filepath.Join(cgroupRoot, cgroup)
	}
	roots, err := filepath.Glob(pattern)
	m := membership{groups: map[string]bool{}, of: map[int][]string{}}
	for _, root := range roots {
		if err = m.read(root); err != nil {
			break
		}
	}
	return m, err
}

func (m membership) read(root string) error {
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a container has ended
		}
		if err != nil || !e.IsDir() {
			return err
		}
		below, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name := strings.Split(below, "/")[0]
		if name == "." {
			name = ""
		} else {
			m.groups[name] = true
		}
		b, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENODEV) {
			return err
		}
		for _, word := range strings.Fields(string(b)) {
			// One that is in another pid namespace than this one's is 0.
			if pid, err := strconv.Atoi(word); err == nil && pid > 0 {
				m.add(pid, name)
			}
		}
		return nil
	})
}

func (m membership) add(pid int, name string) {
	for _, have := range m.of[pid] {
		if have == name {
			return
		}
	}
	m.of[pid] = append(m.of[pid], name)
}
