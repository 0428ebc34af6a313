// Package router is the HTTP router of one space: a process of its own, in the
// network of its space, under its own uid, with the certificates of that space
// and of no other.
//
// The edge passes it connected sockets and the bytes already read. It
// terminates TLS, checks that the requested host belongs to the name the
// connection was made for (421 otherwise), and forwards to the dynos with
// Heroku's headers, limits and error codes. It also answers the space's DNS
// questions on the gateway address (subpackage resolver).
//
// Invariants:
//   - It sees a Snapshot, nothing else; keys live in memory only.
//   - A snapshot takes effect as a whole or not at all, and no request is lost
//     by the change: a backend that left gets no new requests, and those it
//     has may end.
//   - It logs a path without its query string, which may hold health data, and
//     drops log lines rather than wait for their reader.
//   - After start it can neither bind nor listen, holds no capability and
//     cannot execute anything (package confine).
//
// The engine starts it (`strongroom router`) and pushes snapshots with Client.
package router
