package edge

import (
	"fmt"
	"net/netip"
	"slices"
)

// networks is a set of address ranges. A lookup costs one map access for each
// different prefix length in it, however many ranges there are.
type networks struct {
	lengths []int // IPv4 and IPv6 together: a length that fits only one is skipped
	ranges  map[netip.Prefix]struct{}
}

// parseNetworks reads CIDRs. Host bits are allowed to be set, as people write
// them; a bare address is not, because "10.0.0.0" is more often a forgotten
// length than a single host.
func parseNetworks(cidrs []string) (networks, error) {
	n := networks{ranges: make(map[netip.Prefix]struct{}, len(cidrs))}
	for _, cidr := range cidrs {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			return networks{}, fmt.Errorf("%q is not a network in CIDR notation", cidr)
		}
		if prefix.Addr().Is4In6() {
			return networks{}, fmt.Errorf("%q: write IPv4 networks as such", cidr)
		}
		n.add(prefix.Masked())
	}
	return n, nil
}

func (n *networks) add(prefix netip.Prefix) {
	n.ranges[prefix] = struct{}{}
	if !slices.Contains(n.lengths, prefix.Bits()) {
		n.lengths = append(n.lengths, prefix.Bits())
	}
}

// contains expects an address that is not IPv4 mapped into IPv6.
func (n *networks) contains(address netip.Addr) bool {
	for _, length := range n.lengths {
		prefix, err := address.Prefix(length)
		if err != nil {
			continue // longer than an IPv4 address
		}
		if _, ok := n.ranges[prefix]; ok {
			return true
		}
	}
	return false
}
