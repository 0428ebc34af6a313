// Package engine is the root process of one host: it composes the containerd
// driver with its network and volumes, keeps containerd, spool, edge and the
// routers up, and gives the driver to the server over a unix socket. It
// listens on nothing else.
//
// Invariants:
//   - The rule that drops new outbound connections of the edge's sockets is
//     loaded before an edge is started.
//   - The engine can end at any time: its children and all containers go on,
//     and the next engine takes them over.
//   - A router is told of its own space and nothing else; the edge is told no
//     secret at all.
//
// `strongroom engine` calls Run. The processes that the engine starts are the
// same program: `strongroom spool`, `edge` and `router` call Spool, Edge and
// Router with their arguments, which this package alone writes and reads.
package engine
