package gateway

import (
	"context"
	"io"
	"net/netip"

	"golang.org/x/crypto/ssh"
)

// BastionUser is the only user name that the bastion knows.
const BastionUser = "bastion"

// Tunnels says which keys open which tunnels.
type Tunnels interface {
	// Authorize returns the tunnel that the key may open now, from there. The
	// client has not proven yet that it holds the key, and Authorize may be
	// called several times for one connection: it uses nothing up.
	Authorize(ctx context.Context, user string, key ssh.PublicKey, remote netip.Addr) (Tunnel, error)
}

// Tunnel is a way to one destination for one client.
type Tunnel struct {
	ID string // of the session
	// Host and Port are the destination as the client names it; it may ask for
	// no other.
	Host string
	Port uint16
	// Open is called once the client has proven that it holds the key. It uses
	// the key up, where keys work once, and makes the session.open entry durable.
	// On an error the connection is closed; nothing was dialled.
	Open func(ctx context.Context) error
	// Dial connects to the destination, once for each channel. If what it returns
	// has CloseWrite, ends of streams are passed on one by one.
	Dial func(ctx context.Context) (io.ReadWriteCloser, error)
	// Done, if not nil, is closed when access is withdrawn; the tunnel then ends.
	Done <-chan struct{}
	// Close appends the session.close entry. It is called exactly once after
	// Open succeeded.
	Close func(ctx context.Context, end TunnelEnding) error
}

// TunnelEnding says how a tunnel ended.
type TunnelEnding struct {
	Reason   string
	Channels int   // connections that were made to the destination
	In, Out  int64 // bytes to and from the destination
}
