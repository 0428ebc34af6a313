package network

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
)

// Observation is what the kernel holds.
type Observation struct {
	Host   HostState
	Spaces []SpaceState // by id
}

// HostState is the installation's table in the host's network.
type HostState struct {
	InForce    bool   // the table is exactly as it was loaded
	Denied     uint64 // packets from and to spaces that were dropped on the host
	EdgeDenied uint64 // packets that the edge's rule dropped
}

// SpaceState is one space.
type SpaceState struct {
	ID    string
	Index int
	SpaceNet
	InForce   bool            // the namespace is there, its rules are exactly as they were loaded
	Denied    uint64          // packets that they dropped or refused
	Invalid   uint64          // packets that belonged to no connection
	Refused   []Refusal       // what was tried and refused within the last hour
	Endpoints []EndpointState // by id
}

// EndpointState is one endpoint.
type EndpointState struct {
	ID string
	Endpoint
	Up bool // its namespace and its link are there, and the link is up
}

// Observe reports what the kernel holds.
func (n *Network) Observe(ctx context.Context) (Observation, error) {
	host, err := n.host.observe(ctx)
	if err != nil {
		return Observation{}, fmt.Errorf("observe the host's rules: %w", err)
	}
	o := Observation{Host: host}
	for _, s := range n.all() {
		state, present, err := s.observe(ctx)
		if err != nil {
			return Observation{}, fmt.Errorf("observe space %s: %w", state.ID, err)
		}
		if present {
			o.Spaces = append(o.Spaces, state)
		}
	}
	slices.SortFunc(o.Spaces, func(a, b SpaceState) int { return cmp.Compare(a.ID, b.ID) })
	return o, nil
}

func (s *space) observe(ctx context.Context) (state SpaceState, present bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state = SpaceState{ID: s.id, Index: s.index, SpaceNet: s.net()}
	if s.removed {
		return state, false, nil
	}
	for id, ordinal := range s.endpoints {
		state.Endpoints = append(state.Endpoints, EndpointState{
			ID: id, Endpoint: Endpoint{NetNS: s.endpointNS(id), Address: s.address(ordinal)},
		})
	}
	slices.SortFunc(state.Endpoints, func(a, b EndpointState) int { return cmp.Compare(a.ID, b.ID) })
	if !isNS(s.netns()) {
		return state, true, nil
	}
	return state, true, inside(s.netns(), func() error { return s.observeInside(ctx, &state) })
}

func (s *space) observeInside(ctx context.Context, state *SpaceState) error {
	now, err := list(ctx, spaceTable)
	if err != nil {
		return err
	}
	state.InForce = s.changed(now) == ""
	state.Denied = now.counters["denied"].Packets
	state.Invalid = now.counters["invalid"].Packets
	state.Refused = now.refused
	return withHandle(func(h *netlink.Handle) error {
		byName, err := links(h)
		if err != nil {
			return err
		}
		for i, e := range state.Endpoints {
			link := byName[linkName(s.endpoints[e.ID])]
			state.Endpoints[i].Up = link != nil && link.Attrs().Alias == endpointAlias+e.ID &&
				link.Attrs().Flags&net.FlagUp != 0 && link.Attrs().OperState == netlink.OperUp && isNS(e.NetNS)
		}
		return nil
	})
}

// pinned says whether the set of sources, as list gives it, has every endpoint
// and no link with an address that is not its own. Links that are gone may
// still be there.
func (s *space) pinned(elements []string) bool {
	for _, e := range elements {
		link, address, _ := strings.Cut(e, " . ")
		ordinal, ok := linkOrdinal(link)
		if !ok || s.address(ordinal).String() != address {
			return false
		}
	}
	for _, ordinal := range s.endpoints {
		if !slices.Contains(elements, linkName(ordinal)+" . "+s.address(ordinal).String()) {
			return false
		}
	}
	return true
}
