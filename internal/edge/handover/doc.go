// Package handover passes connected sockets from the edge to a router over a
// SOCK_SEQPACKET unix socket: one message a connection, which carries the
// socket (SCM_RIGHTS) and the bytes that were already read from it.
//
// Seqpacket keeps messages apart, orders them, and tells the sender when the
// receiver is gone. The bytes travel along because looking at them without
// reading (MSG_PEEK) cannot wait for the rest of a hello: a spurious wake-up
// then looks like the end of the stream.
//
// Sending never waits: ErrFull means that the receiver does not keep up, and
// ErrDown that nobody listens. The edge owns a Link for each router; a router
// owns one Listener.
package handover

// A message is the version byte, then the bytes read so far. Both processes
// are replaced by the same upgrade, yet not at the same moment: the byte makes
// a mismatch an error instead of a stray byte in front of a ClientHello.
const version = 1

// MaxBytes bounds the bytes that travel with a socket.
const MaxBytes = 16 << 10
