package network

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"github.com/strongroom/strongroom/internal/fault"
)

// Config of the networks of one installation.
type Config struct {
	// Dir holds one directory for each space. It is made if it is missing and
	// should lie on a tmpfs: what it holds does not outlive the kernel that
	// holds the namespaces. One process at a time may have it open. Its mounts
	// must be visible to containerd.
	Dir string
	// Name is a short prefix, [a-z][a-z0-9]{0,7}, of everything that is visible
	// in the host's network: interfaces <Name>-<index> and the nft table
	// strongroom_<Name>. Several installations on one host need different names.
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
	cfg  Config
	log  *slog.Logger
	lock *os.File
	host *host

	mu     sync.Mutex // guards spaces; never held while something is done
	spaces map[string]*space
}

// Open loads the host's rules before anything else, then adopts the spaces
// that Dir and the kernel hold.
func Open(cfg Config, log *slog.Logger) (*Network, error) {
	cfg, err := cfg.check()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(cfg.Dir, "spaces"), 0o711); err != nil {
		return nil, err
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	n := &Network{cfg: cfg, log: log, lock: lock, spaces: map[string]*space{}}
	if err := n.adopt(context.Background()); err != nil {
		lock.Close()
		return nil, err
	}
	return n, nil
}

func (n *Network) adopt(ctx context.Context) error {
	host, err := openHost(ctx, n.cfg, n.log)
	if err != nil {
		return err
	}
	n.host = host
	entries, err := os.ReadDir(filepath.Join(n.cfg.Dir, "spaces"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		s, err := n.adoptSpace(e.Name())
		if err != nil {
			return fmt.Errorf("adopt space %s: %w", e.Name(), err)
		}
		if s != nil {
			n.spaces[s.id] = s
		}
	}
	known := map[int]bool{}
	for _, s := range n.spaces {
		known[s.index] = true
	}
	for _, index := range host.strays(known) {
		if err := host.disconnect(ctx, index); err != nil {
			return err
		}
	}
	return nil
}

// EnsureHost puts the host's rules, among them the edge's, back in force if
// somebody has changed them. EnsureSpace does so too.
func (n *Network) EnsureHost(ctx context.Context) error { return n.host.ensure(ctx) }

// Close lets go of Dir and leaves everything in force.
func (n *Network) Close() error { return n.lock.Close() }

// Uninstall removes every space and the host's rules, then closes. The edge
// must have ended: its rule is removed as well.
func (n *Network) Uninstall(ctx context.Context) error {
	for _, s := range n.all() {
		if err := n.RemoveSpace(ctx, s.id); err != nil {
			return err
		}
	}
	if err := n.host.remove(ctx); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(n.cfg.Dir), n.lock.Close())
}

func (n *Network) all() []*space {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make([]*space, 0, len(n.spaces))
	for _, s := range n.spaces {
		out = append(out, s)
	}
	return out
}

// with runs fn on a space that exists, alone.
func (n *Network) with(id string, fn func(*space) error) error {
	n.mu.Lock()
	s := n.spaces[id]
	n.mu.Unlock()
	if s == nil {
		return fault.New(fault.NotFound, "There is no space %s on this host.", id)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.removed {
		return fault.New(fault.NotFound, "There is no space %s on this host.", id)
	}
	return fn(s)
}
