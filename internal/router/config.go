package router

import (
	"os"
	"time"
)

// Config of a router process. Files are inherited descriptors: the process has
// neither the right nor, after start, the ability to open listening sockets.
// Space, Handover and Control are needed; the rest has working zero values.
type Config struct {
	Space string // the space's id; snapshots of another space are refused

	// Handover is a listening SOCK_SEQPACKET unix socket. The engine should
	// keep its own copy open, so that connections passed while the router
	// restarts wait in the backlog.
	Handover *os.File
	// Edge is the uid that may hand connections over, besides root.
	Edge int
	// Control is a listening unix stream socket.
	Control *os.File
	// Controller is the uid that may use the control interface: 0, root.
	Controller int

	// DNSPacket and DNSStream are the UDP socket and the listening TCP socket of
	// the space's resolver, bound to the gateway address. Nil: no resolver.
	DNSPacket *os.File
	DNSStream *os.File

	// AccessLog takes one JSON line a request, by non-blocking writes of at
	// most PIPE_BUF bytes: the writing end of a FIFO. Nil: nothing is logged.
	AccessLog *os.File

	PublicPort int // of HTTPS as clients see it, for X-Forwarded-Port; default 443
	// MaxConnections bounds client connections: default 8192. Each may need a second
	// descriptor for its backend; the process's limit of open files must allow that.
	MaxConnections int
	Head           time.Duration // for a TLS handshake, and for a request's head; default 20 s
	FirstByte      time.Duration // to the first byte of an answer (H12); default 30 s
	Idle           time.Duration // between bytes after that (H15, H28); default 55 s
	Connect        time.Duration // to a backend (H19); default 5 s
	Drain          time.Duration // for open requests when the process ends; default 30 s
}
