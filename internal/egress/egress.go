// Package egress says where nothing that leaves a space may go, whatever its
// outbound rules say, and which names a rule covers.
//
// internal/document refuses rules that would ask for it, and the engine's
// network drops what tries: both from the one list that is here.
package egress

import (
	"net/netip"
	"slices"
)

// Pool is where addresses of spaces are taken from if an installation does not
// say otherwise (RFC 6598).
var Pool = netip.MustParsePrefix("100.64.0.0/10")

// Range is one that no outbound rule opens.
type Range struct {
	netip.Prefix
	What string // whose it is, for people
}

// fixed are closed whatever the pool is.
var fixed = []Range{
	{netip.MustParsePrefix("0.0.0.0/8"), "addresses of no network"},
	{netip.MustParsePrefix("100.100.100.200/32"), "a cloud's metadata service"},
	{netip.MustParsePrefix("127.0.0.0/8"), "the host's own addresses"},
	{netip.MustParsePrefix("168.63.129.16/32"), "a cloud's host"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local addresses, among them clouds' metadata services"},
	{netip.MustParsePrefix("192.0.0.192/32"), "a cloud's metadata service"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast addresses"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved addresses"},
}

// Never lists the ranges that no outbound rule opens, in order and without
// overlaps.
func Never(pool netip.Prefix) []Range {
	all := slices.DeleteFunc(slices.Clone(fixed), func(r Range) bool { return pool.Contains(r.Addr()) })
	all = append(all, Range{pool, "addresses of spaces"})
	slices.SortFunc(all, func(a, b Range) int { return a.Addr().Compare(b.Addr()) })
	return all
}

// Vast tells whether a network is too large for anybody to know who is in it:
// everybody, or a few of these are everybody.
func Vast(p netip.Prefix) bool {
	return p.Addr().Is4() && p.Bits() < 8 || p.Addr().Is6() && p.Bits() < 19
}
