package handover

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// errGone means that the client was gone before the router looked.
var errGone = errors.New("the client is gone")

// malformedError is a fault of one message; the next one may be good.
type malformedError struct{ reason string }

func (e *malformedError) Error() string { return "malformed message: " + e.reason }

// receive reads one message into the buffers and makes its connection.
func receive(sender *net.UnixConn, message, control []byte) (net.Conn, error) {
	n, controls, flags, _, err := sender.ReadMsgUnix(message, control)
	if err != nil {
		return nil, err
	}
	fds, err := descriptors(control[:controls])
	if err == nil {
		err = check(message[:n], fds, flags)
	}
	if err != nil {
		for _, fd := range fds {
			unix.Close(fd)
		}
		return nil, err
	}
	conn, err := connection(fds[0])
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: conn, read: append([]byte(nil), message[1:n]...)}, nil
}

// descriptors returns all that came along, even when part of it is malformed.
func descriptors(control []byte) ([]int, error) {
	if len(control) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, &malformedError{"control data"}
	}
	var fds []int
	for i := range messages {
		rights, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return fds, &malformedError{"control data of another kind"}
		}
		fds = append(fds, rights...)
	}
	return fds, nil
}

func check(message []byte, fds []int, flags int) error {
	switch {
	case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
		return &malformedError{"longer than any should be"}
	case len(fds) != 1:
		return &malformedError{fmt.Sprintf("%d descriptors", len(fds))}
	case len(message) < 1 || message[0] != version:
		return &malformedError{"of another version"}
	}
	return checkSocket(fds[0])
}

// checkSocket makes sure that the descriptor is a TCP connection and nothing
// else: not a listener, a file or a unix socket.
func checkSocket(fd int) error {
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil || protocol != unix.IPPROTO_TCP {
		return &malformedError{"not a TCP socket"}
	}
	if _, err := unix.Getpeername(fd); err != nil {
		return errGone
	}
	return nil
}

// connection makes a net.Conn of the descriptor and closes the descriptor.
func connection(fd int) (net.Conn, error) {
	file := os.NewFile(uintptr(fd), "handover")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, &malformedError{"not a connection"}
	}
	return conn, nil
}

// Conn is a passed connection. Reads give the bytes that travelled along first.
type Conn struct {
	net.Conn
	read []byte
}

func (c *Conn) Read(p []byte) (int, error) {
	if len(c.read) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.read)
	c.read = c.read[n:]
	return n, nil
}

// Reset closes the connection with a TCP reset.
func (c *Conn) Reset() error {
	tcp, ok := c.Conn.(*net.TCPConn)
	if !ok {
		return c.Close()
	}
	return errors.Join(tcp.SetLinger(0), tcp.Close())
}
