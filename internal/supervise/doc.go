// Package supervise starts the platform's long-running processes, keeps them
// up and takes them over again after its own restart, on hosts without an init
// system that does so.
//
// Two callers: `strongroom supervise` keeps the engine and the server up; the
// engine keeps containerd, spool, edge and one router a space up.
//
// Invariants:
//
//   - A child has a session of its own, a cgroup of its own and writes to a
//     file, never to a pipe of its parent. So it outlives the supervisor, and a
//     dead supervisor cannot end it with SIGPIPE.
//   - A child that outlived its supervisor is taken over by what answers on its
//     control socket (name and build, and the kernel's word for the answering
//     process's id and user), never by a remembered process id. It is held by a
//     pidfd from then on, so no signal can reach a stranger.
//   - A child that is of another build, runs with other arguments or in another
//     network namespace than its Spec says is asked to stop and started anew,
//     except where the Spec says KeepOld.
//   - There is never more than one process of a name in its cgroup: what is
//     left there is ended before a new one starts.
package supervise
