package confine

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dropCapabilities empties the sets of every thread. A program linked with cgo
// cannot do that for threads it does not know; it has to be started without
// capabilities then, which verify checks in either case.
func dropCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&none[0])), 0)
	if errors.Is(errno, syscall.ENOTSUP) {
		errno = capset(&header, &none[0])
	}
	if errno != 0 {
		return fmt.Errorf("drop capabilities: %w", errno)
	}
	return nil
}

func capset(header *unix.CapUserHeader, data *unix.CapUserData) syscall.Errno {
	var errno syscall.Errno
	if err := unix.Capset(header, data); err != nil {
		errors.As(err, &errno)
	}
	return errno
}
