package confine

import "golang.org/x/sys/unix"

// Offsets into struct seccomp_data, and the halves of its arguments: the low
// one comes first on the little-endian machines that Strongroom runs on.
const (
	offsetNumber   = 0
	offsetArch     = 4
	offsetArgument = 16
)

const (
	deny  = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	allow = unix.SECCOMP_RET_ALLOW
	// absent makes a C library fall back to clone, whose flags can be seen.
	absent = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
)

// newNamespaces are the flags of clone that make a namespace.
const newNamespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID |
	unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// denied for every process that this package confines.
var denied = []uint32{
	// becoming a server
	unix.SYS_BIND, unix.SYS_LISTEN,
	// ways around a filter
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	// another program
	unix.SYS_EXECVE, unix.SYS_EXECVEAT,
	// other processes
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP,
	// another view of the system
	unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT,
	unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_FSOPEN, unix.SYS_FSMOUNT, unix.SYS_FSCONFIG, unix.SYS_FSPICK,
	unix.SYS_MOUNT_SETATTR,
	// parts of the kernel that it has no use for
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_REBOOT,
	unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_PERSONALITY,
}

// program returns the filter. Each test is followed by its own return, so that
// no jump is longer than two instructions.
func program(families []int) []unix.SockFilter {
	p := []unix.SockFilter{
		load32(offsetArch),
		equal(nativeArch, 1, 0),
		result(unix.SECCOMP_RET_KILL_PROCESS), // numbers of another architecture mean other calls
		load32(offsetNumber),
	}
	p = append(p, foreignNumbers()...)
	for _, number := range denied {
		p = append(p, equal(number, 0, 1), result(deny))
	}
	p = append(p, equal(unix.SYS_CLONE3, 0, 1), result(absent))
	p = append(p, equal(unix.SYS_CLONE, 0, 4), // else: past the next four
		load32(offsetArgument),
		jump(unix.BPF_JMP|unix.BPF_JSET|unix.BPF_K, newNamespaces, 0, 1),
		result(deny),
		result(allow))
	return append(p, sockets(families)...)
}

// sockets allows socket and socketpair for the families only, and ends the
// program. Calls that are neither have to be told apart first.
func sockets(families []int) []unix.SockFilter {
	p := []unix.SockFilter{
		equal(unix.SYS_SOCKET, 2, 0),
		equal(unix.SYS_SOCKETPAIR, 1, 0),
		result(allow),
		load32(offsetArgument),
	}
	for _, family := range families {
		p = append(p, equal(uint32(family), 0, 1), result(allow))
	}
	return append(p, result(deny))
}

func load32(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func equal(value uint32, yes, no uint8) unix.SockFilter {
	return jump(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, value, yes, no)
}

func jump(code uint16, value uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: code, Jt: yes, Jf: no, K: value}
}

func result(value uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: value}
}
