package containerd

import (
	"context"
	"net/netip"
	"slices"

	"github.com/strongroom/strongroom/internal/driver/containerd/network"
)

// applyPolicy tells the network of a space who may reach whom.
func (d *Driver) applyPolicy(ctx context.Context, space string) error {
	defer d.spaceOp.lock("policy of " + space)()
	return d.cfg.Network.ApplyPolicy(ctx, space, d.policy(space))
}

func (d *Driver) policy(space string) []network.Private {
	d.mu.Lock()
	defer d.mu.Unlock()
	var private []network.Private
	from := map[string][]netip.Addr{} // who may connect to a formation
	live := []*container{}
	for _, c := range d.ordered() {
		address, err := netip.ParseAddr(c.Address)
		if c.Space != space || c.Exit != nil || err != nil {
			continue
		}
		live = append(live, c)
		for _, peer := range d.peers(c) {
			from[peer] = append(from[peer], address)
		}
	}
	for _, c := range live {
		if d.private(c) {
			private = append(private, network.Private{
				Address: netip.MustParseAddr(c.Address), From: slices.Clone(from[c.Formation]),
			})
		}
	}
	return private
}

// private tells whether a container may be reached only from its peers. A
// formation that is gone while its instance drains stays closed; a task has no
// peers. d.mu is held.
func (d *Driver) private(c *container) bool {
	if c.isTask() {
		return c.Private
	}
	f, kept := d.formations[c.Formation]
	return !kept || f.Private
}

// peers of a container: those of its formation as it is now; d.mu is held.
func (d *Driver) peers(c *container) []string {
	if c.isTask() {
		return c.Peers
	}
	return d.formations[c.Formation].Peers
}
