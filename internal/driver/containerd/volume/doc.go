// Package volume keeps encrypted volumes on one host.
//
// A volume is an ext4 image of its own, with all its blocks allocated when it
// is made, on a loop device of its own: it can be full without hurting its
// neighbours, and a full host does not hurt it. (Project quotas would do
// without the image, but not every kernel has them.) Inside the image one
// directory, data, is under an fscrypt v2 policy (AES-256-XTS for contents,
// AES-256-CTS for names padded to 32 bytes); it is what callers get. A second
// one, proof, is under the same policy and holds a file that Destroy tries to
// read.
//
//	Dir/volumes/<id>.img   the image
//	Dir/volumes/<id>.json  what it was made for: bytes
//	Dir/mnt/<id>/data      its content, while it is unlocked
//
// Invariants:
//
//   - Keys are never written anywhere, and the package keeps none: a key goes
//     into the kernel's keyring of that one file system and out again.
//   - A volume is unmounted only after its key was removed, and never lazily:
//     a file system that is detached while something holds a file of it stays
//     readable.
//   - Locked means: the kernel says that it has no key, and the volume is not
//     mounted.
//   - An image never has two loop devices.
//   - What is true is read from the kernel and the directory at each call, so
//     that a new process adopts what an old one left.
//
// fscrypt hides contents and names. It does not hide how many files there are,
// how large they are, when they changed, or who owns them.
//
// internal/driver/containerd calls this package, as root, for the volumes of
// services and for containerd's own directory. It runs mkfs.ext4(8).
package volume
