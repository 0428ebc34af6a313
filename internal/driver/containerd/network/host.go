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
	rules   listing        // the table as it was loaded
	tampers tampers
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
	if h.rules.digest != "" && before.digest != h.rules.digest {
		h.tampers.note("the table "+name, difference(h.rules.objects, before.objects))
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
	h.rules = after
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
	if now.digest == h.rules.digest {
		return nil
	}
	h.log.Warn("the host's rules were changed by somebody else; loading them again")
	return h.apply(ctx)
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

// observe says whether the table is in force and what it has counted.
func (h *host) observe(ctx context.Context) (HostState, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now, err := list(ctx, hostTable(h.cfg.Name))
	if err != nil {
		return HostState{}, err
	}
	return HostState{
		InForce:    now.digest != "" && now.digest == h.rules.digest,
		Denied:     now.counters["denied"].Packets,
		EdgeDenied: now.counters["edge_denied"].Packets,
	}, nil
}
