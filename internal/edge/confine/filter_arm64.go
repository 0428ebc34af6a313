package confine

import "golang.org/x/sys/unix"

const nativeArch = unix.AUDIT_ARCH_AARCH64

// foreignNumbers is empty: no other numbers share this architecture.
func foreignNumbers() []unix.SockFilter { return nil }
