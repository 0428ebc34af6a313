package network

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// group is the networks to which one service is open: one set and one rule in
// the kernel, however many networks there are.
type group struct {
	service
	to []netip.Prefix // in order, none within another
}

// groups puts rules for the same service together. nft refuses overlapping
// elements of a set, so networks that lie in others are left out.
func groups(rules []outbound) []group {
	by := map[service][]netip.Prefix{}
	for _, o := range rules {
		if o.name == "" {
			by[o.service] = append(by[o.service], o.to)
		}
	}
	out := make([]group, 0, len(by))
	for _, s := range slices.SortedFunc(maps.Keys(by), service.compare) {
		out = append(out, group{s, outermost(by[s])})
	}
	return out
}

func (s service) compare(other service) int {
	return cmp.Or(cmp.Compare(s.from, other.from), cmp.Compare(s.up, other.up), cmp.Compare(s.protocol, other.protocol))
}

// outermost leaves out networks that lie within others.
func outermost(in []netip.Prefix) (out []netip.Prefix) {
	slices.SortFunc(in, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	for _, p := range in {
		if n := len(out); n == 0 || !out[n-1].Contains(p.Addr()) {
			out = append(out, p)
		}
	}
	return out
}

func (s service) String() string { return fmt.Sprintf("%s_%d_%d", s.protocol, s.from, s.up) }

// matches are the parts of rules that a packet to the service fits.
func (s service) matches() []string {
	switch {
	case s.everything():
		return []string{"meta l4proto { tcp, udp }", "icmp type echo-request"}
	case s.protocol == "any":
		return []string{fmt.Sprintf("meta l4proto { tcp, udp } th dport %d-%d", s.from, s.up)}
	}
	return []string{fmt.Sprintf("%s dport %d-%d", s.protocol, s.from, s.up)}
}

func (g group) set() string { return "to_" + g.service.String() }

// rules open the group's service.
func (g group) rules() (out []string) {
	for _, m := range g.matches() {
		out = append(out, "ip daddr @"+g.set()+" "+m+" accept")
	}
	return out
}
