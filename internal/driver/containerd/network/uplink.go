package network

import (
	"context"
	"fmt"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
)

// strays are the uplinks of spaces that are not known.
func (h *host) strays(known map[int]bool) (out []int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for index := range h.uplinks {
		if !known[index] {
			out = append(out, index)
		}
	}
	return out
}

// connect makes the space's uplink, or makes sure of it.
func (h *host) connect(ctx context.Context, index int, netns, alias string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	hostEnd, spaceEnd := uplinkAddrs(h.block, index)
	name := uplinkName(h.cfg.Name, index)
	// The rules first: the link must not be there before its source is pinned.
	if h.uplinks[index] != (source{name, spaceEnd}) {
		h.uplinks[index] = source{name, spaceEnd}
		if err := h.apply(ctx); err != nil {
			delete(h.uplinks, index)
			return err
		}
	}
	return withHandle(func(nl *netlink.Handle) error { return h.plug(nl, name, netns, alias, hostEnd, spaceEnd) })
}

func (h *host) plug(nl *netlink.Handle, name, netns, alias string, hostEnd, spaceEnd netip.Addr) error {
	mtu, err := hostMTU(nl)
	if err != nil {
		return err
	}
	link, err := nl.LinkByName(name)
	if err != nil || link.Attrs().Alias != alias {
		if err := removeLink(nl, name); err != nil {
			return err
		}
		ns, err := os.Open(netns)
		if err != nil {
			return err
		}
		defer ns.Close()
		if err := pair(nl, name, uplink, int(ns.Fd()), mtu); err != nil {
			return err
		}
		if link, err = nl.LinkByName(name); err != nil {
			return err
		}
		if err := nl.LinkSetAlias(link, alias); err != nil {
			return err
		}
	}
	if err := h.hostEnd(nl, link, hostEnd, spaceEnd); err != nil {
		return err
	}
	err = inside(netns, func() error {
		return withHandle(func(nl *netlink.Handle) error { return spaceEndUp(nl, hostEnd, spaceEnd) })
	})
	if err != nil {
		return err
	}
	return awaitUp(nl, name)
}

func (h *host) hostEnd(nl *netlink.Handle, link netlink.Link, hostEnd, spaceEnd netip.Addr) error {
	name := link.Attrs().Name
	if _, err := os.Stat("/proc/sys/net/ipv6/conf/" + name); err == nil {
		if err := sysctl("ipv6/conf/"+name+"/disable_ipv6", "1"); err != nil {
			return err
		}
	}
	err := sysctls([][2]string{
		{"ipv4/conf/" + name + "/rp_filter", "1"},
		{"ipv4/conf/" + name + "/accept_redirects", "0"},
		{"ipv4/conf/" + name + "/accept_source_route", "0"},
		{"ipv4/conf/" + name + "/send_redirects", "0"},
		{"ipv4/conf/" + name + "/forwarding", "1"},
	})
	if err != nil {
		return err
	}
	return endUp(nl, link, netip.PrefixFrom(hostEnd, 31), spaceEnd, farMAC)
}

func spaceEndUp(nl *netlink.Handle, hostEnd, spaceEnd netip.Addr) error {
	link, err := nl.LinkByName(uplink)
	if err != nil {
		return fmt.Errorf("the space's end of its uplink: %w", err)
	}
	if err := endUp(nl, link, netip.PrefixFrom(spaceEnd, 31), hostEnd, nearMAC); err != nil {
		return err
	}
	return nl.RouteReplace(&netlink.Route{
		LinkIndex: link.Attrs().Index, Dst: ipNet(netip.MustParsePrefix("0.0.0.0/0")),
		Gw: hostEnd.AsSlice(), Src: spaceEnd.AsSlice(),
	})
}

// disconnect removes the space's uplink and its connections.
func (h *host) disconnect(ctx context.Context, index int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := uplinkName(h.cfg.Name, index)
	_, address := uplinkAddrs(h.block, index)
	err := withHandle(func(nl *netlink.Handle) error {
		if err := removeLink(nl, name); err != nil {
			return err
		}
		// The next space with this index gets the same address.
		return cut(nl, func(f flow) bool { return f.src == address })
	})
	if err != nil {
		return err
	}
	if _, known := h.uplinks[index]; !known {
		return nil
	}
	delete(h.uplinks, index)
	return h.apply(ctx)
}
