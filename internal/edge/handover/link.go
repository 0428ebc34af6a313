package handover

import (
	"errors"
	"fmt"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// Errors of Link.Send.
var (
	ErrFull = errors.New("the router's queue is full")
	ErrDown = errors.New("the router cannot be reached")
)

// queueBytes bounds what waits in the kernel for one router (the kernel doubles
// it). It holds some 200 connections: a router that is further behind than that
// is not keeping up. The kernel also bounds the sockets that one uid may have in
// flight, over all routers, by its limit of open files; so one stuck router must
// not be able to use that up.
const queueBytes = 128 << 10

// Link sends connections to the router that listens on one path. It connects
// when first needed and again after the router was restarted. Methods are safe
// for concurrent use.
type Link struct {
	path string

	mu     sync.RWMutex // held for reading while fd is in use
	fd     int          // -1: not connected
	closed bool
}

// NewLink returns a link to the router that listens on path. Nothing is
// connected until the first Send.
func NewLink(path string) *Link { return &Link{path: path, fd: -1} }

// Send passes the connection with the bytes already read from it. It never
// waits. Whatever the outcome, the caller closes its own conn afterwards: that
// leaves a passed connection open in the router.
func (l *Link) Send(conn *net.TCPConn, read []byte) error {
	if len(read) > MaxBytes {
		return fmt.Errorf("hand over %d bytes: more than %d", len(read), MaxBytes)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("hand over a connection: %w", err)
	}
	message := append(append(make([]byte, 0, 1+len(read)), version), read...)
	var sendErr error
	err = raw.Control(func(fd uintptr) { sendErr = l.send(message, unix.UnixRights(int(fd))) })
	if err != nil {
		return fmt.Errorf("hand over a connection: %w", err)
	}
	return sendErr
}

// send tries the present connection, and a fresh one if that is broken.
func (l *Link) send(message, rights []byte) error {
	broken, err := l.attempt(message, rights)
	if !errors.Is(err, ErrDown) {
		return err
	}
	if err := l.connect(broken); err != nil {
		return err
	}
	_, err = l.attempt(message, rights)
	return err
}

// attempt sends once. It also returns the descriptor it used.
func (l *Link) attempt(message, rights []byte) (int, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.fd < 0 {
		return -1, ErrDown
	}
	for {
		_, err := unix.SendmsgN(l.fd, message, rights, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch {
		case err == nil:
			return l.fd, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ETOOMANYREFS), errors.Is(err, unix.ENOBUFS):
			return l.fd, ErrFull
		default:
			return l.fd, fmt.Errorf("%w: %v", ErrDown, err)
		}
	}
}

// connect replaces the broken descriptor, unless another caller already has.
func (l *Link) connect(broken int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrDown
	}
	if l.fd >= 0 && l.fd != broken {
		return nil
	}
	if l.fd >= 0 {
		unix.Close(l.fd)
		l.fd = -1
	}
	fd, err := dial(l.path)
	if err != nil {
		return err
	}
	l.fd = fd
	return nil
}

// dial connects without waiting: a full backlog is an error at once.
func dial(path string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("%w: %v", ErrDown, err)
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, queueBytes)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	}
	if err == nil {
		return fd, nil
	}
	unix.Close(fd)
	if errors.Is(err, unix.EAGAIN) {
		return -1, ErrFull
	}
	return -1, fmt.Errorf("%w: %v", ErrDown, err)
}

// Close ends the link. Connections already sent stay with the router.
func (l *Link) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.fd >= 0 {
		unix.Close(l.fd)
		l.fd = -1
	}
}
