package handover

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// maxRights is how many descriptors are looked at in a message; more than one is
// an error, and none of them may leak.
const maxRights = 8

// Listener receives connections; it is a net.Listener whose connections give
// the bytes that travelled along first.
type Listener struct {
	socket *net.UnixListener
	uids   []int
	log    *slog.Logger

	conns    chan net.Conn
	closed   chan struct{}
	once     sync.Once
	senders  sync.WaitGroup
	mu       sync.Mutex
	open     map[*net.UnixConn]struct{}
	rejected atomic.Uint64
}

// Listen takes over the listening SOCK_SEQPACKET socket in file, which the
// caller may close afterwards. Only processes of the given uids may send.
func Listen(file *os.File, uids []int, log *slog.Logger) (*Listener, error) {
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("listen for connections: %w", err)
	}
	socket, ok := listener.(*net.UnixListener)
	if !ok || socket.Addr().Network() != "unixpacket" {
		listener.Close()
		return nil, errors.New("listen for connections: not a unix seqpacket socket")
	}
	socket.SetUnlinkOnClose(false) // the path belongs to who made it
	l := &Listener{
		socket: socket, uids: uids, log: log,
		conns: make(chan net.Conn), closed: make(chan struct{}),
		open: make(map[*net.UnixConn]struct{}),
	}
	l.senders.Add(1)
	go l.acceptSenders()
	return l, nil
}

// Accept returns the next connection that was passed.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Addr returns the address of the unix socket.
func (l *Listener) Addr() net.Addr { return l.socket.Addr() }

// Rejected counts messages that were not a connection, and senders that were
// not allowed.
func (l *Listener) Rejected() uint64 { return l.rejected.Load() }

// Close stops receiving. What waits in the kernel is closed with its link.
func (l *Listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.socket.Close()
		l.mu.Lock()
		for sender := range l.open {
			sender.Close()
		}
		l.mu.Unlock()
		l.senders.Wait()
	})
	return nil
}

func (l *Listener) acceptSenders() {
	defer l.senders.Done()
	for {
		sender, err := l.socket.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors or memory: both pass
			l.log.Error("accept a sender of connections", "err", err)
			select {
			case <-time.After(50 * time.Millisecond):
			case <-l.closed:
				return
			}
			continue
		}
		if err := l.admit(sender); err != nil {
			l.rejected.Add(1)
			l.log.Warn("refuse a sender of connections", "err", err)
			sender.Close()
			continue
		}
		l.start(sender)
	}
}

// start receives from the sender, unless the listener was closed meanwhile.
func (l *Listener) start(sender *net.UnixConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closed:
		sender.Close()
	default:
		l.open[sender] = struct{}{}
		l.senders.Add(1)
		go l.receiveAll(sender)
	}
}

func (l *Listener) admit(sender *net.UnixConn) error {
	raw, err := sender.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		peer, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, credErr); err != nil {
		return err
	}
	if !slices.Contains(l.uids, int(peer.Uid)) {
		return fmt.Errorf("uid %d may not pass connections", peer.Uid)
	}
	return nil
}

func (l *Listener) receiveAll(sender *net.UnixConn) {
	defer l.senders.Done()
	defer l.forget(sender)
	message := make([]byte, 1+MaxBytes)
	control := make([]byte, unix.CmsgSpace(4*maxRights))
	for {
		conn, err := receive(sender, message, control)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, unix.ECONNRESET):
			return
		case errors.Is(err, errGone):
			continue
		case err != nil:
			l.rejected.Add(1)
			l.log.Warn("refuse a passed connection", "err", err)
			var malformed *malformedError
			if !errors.As(err, &malformed) {
				return // the link itself is broken
			}
			continue
		}
		select {
		case l.conns <- conn:
		case <-l.closed:
			conn.Close()
			return
		}
	}
}

func (l *Listener) forget(sender *net.UnixConn) {
	sender.Close()
	l.mu.Lock()
	delete(l.open, sender)
	l.mu.Unlock()
}
