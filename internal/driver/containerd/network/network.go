package network

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"

	"github.com/strongroom/strongroom/internal/driver"
)

// Config of the networks of one installation.
type Config struct {
	// Dir holds one directory for each space. It is made if it is missing and
	// should lie on a tmpfs: what it holds does not outlive the kernel that
	// holds the namespaces. One process at a time may have it open.
	Dir string
	// Name is a short prefix, [a-z][a-z0-9]{0,7}, of everything that is visible
	// in the host's network: interfaces, the nft table. Several installations
	// on one host need different names.
	Name string
	// EdgeUID is the uid of the edge. Sockets that it creates may not make new
	// outbound connections, whoever holds them.
	EdgeUID int
	// Pool is the IPv4 /10 that addresses of spaces are taken from; the zero
	// value means 100.64.0.0/10. Choose another if the host's own network uses
	// that range: nothing inside the pool can be reached from a space.
	Pool netip.Prefix
}

// Network is all spaces of one installation. Its methods are safe for
// concurrent use.
type Network struct {
	cfg Config
	log *slog.Logger
}

// Space is the network side of a space.
type Space struct {
	ID    string
	Index int // decides its addresses; not shared with another space in use
	// Trusted are the CIDRs that the edge admits. They are checked here and
	// nothing more: see the package comment.
	Trusted  []string
	Outbound []driver.Outbound
}

// SpaceNet is a space as it was set up.
type SpaceNet struct {
	NetNS   string       // path of its network namespace
	Gateway netip.Addr   // the resolver's address, the same in every space
	Subnet  netip.Prefix // its endpoints' addresses
}

// Endpoint is one instance's own network namespace.
type Endpoint struct {
	NetNS   string
	Address netip.Addr
}

// Private says who may open connections to an address besides the platform.
type Private struct {
	Address netip.Addr
	From    []netip.Addr // empty = nobody
}

// Observation is what the kernel holds.
type Observation struct {
	Host   HostState
	Spaces []SpaceState
}

// HostState is the installation's table in the host's network.
type HostState struct {
	InForce    bool   // the table is exactly as it was loaded
	Denied     uint64 // packets from spaces dropped on the host
	EdgeDenied uint64 // packets dropped by the edge rule
}

// SpaceState is one space.
type SpaceState struct {
	ID        string
	Index     int
	SpaceNet  SpaceNet
	InForce   bool   // the rules are exactly as they were loaded
	Denied    uint64 // packets dropped or refused by them
	Endpoints []EndpointState
}

// EndpointState is one endpoint.
type EndpointState struct {
	ID string
	Endpoint
	Up bool // its namespace, link and address are there
}

var errNotYet = errors.New("network: not built yet")

// Open loads the host's rules before anything else, then adopts the spaces
// that Dir and the kernel hold.
func Open(cfg Config, log *slog.Logger) (*Network, error) { return nil, errNotYet }

// Close lets go of Dir and leaves everything in force.
func (n *Network) Close() error { return nil }

// Uninstall removes every space and the host's rules, then closes.
func (n *Network) Uninstall(ctx context.Context) error { return errNotYet }

// EnsureSpace creates the space or brings its rules to those given. It keeps
// endpoints, their policy and established connections that the new rules allow.
func (n *Network) EnsureSpace(ctx context.Context, s Space) (SpaceNet, error) {
	return SpaceNet{}, errNotYet
}

// RemoveSpace removes the space with its endpoints. Unknown id: no error.
func (n *Network) RemoveSpace(ctx context.Context, id string) error { return errNotYet }

// Attach gives the endpoint a namespace and an address; again: the same ones.
// Until ApplyPolicy names the address as private the whole space may connect
// to it, so apply the policy before starting anything in the namespace.
func (n *Network) Attach(ctx context.Context, space, endpoint string) (Endpoint, error) {
	return Endpoint{}, errNotYet
}

// Detach removes the endpoint, its address from the policy, and its
// connections. Unknown space or endpoint: no error.
func (n *Network) Detach(ctx context.Context, space, endpoint string) error { return errNotYet }

// ApplyPolicy replaces the space's private addresses. Connections that it no
// longer allows are cut, others are kept.
func (n *Network) ApplyPolicy(ctx context.Context, space string, private []Private) error {
	return errNotYet
}

// DialContext connects from inside the space to an address in it. The address
// must be a literal one.
func (n *Network) DialContext(ctx context.Context, space, network, address string) (net.Conn, error) {
	return nil, errNotYet
}

// Listen opens a TCP listener inside the space. The result is a
// *net.TCPListener, whose File can be passed to another process.
func (n *Network) Listen(ctx context.Context, space, network, address string) (net.Listener, error) {
	return nil, errNotYet
}

// ListenPacket opens a UDP socket inside the space. The result is a
// *net.UDPConn, whose File can be passed to another process.
func (n *Network) ListenPacket(ctx context.Context, space, network, address string) (net.PacketConn, error) {
	return nil, errNotYet
}

// Observe reports what the kernel holds.
func (n *Network) Observe(ctx context.Context) (Observation, error) {
	return Observation{}, errNotYet
}
