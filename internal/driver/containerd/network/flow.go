package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/egress"
)

// flow is a tracked connection, as its first packet was.
type flow struct {
	src, dst netip.Addr
	protocol uint8
	port     uint16 // of dst
	mark     uint32 // which name led there (named.go)
}

// cut ends the tracked connections of the calling thread's namespace that
// match. Their next packet is judged like the first one of a new connection;
// TCP in the middle of a stream is invalid, since nf_conntrack_tcp_loose is off.
func cut(h *netlink.Handle, match func(flow) bool) error {
	// Reading the table takes long, whatever is in it.
	if count, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count"); err == nil && strings.TrimSpace(string(count)) == "0" {
		return nil
	}
	_, err := whole(func() (uint, error) {
		return h.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, flowFilter(match))
	})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("cut connections: %w", err)
	}
	return nil
}

type flowFilter func(flow) bool

// MatchConntrackFlow makes the function a netlink filter.
func (match flowFilter) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	return match(flow{addr(f.Forward.SrcIP), addr(f.Forward.DstIP), f.Forward.Protocol, f.Forward.DstPort, f.Mark})
}

func addr(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// admits says whether the rules would let the connection be opened now. It
// mirrors the chains of spaceRules.text.
func (r spaceRules) admits(f flow) bool {
	switch {
	case f.dst == gateway:
		return true // which only ever was the resolver
	case r.subnet.Contains(f.dst):
		return f.src == gateway || r.mayReach(f.src, f.dst)
	case !r.uplink.IsValid():
		return false
	}
	for _, n := range egress.Never(r.pool) {
		if n.Contains(f.dst) {
			return false
		}
	}
	for _, o := range r.outbound {
		if o.admits(f.dst, f.protocol, f.port) || o.led(f) {
			return true
		}
	}
	return false
}

func (r spaceRules) mayReach(client, server netip.Addr) bool {
	for _, p := range r.private {
		if p.Address != server {
			continue
		}
		for _, from := range p.From {
			if from == client {
				return true
			}
		}
		return false
	}
	return r.subnet.Contains(client)
}
