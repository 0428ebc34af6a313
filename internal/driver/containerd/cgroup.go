package containerd

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const cgroupRoot = "/sys/fs/cgroup"

// unified reports whether the host has cgroup v2 alone.
func unified() bool {
	var s unix.Statfs_t
	return unix.Statfs(cgroupRoot, &s) == nil && s.Type == unix.CGROUP2_SUPER_MAGIC
}

// oomKilled reports whether the kernel killed a process of a cgroup for want
// of memory. The cgroup exists until its container is deleted.
func oomKilled(cgroup string) bool {
	file := filepath.Join(cgroupRoot, "memory", cgroup, "memory.oom_control")
	if unified() {
		file = filepath.Join(cgroupRoot, cgroup, "memory.events")
	}
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		if count, ok := strings.CutPrefix(in.Text(), "oom_kill "); ok {
			return count != "0"
		}
	}
	return false
}
