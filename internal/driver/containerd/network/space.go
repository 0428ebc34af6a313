package network

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/time/rate"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

// Space is the network side of a space.
type Space struct {
	ID    string
	Index int // decides its addresses; not shared with another space in use
	// Trusted are the CIDRs that the edge admits. They are checked for their
	// form and nothing more: see the package comment.
	Trusted  []string
	Outbound []driver.Outbound
}

// SpaceNet is a space as it was set up.
type SpaceNet struct {
	NetNS   string       // path of its network namespace
	Gateway netip.Addr   // the resolver's address, the same in every space
	Subnet  netip.Prefix // its endpoints' addresses
}

// space is a space of this installation. What it says of endpoints is a copy
// of what the kernel holds.
type space struct {
	id    string
	index int
	dir   string
	pool  netip.Prefix

	mu        sync.Mutex // held during every change and guards what follows
	removed   bool
	uplink    netip.Addr // the space's end, if it is to have an uplink
	state     spaceState
	outbound  []outbound     // state.Space.Outbound, checked
	endpoints map[string]int // ordinals
	last      int            // the ordinal given out last
	kept      []string       // what state.Rules is the digest of, once it was seen
	opened    opened         // addresses that names led to
	changes   *rate.Limiter  // of opened
	tampers   tampers
}

func (s *space) file() string               { return filepath.Join(s.dir, "space.json") }
func (s *space) netns() string              { return filepath.Join(s.dir, "net") }
func (s *space) endpointNS(e string) string { return filepath.Join(s.dir, "endpoints", e) }
func (s *space) subnet() netip.Prefix       { return subnet(s.pool, s.index) }
func (s *space) alias() string              { return "strongroom space " + s.id }
func (s *space) address(n int) netip.Addr   { return plus(s.subnet().Addr(), n) }
func (s *space) net() SpaceNet {
	return SpaceNet{NetNS: s.netns(), Gateway: gateway, Subnet: s.subnet()}
}

// EnsureSpace creates the space or brings its rules to those given. It keeps
// endpoints, their policy and those connections that the new rules allow.
func (n *Network) EnsureSpace(ctx context.Context, want Space) (SpaceNet, error) {
	rules, err := want.check(n.cfg.Pool)
	if err != nil {
		return SpaceNet{}, err
	}
	s, err := n.claim(want)
	if err != nil {
		return SpaceNet{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.removed {
		return SpaceNet{}, fault.New(fault.Conflict, "The space %s is being removed.", want.ID)
	}
	if err := n.ensure(ctx, s, want, rules); err != nil {
		return SpaceNet{}, fmt.Errorf("space %s: %w", want.ID, err)
	}
	return s.net(), nil
}

// claim finds the space or enters a new one, whose index nobody else may have.
func (n *Network) claim(want Space) (*space, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, s := range n.spaces {
		if id != want.ID && s.index == want.Index {
			return nil, fault.New(fault.Conflict, "The index %d belongs to the space %s.", want.Index, id)
		}
	}
	s := n.spaces[want.ID]
	if s == nil {
		s = &space{
			id:        want.ID,
			index:     want.Index,
			dir:       filepath.Join(n.cfg.Dir, "spaces", want.ID),
			pool:      n.cfg.Pool,
			endpoints: map[string]int{},
			opened:    opened{},
			changes:   newChanges(),
		}
		n.spaces[want.ID] = s
	}
	if s.index != want.Index {
		return nil, fault.New(fault.Conflict, "The space %s has the index %d; it can't change.", want.ID, s.index)
	}
	return s, nil
}

// ensure is the whole of EnsureSpace for a space that is locked. Whatever lets
// more through comes last, whatever lets less through comes first.
func (n *Network) ensure(ctx context.Context, s *space, want Space, rules []outbound) error {
	if err := n.host.ensure(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(s.dir, "endpoints"), 0o711); err != nil {
		return err
	}
	s.state.Space, s.outbound, s.uplink = want, rules, netip.Addr{}
	if len(rules) > 0 {
		_, s.uplink = uplinkAddrs(n.host.block, want.Index)
	}
	if err := writeJSON(s.file(), s.state); err != nil {
		return err
	}
	if !isNS(s.netns()) {
		if err := makeNS(s.netns(), setupSpace); err != nil {
			return err
		}
	}
	if err := s.apply(ctx); err != nil {
		return err
	}
	if len(rules) == 0 {
		return n.host.disconnect(ctx, want.Index)
	}
	if err := n.host.connect(ctx, want.Index, s.netns(), s.alias()); err != nil {
		return err
	}
	return n.host.forward(ctx, rules)
}

// setupSpace prepares a new space's namespace from inside.
func setupSpace() error {
	if err := noIPv6(); err != nil {
		return err
	}
	err := sysctls([][2]string{
		{"ipv4/conf/all/rp_filter", "1"},
		{"ipv4/conf/default/rp_filter", "1"},
		{"ipv4/conf/all/accept_redirects", "0"},
		{"ipv4/conf/default/accept_redirects", "0"},
		{"ipv4/conf/all/send_redirects", "0"},
		{"ipv4/conf/default/send_redirects", "0"},
		{"ipv4/conf/all/accept_source_route", "0"},
		{"ipv4/conf/default/accept_source_route", "0"},
		{"netfilter/nf_conntrack_tcp_loose", "0"},
		{"ipv4/ip_forward", "1"},
	})
	if err != nil {
		return err
	}
	return withHandle(func(h *netlink.Handle) error {
		lo, err := h.LinkByName("lo")
		if err != nil {
			return err
		}
		if err := h.AddrReplace(lo, &netlink.Addr{IPNet: hostNet(netip.PrefixFrom(gateway, 32))}); err != nil {
			return err
		}
		return h.LinkSetUp(lo)
	})
}

func (s *space) rules() spaceRules {
	r := spaceRules{
		pool: s.pool, subnet: s.subnet(), uplink: s.uplink,
		outbound: s.outbound, private: s.state.Private,
	}
	for _, ordinal := range s.endpoints {
		r.sources = append(r.sources, source{linkName(ordinal), s.address(ordinal)})
	}
	return r
}

// apply puts the space's rules in force and cuts the connections that they no
// longer allow. It does nothing if they are in force already.
func (s *space) apply(ctx context.Context) error {
	rules := s.rules()
	script := rules.digest()
	return inside(s.netns(), func() error {
		before, err := list(ctx, spaceTable)
		if err != nil {
			return err
		}
		changed := s.changed(before)
		if changed == "" && script == s.state.Script {
			return nil
		}
		if changed != "" && s.state.Rules != "" {
			s.tampers.note("the table "+spaceTable, changed)
		}
		rules.counters, rules.refused = before.counters, before.refused
		s.opened.keep(s.outbound, time.Now())
		rules.open = s.opened.list(time.Now())
		if err := load(ctx, rules.text()); err != nil {
			return fmt.Errorf("load rules: %w", err)
		}
		if err := withHandle(func(h *netlink.Handle) error {
			return cut(h, func(f flow) bool { return !rules.admits(f) })
		}); err != nil {
			return err
		}
		after, err := list(ctx, spaceTable)
		if err != nil {
			return err
		}
		s.state.Script, s.state.Rules, s.kept = script, after.digest, after.objects
		return writeJSON(s.file(), s.state)
	})
}

// digest is of what the rules say, without what changes while they are in force.
func (r spaceRules) digest() string {
	r.sources = nil
	text := r.text()
	for _, o := range r.outbound { // the text has their services alone
		if o.name != "" {
			text += o.name + " " + o.service.String() + "\n"
		}
	}
	return digest(text)
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// adoptSpace takes over a space that another process left. If its namespace is
// gone, the host was restarted: what is left of it is removed, and EnsureSpace
// makes it anew.
func (n *Network) adoptSpace(id string) (*space, error) {
	s := &space{id: id, dir: filepath.Join(n.cfg.Dir, "spaces", id), pool: n.cfg.Pool, endpoints: map[string]int{}, opened: opened{}, changes: newChanges()}
	err := readJSON(s.file(), &s.state)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err != nil || !isNS(s.netns()) {
		n.log.Warn("space has no namespace any more", "space", id)
		return nil, s.removeFiles()
	}
	if s.state.Space.ID != id {
		return nil, fmt.Errorf("%s is about the space %s", s.file(), s.state.Space.ID)
	}
	s.index = s.state.Space.Index
	if s.outbound, err = s.state.Space.check(n.cfg.Pool); err != nil {
		return nil, err
	}
	if len(s.outbound) > 0 {
		_, s.uplink = uplinkAddrs(n.host.block, s.index)
	}
	if err := s.adoptEndpoints(); err != nil {
		return nil, err
	}
	return s, s.adoptOpened(context.Background())
}

// RemoveSpace removes the space with its endpoints. Unknown id: no error.
// Processes that still run in its namespaces are left without a connection to
// anything.
func (n *Network) RemoveSpace(ctx context.Context, id string) error {
	n.mu.Lock()
	s := n.spaces[id]
	n.mu.Unlock()
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.removed {
		return nil
	}
	if err := n.remove(ctx, s); err != nil {
		return fmt.Errorf("remove space %s: %w", id, err)
	}
	s.removed = true
	n.mu.Lock()
	delete(n.spaces, id)
	n.mu.Unlock()
	return nil
}

func (n *Network) remove(ctx context.Context, s *space) error {
	if err := n.host.disconnect(ctx, s.index); err != nil {
		return err
	}
	if isNS(s.netns()) {
		if err := inside(s.netns(), removeLinks); err != nil {
			return err
		}
	}
	return s.removeFiles()
}

func (s *space) removeFiles() error {
	entries, err := os.ReadDir(filepath.Join(s.dir, "endpoints"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if err := removeNS(s.endpointNS(e.Name())); err != nil {
			return err
		}
	}
	if err := removeNS(s.netns()); err != nil {
		return err
	}
	return os.RemoveAll(s.dir)
}
