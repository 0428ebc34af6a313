package containerd

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/strongroom/strongroom/internal/driver"
	"golang.org/x/sys/unix"
)

// maxFiles is how many files a container may have open, if the host's own
// limit allows: setting one above it fails.
const maxFiles = 10_000

// oomScore makes the kernel end a dyno before anything of the platform.
const oomScore = 500

// defaultPath is where commands are looked up if neither image nor process say.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// bundle is what a container's specification is made of.
type bundle struct {
	record   record
	base     int      // first id of its space's range
	netns    string   // path of its network namespace
	cgroup   string   // path of its cgroup
	files    string   // directory of hosts and resolv.conf
	tmp      string   // directory that becomes /tmp
	mounts   []string // sources of the process's mounts
	init     string   // path of the first process's program
	imageEnv []string
	imageDir string
	defaults driver.Limits
}

// spec names no network namespace: the process inherits it (see runtimeScript).
func (b bundle) spec() *specs.Spec {
	s := &specs.Spec{
		Version:  "1.0.2",
		Root:     &specs.Root{Path: "rootfs", Readonly: b.record.Process.ReadOnly},
		Hostname: b.record.ID,
		Process:  b.process(),
		Mounts:   b.allMounts(),
		Linux: &specs.Linux{
			UIDMappings: b.mapping(),
			GIDMappings: b.mapping(),
			CgroupsPath: b.cgroup,
			Resources:   b.resources(),
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace},
				{Type: specs.IPCNamespace},
				{Type: specs.UTSNamespace},
				{Type: specs.MountNamespace},
				{Type: specs.UserNamespace},
				{Type: specs.CgroupNamespace},
			},
			MaskedPaths: []string{
				"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
				"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi",
			},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
	s.Linux.Seccomp = seccomp.DefaultProfile(s)
	return s
}

func (b bundle) mapping() []specs.LinuxIDMapping {
	return []specs.LinuxIDMapping{{ContainerID: 0, HostID: uint32(b.base), Size: rangeSize}}
}

func (b bundle) process() *specs.Process {
	p := b.record.Process
	none := []string{}
	files := nofile()
	score := oomScore
	dir := p.Dir
	if dir == "" {
		dir = b.imageDir
	}
	if dir == "" {
		dir = "/"
	}
	out := &specs.Process{
		Terminal:        b.record.TTY,
		User:            specs.User{UID: uint32(p.UID), GID: uint32(p.UID)},
		Args:            b.args(),
		Env:             environment(b.imageEnv, append([]driver.EnvVar{{Name: "DYNO", Value: b.record.Dyno}}, p.Env...)),
		Cwd:             dir,
		NoNewPrivileges: true,
		OOMScoreAdj:     &score,
		Capabilities: &specs.LinuxCapabilities{
			Bounding: none, Effective: none, Inheritable: none, Permitted: none, Ambient: none,
		},
		Rlimits: []specs.POSIXRlimit{
			{Type: "RLIMIT_NOFILE", Hard: files, Soft: files},
			{Type: "RLIMIT_CORE"},
		},
	}
	if b.record.TTY {
		out.ConsoleSize = &specs.Box{Height: uint(b.record.Rows), Width: uint(b.record.Cols)}
	}
	return out
}

// initPath is where the first process's program lies in a container.
const initPath = "/dev/init"

// args has the init pass signals to the whole group of the command, as Heroku
// sends them to all processes of a dyno.
func (b bundle) args() []string {
	return append([]string{initPath, "-g", "--"}, b.record.Process.Args...)
}

func nofile() uint64 {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 1024
	}
	return min(r.Max, maxFiles)
}

// environment is the image's, with the process's values in place of equal
// names, and a PATH in any case.
func environment(image []string, process []driver.EnvVar) []string {
	set := map[string]int{}
	out := []string{"PATH=" + defaultPath}
	set["PATH"] = 0
	put := func(name, value string) {
		if at, ok := set[name]; ok {
			out[at] = name + "=" + value
			return
		}
		set[name] = len(out)
		out = append(out, name+"="+value)
	}
	for _, e := range image {
		if name, value, ok := strings.Cut(e, "="); ok {
			put(name, value)
		}
	}
	for _, e := range process {
		put(e.Name, e.Value)
	}
	return out
}

// allMounts leaves /sys out: sysfs belongs to the network namespace's owner,
// which is not the container's user namespace.
func (b bundle) allMounts() []specs.Mount {
	list := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		bind("/etc/hosts", filepath.Join(b.files, "hosts"), true),
		bind("/etc/resolv.conf", filepath.Join(b.files, "resolv.conf"), true),
		bind("/tmp", b.tmp, false),
		bind(initPath, b.init, true),
	}
	for i, m := range b.record.Process.Mounts {
		list = append(list, bind(m.Path, b.mounts[i], m.ReadOnly))
	}
	return list
}

// bind keeps the restrictions of the mount that from lies on: from inside a
// user namespace they cannot be lifted, and trying to is an error.
func bind(to, from string, readOnly bool) specs.Mount {
	m := specs.Mount{Destination: to, Type: "bind", Source: from, Options: []string{"bind", "nosuid", "nodev"}}
	if readOnly {
		m.Options = append(m.Options, "ro")
	}
	var s unix.Statfs_t
	if err := unix.Statfs(from, &s); err != nil {
		return m // runc will say what is wrong with it
	}
	for flag, option := range map[int64]string{unix.ST_NOEXEC: "noexec", unix.ST_NOATIME: "noatime", unix.ST_NODIRATIME: "nodiratime"} {
		if int64(s.Flags)&flag != 0 {
			m.Options = append(m.Options, option)
		}
	}
	return m
}

// cpuPeriod is the window of the CPU limit, in microseconds.
const cpuPeriod = 100_000

func (b bundle) resources() *specs.LinuxResources {
	l := b.record.Process.Limits
	if l.MemoryBytes == 0 {
		l.MemoryBytes = b.defaults.MemoryBytes
	}
	if l.PIDs == 0 {
		l.PIDs = b.defaults.PIDs
	}
	if l.CPUMillis == 0 {
		l.CPUMillis = b.defaults.CPUMillis
	}
	r := &specs.LinuxResources{
		Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}},
		Memory:  &specs.LinuxMemory{Limit: &l.MemoryBytes},
		Pids:    &specs.LinuxPids{Limit: &l.PIDs},
	}
	if swapAccounting() {
		r.Memory.Swap = &l.MemoryBytes // memory and swap together: no swap
	}
	if l.CPUMillis > 0 {
		quota, period := l.CPUMillis*cpuPeriod/1000, uint64(cpuPeriod)
		r.CPU = &specs.LinuxCPU{Quota: &quota, Period: &period}
	}
	return r
}

// swapAccounting reports whether the kernel can limit swap.
func swapAccounting() bool {
	if unified() {
		_, err := os.Stat("/proc/swaps")
		return err == nil
	}
	_, err := os.Stat(cgroupRoot + "/memory/memory.memsw.limit_in_bytes")
	return err == nil
}
