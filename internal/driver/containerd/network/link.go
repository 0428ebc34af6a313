package network

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Both ends of every veth pair have a fixed hardware address and know the
// other's as a permanent neighbour, so nothing depends on ARP. The addresses
// never meet: every pair is a wire of its own.
var (
	nearMAC = net.HardwareAddr{0x02, 0x53, 0x52, 0, 0, 1} // the end nearer to the host
	farMAC  = net.HardwareAddr{0x02, 0x53, 0x52, 0, 0, 2}
)

// pair makes a veth pair: near in the calling thread's namespace, far in the
// one that peer is open on. Both are down.
func pair(h *netlink.Handle, near, far string, peer, mtu int) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = near, mtu, nearMAC
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerHardwareAddr, veth.PeerMTU = far, farMAC, uint32(mtu)
	veth.PeerNamespace = netlink.NsFd(peer)
	if err := h.LinkAdd(veth); err != nil {
		return fmt.Errorf("make veth %s: %w", near, err)
	}
	return nil
}

// endUp gives one end of a pair its address, tells it of the other end and
// sets it up. Repeating it does no harm.
func endUp(h *netlink.Handle, link netlink.Link, address netip.Prefix, other netip.Addr, otherMAC net.HardwareAddr) error {
	if address.IsValid() {
		if err := h.AddrReplace(link, &netlink.Addr{IPNet: hostNet(address)}); err != nil {
			return fmt.Errorf("address %s: %w", address, err)
		}
	}
	if err := h.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", link.Attrs().Name, err)
	}
	err := h.NeighSet(&netlink.Neigh{
		LinkIndex: link.Attrs().Index, Family: unix.AF_INET, State: netlink.NUD_PERMANENT,
		IP: other.AsSlice(), HardwareAddr: otherMAC,
	})
	if err != nil {
		return fmt.Errorf("neighbour %s: %w", other, err)
	}
	return nil
}

// removeLink removes a link of the calling thread's namespace, and with it the
// other end. It is not an error if there is none.
func removeLink(h *netlink.Handle, name string) error {
	link, err := h.LinkByName(name)
	var none netlink.LinkNotFoundError
	if errors.As(err, &none) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := h.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove link %s: %w", name, err)
	}
	return nil
}

// withHandle runs fn with a netlink handle of the calling thread's namespace.
func withHandle(fn func(*netlink.Handle) error) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE, unix.NETLINK_NETFILTER)
	if err != nil {
		return fmt.Errorf("netlink: %w", err)
	}
	defer h.Close()
	return fn(h)
}

// links of the calling thread's namespace by name.
func links(h *netlink.Handle) (map[string]netlink.Link, error) {
	all, err := h.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	byName := make(map[string]netlink.Link, len(all))
	for _, l := range all {
		byName[l.Attrs().Name] = l
	}
	return byName, nil
}

// hostMTU is the MTU of the host's way out, which every link of a space shares,
// so that nothing needs to be fragmented or discovered.
func hostMTU(h *netlink.Handle) (int, error) {
	const ethernet = 1500
	routes, err := h.RouteListFiltered(unix.AF_INET, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return 0, fmt.Errorf("list routes: %w", err)
	}
	mtu := ethernet
	for _, r := range routes {
		if p, ok := prefix(r.Dst); !ok || p.Bits() != 0 {
			continue
		}
		if link, err := h.LinkByIndex(r.LinkIndex); err == nil {
			mtu = min(mtu, link.Attrs().MTU)
		}
	}
	return mtu, nil
}

func ipNet(p netip.Prefix) *net.IPNet { return hostNet(p.Masked()) }

// hostNet keeps the address's bits outside the mask.
func hostNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// prefix converts a route's destination; nil means the default route.
func prefix(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.MustParsePrefix("0.0.0.0/0"), true
	}
	a, ok := netip.AddrFromSlice(n.IP)
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), ones), ok && a.Unmap().Is4()
}

func hash(s string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(s))
	return h.Sum32()
}
