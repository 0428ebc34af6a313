package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine is what the figures were measured on.
type Machine struct {
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	SHA        bool   `json:"sha_instructions"`
	MemoryMB   uint64 `json:"memory_mb"`
	Kernel     string `json:"kernel"`
	Go         string `json:"go"`
	FileSystem string `json:"file_system"`
	Load       string `json:"load_average"` // at the end of the run; other work shows here
}

func (m Machine) String() string {
	sha := "no SHA instructions"
	if m.SHA {
		sha = "SHA instructions"
	}
	return fmt.Sprintf("%d cores of %s (%s), %d MB, Linux %s, %s, %s; load average %s",
		m.Cores, m.CPU, sha, m.MemoryMB, m.Kernel, m.Go, m.FileSystem, m.Load)
}

// describe looks at the machine and the file system of dir or its parent.
func describe(dir string) Machine {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version(), CPU: runtime.GOARCH, FileSystem: fileSystem(dir)}
	m.CPU, m.SHA = processor()
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	var s unix.Sysinfo_t
	if unix.Sysinfo(&s) == nil {
		m.MemoryMB = s.Totalram * uint64(s.Unit) >> 20
	}
	if raw, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load = strings.Join(strings.Fields(string(raw))[:3], " ")
	}
	return m
}

func processor() (name string, sha bool) {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH, false
	}
	defer f.Close()
	name = runtime.GOARCH
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		switch strings.TrimSpace(key) {
		case "model name":
			name = strings.TrimSpace(value)
		case "flags", "Features":
			sha = strings.Contains(value, " sha_ni") || strings.Contains(value, " sha2")
		}
	}
	return name, sha
}

func fileSystem(dir string) string {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil && unix.Statfs(".", &s) != nil {
		return "unknown file system"
	}
	names := map[int64]string{
		unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
		unix.TMPFS_MAGIC: "tmpfs (syncs cost nothing)", unix.OVERLAYFS_SUPER_MAGIC: "overlayfs",
	}
	if name, ok := names[s.Type]; ok {
		return name
	}
	return fmt.Sprintf("file system 0x%x", s.Type)
}
