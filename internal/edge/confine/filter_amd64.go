package confine

import "golang.org/x/sys/unix"

const nativeArch = unix.AUDIT_ARCH_X86_64

// foreignNumbers denies the x32 calls, which share the architecture and differ
// by a bit of the number.
func foreignNumbers() []unix.SockFilter {
	const x32 = 0x40000000
	return []unix.SockFilter{
		jump(unix.BPF_JMP|unix.BPF_JGE|unix.BPF_K, x32, 0, 1),
		result(deny),
	}
}
