package spool

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// peerListener lets in only connections from processes of certain users, by
// the kernel's word.
type peerListener struct {
	net.Listener
	uids []int // besides root and our own
	log  *slog.Logger
}

func (l *peerListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		uid, err := peerUID(conn)
		if err == nil && (uid == 0 || uid == os.Geteuid() || slices.Contains(l.uids, uid)) {
			return conn, nil
		}
		l.log.Warn("connection refused", "uid", uid, "error", err)
		conn.Close()
	}
}

// peerUID returns the user of the process that connected.
func peerUID(conn net.Conn) (int, error) {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return -1, errors.New("not a unix socket")
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	var cred *unix.Ucred
	var got error
	err = raw.Control(func(fd uintptr) {
		cred, got = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(err, got); err != nil {
		return -1, err
	}
	return int(cred.Uid), nil
}
