package network

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
)

// Private says who may open connections to an address besides the platform.
type Private struct {
	Address netip.Addr
	From    []netip.Addr // empty = nobody
}

// ApplyPolicy replaces the space's private addresses. Connections that it no
// longer allows are cut, others are kept. Peers without an endpoint are left
// out: their address may be given to somebody else.
func (n *Network) ApplyPolicy(ctx context.Context, spaceID string, private []Private) error {
	return n.with(spaceID, func(s *space) error {
		if err := checkPrivate(s.subnet(), private); err != nil {
			return err
		}
		s.state.Private = s.present(private)
		if err := s.apply(ctx); err != nil {
			return fmt.Errorf("policy of space %s: %w", spaceID, err)
		}
		return nil
	})
}

// present is the policy without peers that have no endpoint. A private address
// without one stays private.
func (s *space) present(private []Private) []Private {
	attached := map[netip.Addr]bool{}
	for _, ordinal := range s.endpoints {
		attached[s.address(ordinal)] = true
	}
	out := make([]Private, 0, len(private))
	for _, p := range private {
		from := slices.DeleteFunc(slices.Clone(p.From), func(a netip.Addr) bool { return !attached[a] })
		out = append(out, Private{Address: p.Address, From: from})
	}
	return out
}
