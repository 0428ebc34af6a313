package network

import (
	"context"
	"net"
	"net/netip"

	"github.com/strongroom/strongroom/internal/fault"
)

// DialContext connects from inside the space to an endpoint of it. The address
// must be a literal one: names are for instances, and looking one up would
// leave the thread that is in the namespace.
func (n *Network) DialContext(ctx context.Context, spaceID, network, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%q is not an address and a port.", address)
	}
	var path string
	err = n.with(spaceID, func(s *space) error {
		if !s.subnet().Contains(to.Addr()) {
			return fault.New(fault.Invalid, "%s is not in the space's %s.", to.Addr(), s.subnet())
		}
		path = s.netns()
		return nil
	})
	if err != nil {
		return nil, err
	}
	var conn net.Conn
	err = inside(path, func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Listen opens a TCP listener inside the space. The result is a
// *net.TCPListener, whose File can be passed to another process.
func (n *Network) Listen(ctx context.Context, spaceID, network, address string) (net.Listener, error) {
	var listener net.Listener
	err := n.listening(spaceID, address, func(config net.ListenConfig) (err error) {
		listener, err = config.Listen(ctx, network, address)
		return err
	})
	return listener, err
}

// ListenPacket opens a UDP socket inside the space. The result is a
// *net.UDPConn, whose File can be passed to another process.
func (n *Network) ListenPacket(ctx context.Context, spaceID, network, address string) (net.PacketConn, error) {
	var conn net.PacketConn
	err := n.listening(spaceID, address, func(config net.ListenConfig) (err error) {
		conn, err = config.ListenPacket(ctx, network, address)
		return err
	})
	return conn, err
}

func (n *Network) listening(spaceID, address string, fn func(net.ListenConfig) error) error {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return fault.New(fault.Invalid, "%q is not an address and a port.", address)
	}
	return n.with(spaceID, func(s *space) error {
		return inside(s.netns(), func() error {
			var config net.ListenConfig
			config.SetMultipathTCP(false) // subflows would need rules of their own
			return fn(config)
		})
	})
}
