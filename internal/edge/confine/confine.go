package confine

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Enter confines the process: no new privileges, no capabilities, no core dump,
// no other process that reads its memory, and a system call filter under which
// only sockets of the given families (unix.AF_INET, …) can still be made. It
// then looks at every thread and fails unless all are confined; the process
// must not go on after an error.
func Enter(families ...int) error {
	// The filter may only be set by a thread that has no_new_privs, and the
	// kernel then gives both to all others.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := dropCapabilities(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid dumps: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid new privileges: %w", err)
	}
	if err := load(program(families)); err != nil {
		return err
	}
	return verify("/proc/self/task")
}

// load installs the filter in all threads.
func load(filter []unix.SockFilter) error {
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return fmt.Errorf("load the system call filter: %w", errno)
	}
	if thread != 0 {
		return fmt.Errorf("load the system call filter: thread %d has another", thread)
	}
	return nil
}
