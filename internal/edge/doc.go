// Package edge is the process that owns the public ports of a host and none of
// its secrets.
//
// It accepts TCP connections on the HTTPS port, reads the TLS ClientHello, and
// finds the space that serves the name in it. A connection from an address that
// the space does not trust, without a name, or with a name nobody serves is
// reset before a single TLS byte was answered. Any other connection is passed,
// as a socket together with the bytes already read, to the router of the space
// (package handover). On the HTTP port it only redirects to HTTPS.
//
// Invariants:
//   - The edge holds no certificate, no key and no decrypted byte of anyone.
//   - The acceptor never waits for a client or for a router: a router that does
//     not keep up costs its own clients their connection, nobody else's.
//   - What a client can make the edge hold is bounded: 16 KiB, five seconds,
//     and a number of unfinished connections overall and by source network.
//   - The table is replaced as a whole or not at all.
//
// The engine starts it (`strongroom edge`), pushes the Table with Client, and
// must load the host rule that drops new outbound connections of sockets made
// by the edge's uid before the first connection is passed: whoever holds a
// passed socket could otherwise disconnect it and connect it anew from the
// host's network. No seccomp filter can tell the two uses of connect apart.
package edge
