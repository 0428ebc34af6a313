package network

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/fault"
)

// host is the installation's part of the host's network: one nft table, one
// block of addresses for uplinks, the uplinks.
type host struct {
	cfg  Config
	log  *slog.Logger
	file string

	mu      sync.Mutex // guards what follows and the table
	state   installation
	block   netip.Prefix
	uplinks map[int]source // by index of the space
	rules   string         // digest of the table that was loaded
}

// openHost puts the host's table in force with the uplinks that exist, then
// makes sure of the block. The edge's rule therefore never waits for anything.
func openHost(ctx context.Context, cfg Config, log *slog.Logger) (*host, error) {
	h := &host{cfg: cfg, log: log, file: filepath.Join(cfg.Dir, "host.json"), uplinks: map[int]source{}}
	h.state.Block = -1
	if err := readJSON(h.file, &h.state); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if h.state.Block < 0 {
		h.block = block(cfg.Pool, 0) // until one is found; there is no uplink yet
	} else if h.state.Pool == cfg.Pool {
		h.block = block(cfg.Pool, h.state.Block)
	} else {
		return nil, fault.New(fault.Conflict, "The spaces have addresses of %s: remove them before changing the pool.", h.state.Pool)
	}
	return h, withHandle(func(nl *netlink.Handle) error {
		byName, err := links(nl)
		if err != nil {
			return err
		}
		for index := range maxSpaces {
			if name := uplinkName(cfg.Name, index); byName[name] != nil {
				_, address := uplinkAddrs(h.block, index)
				h.uplinks[index] = source{name, address}
			}
		}
		if err := h.apply(ctx); err != nil {
			return err
		}
		return h.reserve(ctx, nl)
	})
}

// apply loads the table; h.mu is held, or nobody else knows h yet.
func (h *host) apply(ctx context.Context) error {
	name := hostTable(h.cfg.Name)
	before, err := list(ctx, name)
	if err != nil {
		return err
	}
	rules := hostRules{
		name: h.cfg.Name, pool: h.cfg.Pool, block: h.block, edgeUID: h.cfg.EdgeUID,
		guarded: h.state.Forwarded, counters: before.counters,
	}
	for _, u := range h.uplinks {
		rules.uplinks = append(rules.uplinks, u)
	}
	if err := load(ctx, rules.text()); err != nil {
		return fmt.Errorf("load the host's rules: %w", err)
	}
	after, err := list(ctx, name)
	if err != nil {
		return err
	}
	h.rules = after.digest
	return nil
}

// ensure puts the table back in force if it is not as it was loaded.
func (h *host) ensure(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	now, err := list(ctx, hostTable(h.cfg.Name))
	if err != nil {
		return err
	}
	if now.digest == h.rules {
		return nil
	}
	h.log.Warn("the host's rules were changed by somebody else; loading them again")
	return h.apply(ctx)
}

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

// reserve finds a block that nothing on the host uses and keeps it by a
// blackhole route, which other installations see and which stops packets for
// uplinks that are gone.
func (h *host) reserve(ctx context.Context, nl *netlink.Handle) error {
	if h.state.Block >= 0 {
		err := nl.RouteAdd(blackhole(h.block))
		if err == nil || errors.Is(err, unix.EEXIST) {
			return nil
		}
		return fmt.Errorf("reserve %s: %w", h.block, err)
	}
	used, err := routed(nl)
	if err != nil {
		return err
	}
	for i := range blocks {
		// Installations start at different places, so that they rarely meet.
		n := (i + int(hash(h.cfg.Name))) % blocks
		candidate := block(h.cfg.Pool, n)
		if slices.ContainsFunc(used, candidate.Overlaps) {
			continue
		}
		err := nl.RouteAdd(blackhole(candidate))
		if errors.Is(err, unix.EEXIST) {
			continue // another installation was faster
		}
		if err != nil {
			return fmt.Errorf("reserve %s: %w", candidate, err)
		}
		h.state.Pool, h.state.Block, h.block = h.cfg.Pool, n, candidate
		if err := writeJSON(h.file, h.state); err != nil {
			return err
		}
		return h.apply(ctx)
	}
	return fault.New(fault.Conflict, "The host's own network uses %s: choose another pool for the spaces.", h.cfg.Pool)
}

func blackhole(p netip.Prefix) *netlink.Route {
	return &netlink.Route{Dst: ipNet(p), Type: unix.RTN_BLACKHOLE, Table: unix.RT_TABLE_MAIN}
}

// routed is every destination but the default that some table has a route to.
func routed(nl *netlink.Handle) ([]netip.Prefix, error) {
	all, err := routes(nl, unix.RT_TABLE_UNSPEC)
	if err != nil {
		return nil, err
	}
	var out []netip.Prefix
	for _, r := range all {
		if p, ok := prefix(r.Dst); ok && p.Bits() > 0 {
			out = append(out, p)
		}
	}
	return out, nil
}

// connect makes the space's uplink, or makes sure of it. It returns the
// space's address.
func (h *host) connect(ctx context.Context, index int, netns, alias string) (netip.Addr, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	hostEnd, spaceEnd := uplinkAddrs(h.block, index)
	name := uplinkName(h.cfg.Name, index)
	// The rules first: the link must not be there before its source is pinned.
	if h.uplinks[index] != (source{name, spaceEnd}) {
		h.uplinks[index] = source{name, spaceEnd}
		if err := h.apply(ctx); err != nil {
			delete(h.uplinks, index)
			return netip.Addr{}, err
		}
	}
	err := withHandle(func(nl *netlink.Handle) error { return h.plug(nl, name, netns, alias, hostEnd, spaceEnd) })
	return spaceEnd, err
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

// forward makes the host forward what the rules let out, and the answers. The
// kernel asks the interface by which a packet comes in. Forwarding is switched
// on only for interfaces that lead to a destination, and an interface that did
// not forward before still forwards nothing else: the host does not become a
// router for its neighbours.
func (h *host) forward(ctx context.Context, rules []outbound) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return withHandle(func(nl *netlink.Handle) error {
		names, err := h.leading(nl, rules)
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := h.forwardOn(ctx, name); err != nil {
				return err
			}
		}
		return nil
	})
}

func (h *host) forwardOn(ctx context.Context, name string) error {
	file := "/proc/sys/net/ipv4/conf/" + name + "/forwarding"
	value, err := os.ReadFile(file)
	if err != nil || strings.TrimSpace(string(value)) == "1" {
		return nil // gone meanwhile, or on already
	}
	if !slices.Contains(h.state.Forwarded, name) {
		h.state.Forwarded = append(h.state.Forwarded, name)
		if err := writeJSON(h.file, h.state); err != nil {
			return err
		}
		if err := h.apply(ctx); err != nil {
			return err
		}
	}
	return sysctl("ipv4/conf/"+name+"/forwarding", "1")
}

// leading names the interfaces of all routes to what the rules allow.
func (h *host) leading(nl *netlink.Handle, rules []outbound) ([]string, error) {
	all, err := routes(nl, unix.RT_TABLE_MAIN)
	if err != nil {
		return nil, err
	}
	byName, err := links(nl)
	if err != nil {
		return nil, err
	}
	byIndex := map[int]string{}
	for name, l := range byName {
		byIndex[l.Attrs().Index] = name
	}
	var names []string
	for _, r := range all {
		dst, ok := prefix(r.Dst)
		if !ok || h.cfg.Pool.Overlaps(dst) && dst.Bits() > 0 {
			continue
		}
		if !slices.ContainsFunc(rules, func(o outbound) bool { return o.to.Overlaps(dst) }) {
			continue
		}
		for _, index := range outInterfaces(r) {
			if name := byIndex[index]; name != "" && name != "lo" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

func outInterfaces(r netlink.Route) []int {
	out := []int{r.LinkIndex}
	for _, hop := range r.MultiPath {
		out = append(out, hop.LinkIndex)
	}
	return out
}

// remove takes everything of the installation out of the host's network.
func (h *host) remove(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := withHandle(func(nl *netlink.Handle) error {
		for index := range h.uplinks {
			if err := removeLink(nl, uplinkName(h.cfg.Name, index)); err != nil {
				return err
			}
		}
		if h.state.Block < 0 {
			return nil
		}
		if err := nl.RouteDel(blackhole(h.block)); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("release %s: %w", h.block, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	name := hostTable(h.cfg.Name)
	if err := load(ctx, fmt.Sprintf("add table inet %s\ndelete table inet %s\n", name, name)); err != nil {
		return err
	}
	return h.unforward(ctx)
}

// unforward puts forwarding back, unless another installation is on the host:
// it found forwarding on and may rely on it.
func (h *host) unforward(ctx context.Context) error {
	tables, err := nft(ctx, "", "list", "tables", "inet")
	if err != nil {
		return err
	}
	if strings.Contains(string(tables), hostTable("")) {
		return nil
	}
	for _, name := range h.state.Forwarded {
		if err := sysctl("ipv4/conf/"+name+"/forwarding", "0"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// observe says whether the table is in force and what it has counted.
func (h *host) observe(ctx context.Context) (HostState, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now, err := list(ctx, hostTable(h.cfg.Name))
	if err != nil {
		return HostState{}, err
	}
	return HostState{
		InForce:    now.digest != "" && now.digest == h.rules,
		Denied:     now.counters["denied"].Packets,
		EdgeDenied: now.counters["edge_denied"].Packets,
	}, nil
}
