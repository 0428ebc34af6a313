package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/strongroom/strongroom/internal/fault"
)

// Endpoint is one instance's own network namespace.
type Endpoint struct {
	NetNS   string
	Address netip.Addr
}

// The endpoint's id is the alias of its link in the space, by which it is
// found again.
const endpointAlias = "strongroom endpoint "

// Attach gives the endpoint a namespace and an address; again: the same ones.
// Until ApplyPolicy names the address as private the whole space may connect
// to it, so apply the policy before starting anything in the namespace.
func (n *Network) Attach(ctx context.Context, spaceID, endpoint string) (Endpoint, error) {
	if !validID.MatchString(endpoint) {
		return Endpoint{}, fault.New(fault.Invalid, "%q can't be the id of an endpoint.", endpoint)
	}
	var e Endpoint
	err := n.with(spaceID, func(s *space) error {
		ordinal, err := s.attach(ctx, endpoint)
		if err != nil {
			return fmt.Errorf("attach %s to space %s: %w", endpoint, spaceID, err)
		}
		e = Endpoint{NetNS: s.endpointNS(endpoint), Address: s.address(ordinal)}
		return nil
	})
	return e, err
}

func (s *space) attach(ctx context.Context, endpoint string) (int, error) {
	ordinal, known := s.endpoints[endpoint]
	if !known {
		var err error
		if ordinal, err = s.free(); err != nil {
			return 0, err
		}
	}
	ns := s.endpointNS(endpoint)
	if !isNS(ns) {
		if err := makeNS(ns, setupEndpoint); err != nil {
			return 0, err
		}
	}
	var mtu int
	err := withHandle(func(h *netlink.Handle) (err error) {
		mtu, err = hostMTU(h)
		return err
	})
	if err != nil {
		return 0, err
	}
	s.endpoints[endpoint] = ordinal
	err = inside(s.netns(), func() error {
		return withHandle(func(h *netlink.Handle) error {
			if err := s.plug(ctx, h, endpoint, ordinal, mtu); err != nil {
				return err
			}
			err := inside(ns, func() error {
				return withHandle(func(h *netlink.Handle) error { return endpointUp(h, s.address(ordinal)) })
			})
			if err != nil {
				return err
			}
			return awaitUp(h, linkName(ordinal))
		})
	})
	if err != nil && !known {
		return 0, errors.Join(err, s.detach(ctx, endpoint))
	}
	return ordinal, err
}

// free finds the next address. Going round keeps a freed address out of use
// for as long as possible.
func (s *space) free() (int, error) {
	used := map[int]bool{}
	for _, ordinal := range s.endpoints {
		used[ordinal] = true
	}
	const span = lastEndpoint - firstEndpoint + 1
	next := max(s.last+1, firstEndpoint) - firstEndpoint
	for i := range span {
		ordinal := firstEndpoint + (next+i)%span
		if !used[ordinal] {
			s.last = ordinal
			return ordinal, nil
		}
	}
	return 0, fault.New(fault.Unavailable, "The space %s has no address left.", s.id)
}

// plug makes the endpoint's link in the space's namespace. Its source address
// is pinned before it is set up.
func (s *space) plug(ctx context.Context, h *netlink.Handle, endpoint string, ordinal, mtu int) error {
	name, address := linkName(ordinal), s.address(ordinal)
	link, err := h.LinkByName(name)
	if err != nil || link.Attrs().Alias != endpointAlias+endpoint {
		if link, err = s.newLink(h, endpoint, name, mtu); err != nil {
			return err
		}
	}
	if err := load(ctx, fmt.Sprintf("add element inet %s sources { %q . %s }\n", spaceTable, name, address)); err != nil {
		return err
	}
	if err := endUp(h, link, netip.Prefix{}, address, farMAC); err != nil {
		return err
	}
	// Connections of the platform come from the gateway's address.
	return h.RouteReplace(&netlink.Route{
		LinkIndex: link.Attrs().Index, Dst: ipNet(netip.PrefixFrom(address, 32)),
		Scope: netlink.SCOPE_LINK, Src: gateway.AsSlice(),
	})
}

func (s *space) newLink(h *netlink.Handle, endpoint, name string, mtu int) (netlink.Link, error) {
	if err := removeLink(h, name); err != nil {
		return nil, err
	}
	ns, err := os.Open(s.endpointNS(endpoint))
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	if err := pair(h, name, "eth0", int(ns.Fd()), mtu); err != nil {
		return nil, err
	}
	link, err := h.LinkByName(name)
	if err != nil {
		return nil, err
	}
	return link, h.LinkSetAlias(link, endpointAlias+endpoint)
}

// setupEndpoint prepares a new endpoint's namespace from inside. Programs
// expect localhost to answer, so the loopback interface keeps its ::1.
func setupEndpoint() error {
	if err := noIPv6(); err != nil {
		return err
	}
	if _, err := os.Stat("/proc/sys/net/ipv6"); err == nil {
		if err := sysctl("ipv6/conf/lo/disable_ipv6", "0"); err != nil {
			return err
		}
	}
	return withHandle(func(h *netlink.Handle) error {
		lo, err := h.LinkByName("lo")
		if err != nil {
			return err
		}
		return h.LinkSetUp(lo)
	})
}

// endpointUp configures the endpoint's end, from inside its namespace.
func endpointUp(h *netlink.Handle, address netip.Addr) error {
	eth0, err := h.LinkByName("eth0")
	if err != nil {
		return fmt.Errorf("the endpoint's end of its link: %w", err)
	}
	if err := endUp(h, eth0, netip.PrefixFrom(address, 32), gateway, nearMAC); err != nil {
		return err
	}
	index := eth0.Attrs().Index
	err = h.RouteReplace(&netlink.Route{
		LinkIndex: index, Dst: ipNet(netip.PrefixFrom(gateway, 32)), Scope: netlink.SCOPE_LINK,
	})
	if err != nil {
		return fmt.Errorf("route to the gateway: %w", err)
	}
	err = h.RouteReplace(&netlink.Route{
		LinkIndex: index, Dst: ipNet(netip.MustParsePrefix("0.0.0.0/0")), Gw: gateway.AsSlice(), Src: address.AsSlice(),
	})
	if err != nil {
		return fmt.Errorf("default route: %w", err)
	}
	return nil
}

// Detach removes the endpoint, its address from the policy, and its
// connections. Unknown space or endpoint: no error.
func (n *Network) Detach(ctx context.Context, spaceID, endpoint string) error {
	if !validID.MatchString(endpoint) {
		return nil
	}
	err := n.with(spaceID, func(s *space) error {
		if err := s.detach(ctx, endpoint); err != nil {
			return fmt.Errorf("detach %s from space %s: %w", endpoint, spaceID, err)
		}
		return nil
	})
	if fault.Of(err) == fault.NotFound {
		return nil
	}
	return err
}

// detach gives the address back only after nothing refers to it any more.
func (s *space) detach(ctx context.Context, endpoint string) error {
	ordinal, known := s.endpoints[endpoint]
	if known {
		if err := s.unplug(ordinal); err != nil {
			return err
		}
		if err := s.forget(ctx, s.address(ordinal)); err != nil {
			return err
		}
		delete(s.endpoints, endpoint)
	}
	return removeNS(s.endpointNS(endpoint))
}

// unplug removes the link and its connections. Its source stays in the set
// until the rules are loaded again: a link of that name never has another
// address.
func (s *space) unplug(ordinal int) error {
	address := s.address(ordinal)
	return inside(s.netns(), func() error {
		return withHandle(func(h *netlink.Handle) error {
			if err := removeLink(h, linkName(ordinal)); err != nil {
				return err
			}
			return cut(h, func(f flow) bool { return f.src == address || f.dst == address })
		})
	})
}

// forget removes the address from the policy.
func (s *space) forget(ctx context.Context, address netip.Addr) error {
	private, changed := without(s.state.Private, address)
	if !changed {
		return nil
	}
	s.state.Private = private
	return s.apply(ctx)
}

// without is the policy without the address, as server and as client.
func without(private []Private, address netip.Addr) (out []Private, changed bool) {
	for _, p := range private {
		if p.Address == address {
			changed = true
			continue
		}
		from := slices.DeleteFunc(slices.Clone(p.From), func(a netip.Addr) bool { return a == address })
		changed = changed || len(from) != len(p.From)
		out = append(out, Private{Address: p.Address, From: from})
	}
	return out, changed
}

// adoptEndpoints finds the endpoints that the directory and the kernel hold. A
// link without an endpoint is what an interrupted Attach left. An endpoint
// without a link is kept, with an address of its own: its namespace may have
// processes, Observe shows it, and Attach gives it a link.
func (s *space) adoptEndpoints() error {
	entries, err := os.ReadDir(filepath.Join(s.dir, "endpoints"))
	if err != nil {
		return err
	}
	err = inside(s.netns(), func() error { return withHandle(s.adoptLinks) })
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, linked := s.endpoints[e.Name()]; linked {
			continue
		}
		if s.endpoints[e.Name()], err = s.free(); err != nil {
			return err
		}
	}
	return nil
}

func (s *space) adoptLinks(h *netlink.Handle) error {
	byName, err := links(h)
	if err != nil {
		return err
	}
	for name, link := range byName {
		ordinal, ok := linkOrdinal(name)
		if !ok {
			continue
		}
		endpoint, aliased := strings.CutPrefix(link.Attrs().Alias, endpointAlias)
		if !aliased || !isNS(s.endpointNS(endpoint)) {
			if err := removeLink(h, name); err != nil {
				return err
			}
			continue
		}
		s.endpoints[endpoint] = ordinal
		s.last = max(s.last, ordinal)
	}
	return nil
}
