// Package cidr is a set of networks: the addresses that may connect to a space.
// The edge asks it for each new connection, the router for each open one when the
// set changes.
package cidr

import (
	"fmt"
	"net/netip"
	"slices"
)

// Set is a set of address ranges. A lookup costs one map access for each
// different prefix length in it, however many ranges there are. The zero value
// is empty.
type Set struct {
	lengths []int // IPv4 and IPv6 together: a length that fits only one is skipped
	ranges  map[netip.Prefix]struct{}
}

// Parse reads CIDRs. Host bits are allowed to be set, as people write
// them; a bare address is not, because "10.0.0.0" is more often a forgotten
// length than a single host.
func Parse(cidrs []string) (Set, error) {
	s := Set{ranges: make(map[netip.Prefix]struct{}, len(cidrs))}
	for _, cidr := range cidrs {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			return Set{}, fmt.Errorf("%q is not a network in CIDR notation", cidr)
		}
		if prefix.Addr().Is4In6() {
			return Set{}, fmt.Errorf("%q: write IPv4 networks as such", cidr)
		}
		s.add(prefix.Masked())
	}
	return s, nil
}

func (s *Set) add(prefix netip.Prefix) {
	s.ranges[prefix] = struct{}{}
	if !slices.Contains(s.lengths, prefix.Bits()) {
		s.lengths = append(s.lengths, prefix.Bits())
	}
}

// Contains says whether an address is in one of the networks. IPv4 addresses
// mapped into IPv6 count as what they are.
func (s *Set) Contains(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	for _, length := range s.lengths {
		prefix, err := address.Prefix(length)
		if err != nil {
			continue // longer than an IPv4 address
		}
		if _, ok := s.ranges[prefix]; ok {
			return true
		}
	}
	return false
}
