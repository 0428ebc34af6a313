package network

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// linkGroup marks the near end of every pair.
const linkGroup = 0x5352

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
	attrs.Name, attrs.MTU, attrs.HardwareAddr, attrs.Group = near, mtu, nearMAC, linkGroup
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

// awaitUp waits until the kernel has noticed that both ends of a pair are up.
// The end that was set up first drops what is sent through it until then.
func awaitUp(h *netlink.Handle, name string) error {
	const patience = 5 * time.Second
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		link, err := h.LinkByName(name)
		if err != nil {
			return err
		}
		if link.Attrs().OperState == netlink.OperUp {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("link %s stays %s", name, link.Attrs().OperState)
		}
	}
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

// removeLinks removes all links of pairs from the calling thread's namespace at
// once. One by one each would wait for the kernel's grace period.
func removeLinks() error {
	req := nl.NewNetlinkRequest(unix.RTM_DELLINK, unix.NLM_F_ACK)
	req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	req.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(linkGroup)))
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove links: %w", err)
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

// whole repeats a listing that a change interrupted: half a list is no answer.
func whole[T any](list func() (T, error)) (T, error) {
	const attempts = 20
	for range attempts - 1 {
		if v, err := list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return v, err
		}
	}
	return list()
}

// routes of the table, or of all tables.
func routes(h *netlink.Handle, table int) ([]netlink.Route, error) {
	all, err := whole(func() ([]netlink.Route, error) {
		return h.RouteListFiltered(unix.AF_INET, &netlink.Route{Table: table}, netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	return all, nil
}

// links of the calling thread's namespace by name.
func links(h *netlink.Handle) (map[string]netlink.Link, error) {
	all, err := whole(h.LinkList)
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
	all, err := routes(h, unix.RT_TABLE_MAIN)
	if err != nil {
		return 0, err
	}
	mtu := ethernet
	for _, r := range all {
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
