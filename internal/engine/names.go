package engine

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/containerd"
	"github.com/strongroom/strongroom/internal/driver/containerd/network"
	"github.com/strongroom/strongroom/internal/names"
	"github.com/strongroom/strongroom/internal/router/resolver"
)

// outside answers what one space asks about names of the outside.
type outside struct {
	server *names.Server
	stop   func() // and wait until it has
}

// answerNames serves in the space's network until stop is called.
func (in *ingress) answerNames(g containerd.Gate) (*outside, error) {
	var conn net.PacketConn
	err := inside(g.NetNS, func() (err error) {
		conn, err = net.ListenPacket("udp4", resolver.Outside)
		return err
	})
	if err != nil {
		return nil, err
	}
	log := in.log.With("part", "names", "space", g.Space)
	server := names.New(names.Config{Upstreams: in.cfg.Upstreams}, spaceNetwork{in.networks, g.Space}, log)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, conn) }()
	return &outside{server, func() {
		cancel()
		if err := <-done; err != nil {
			log.Warn("names of the outside were not answered any more", "err", err)
		}
	}}, nil
}

// stopNames ends all servers: the engine ends.
func (in *ingress) stopNames() {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, g := range in.gates {
		g.names.stop()
	}
}

// spaceNetwork is the network of one space.
type spaceNetwork struct {
	networks *network.Network
	id       string
}

var _ names.Space = spaceNetwork{}

// Asks implements names.Space.
func (s spaceNetwork) Asks(name string) bool { return s.networks.Asks(s.id, name) }

// Lead implements names.Space.
func (s spaceNetwork) Lead(ctx context.Context, name string, to []netip.Addr, lasts time.Duration) error {
	return s.networks.Lead(ctx, s.id, name, to, lasts)
}

// RefusedNames implements containerd.Ingress.
func (in *ingress) RefusedNames(space string) []containerd.RefusedName {
	in.mu.Lock()
	g := in.gates[space]
	in.mu.Unlock()
	if g == nil {
		return nil
	}
	var out []containerd.RefusedName
	for _, r := range g.names.server.Refused() {
		out = append(out, containerd.RefusedName{From: r.From.String(), Name: r.Name, Why: because[r.Why], Questions: r.Questions})
	}
	return out
}

// because gives the contract's words.
var because = map[string]string{names.Unlisted: driver.RefusedDNS, names.Inside: driver.RefusedRebind}
