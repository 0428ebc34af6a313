package supervise

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// staging is what a unix socket is bound as before it is moved to its name, so
// that nobody ever connects to it with the wrong mode or owner.
const staging = ".new"

// ListenUnix listens on a unix socket of that mode at path, in the place of one
// that a former process left.
func ListenUnix(path string, mode os.FileMode) (net.Listener, error) {
	return listenUnix("unix", path, mode)
}

func listenUnix(network, path string, mode os.FileMode) (*net.UnixListener, error) {
	if err := os.Remove(path + staging); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	listener, err := net.ListenUnix(network, &net.UnixAddr{Name: path + staging, Net: network})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false)
	err = os.Chmod(path+staging, mode)
	if err == nil {
		err = os.Rename(path+staging, path)
	}
	if err != nil {
		listener.Close()
		return nil, err
	}
	return listener, nil
}

// open makes the listening socket.
func (l Listen) open() (*os.File, error) {
	if !strings.HasPrefix(l.Network, "unix") {
		// A plain one: the edge passes its connections on, and a multipath one
		// may go on from addresses that nobody has checked.
		var config net.ListenConfig
		config.SetMultipathTCP(false)
		listener, err := config.Listen(context.Background(), l.Network, l.Address)
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		return listener.(*net.TCPListener).File()
	}
	// Closed to everyone until it belongs to its owner.
	listener, err := listenUnix(l.Network, l.Address, 0o600)
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	if err := os.Lchown(l.Address, l.UID, l.GID); err != nil {
		return nil, err
	}
	mode := l.Mode
	if mode == 0 {
		mode = 0o660
	}
	if err := os.Chmod(l.Address, mode); err != nil {
		return nil, err
	}
	return listener.File()
}

// fetch duplicates the listening socket that l describes out of a running
// child, under whatever number it holds it.
func (l Listen) fetch(p *process) (*os.File, error) {
	dir := "/proc/" + strconv.Itoa(p.pid) + "/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		target, err := os.Readlink(filepath.Join(dir, entry.Name()))
		if err != nil || !strings.HasPrefix(target, "socket:") {
			continue
		}
		n, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		fd, err := p.duplicate(n)
		if err != nil {
			return nil, err
		}
		if l.is(fd) {
			return os.NewFile(uintptr(fd), l.Address), nil
		}
		unix.Close(fd)
	}
	return nil, fmt.Errorf("the child does not hold the socket %s", l.Address)
}

// is says whether fd is a listening socket at l's address.
func (l Listen) is(fd int) bool {
	listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil || listening == 0 {
		return false
	}
	name, err := unix.Getsockname(fd)
	return err == nil && l.matches(name)
}

func (l Listen) matches(name unix.Sockaddr) bool {
	if sun, ok := name.(*unix.SockaddrUnix); ok {
		return sun.Name == l.Address+staging
	}
	want, err := net.ResolveTCPAddr(l.Network, l.Address)
	if err != nil {
		return false
	}
	var ip net.IP
	var port int
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		ip, port = a.Addr[:], a.Port
	case *unix.SockaddrInet6:
		ip, port = a.Addr[:], a.Port
	}
	// ":443" is the unspecified address of either family.
	same := want.IP.Equal(ip) || (want.IP == nil || want.IP.IsUnspecified()) && ip.IsUnspecified()
	return port == want.Port && same && port != 0
}
