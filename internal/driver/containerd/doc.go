// Package containerd is the engine of one host: spaces are network namespaces
// with routers, dynos are containers of a private containerd, volumes are
// encrypted directories.
//
// What it is told lies in files on a tmpfs (they hold secrets), so that a
// restarted engine goes on; what it reports is read from containerd, the
// kernel and the volumes. Planning is pure (driver/formation); this package
// carries plans out.
//
// A container:
//   - has a user namespace with the ids of its space: its root is nobody here;
//   - holds no capability and can gain none, under seccomp's default profile;
//   - sees the layers of its image through id-mapped mounts, copies nothing, and
//     writes to an encrypted volume whose key existed only in this host's kernel;
//   - lives in a network namespace that driver/containerd/network made for it;
//   - writes its output into FIFOs that the spool process reads, so that
//     neither containerd nor the engine is in the way.
//
// Commands and environments never reach containerd's database, which lies on
// disk: containers are registered without them, and a wrapper of runc
// (runtime.go) puts the whole specification in place when one is created.
//
// internal/engine composes it. It needs root, Linux 5.19 or newer and ext4.
package containerd
