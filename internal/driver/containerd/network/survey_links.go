package network

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/strongroom/strongroom/internal/driver"
)

// SurveyLinks compares namespaces, links and addresses with those that were made.
func (n *Network) SurveyLinks(_ context.Context, s *driver.Survey) error {
	if err := n.surveyHost(s); err != nil {
		return fmt.Errorf("survey the host's links: %w", err)
	}
	for _, x := range n.all() {
		if err := x.surveyLinks(s); err != nil {
			return fmt.Errorf("survey the links of space %s: %w", x.id, err)
		}
	}
	return nil
}

// surveyHost looks at what the installation has in the host's own network.
func (n *Network) surveyHost(s *driver.Survey) error {
	n.host.mu.Lock()
	defer n.host.mu.Unlock()
	return withHandle(func(h *netlink.Handle) error {
		byName, err := links(h)
		if err != nil {
			return err
		}
		want := map[string]string{}
		for _, index := range slices.Sorted(maps.Keys(n.host.uplinks)) {
			u := n.host.uplinks[index]
			address, _ := uplinkAddrs(n.host.block, index)
			want[u.link] = address.String()
			if byName[u.link] == nil {
				s.Found("", "link", "The link %s of a space to the outside is gone.", u.link)
			}
		}
		s.Look("", "links of the host", len(byName))
		for _, name := range slices.Sorted(maps.Keys(byName)) {
			address, ours := want[name]
			if !ours && strings.HasPrefix(name, n.cfg.Name+"-") {
				s.Found("", "link", "The link %q has a name as those of spaces to the outside, and none has it.", name)
			}
			if ours {
				if err := surveyAddresses(h, byName[name], s, "", address); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (s *space) surveyLinks(to *driver.Survey) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.removed || s.state.Rules == "" {
		return nil // it is on its way in or out
	}
	to.Look(s.id, "network namespaces", 1+len(s.endpoints))
	if !isNS(s.netns()) {
		to.Found(s.id, "namespace", "The network namespace of the space is gone.")
		return nil
	}
	entries, err := os.ReadDir(s.endpointNS(""))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if _, known := s.endpoints[e.Name()]; !known {
			to.Found(s.id, "namespace", "The network namespace %q is of no container.", e.Name())
		}
	}
	want := map[string][]string{"lo": {"127.0.0.1", gateway.String()}}
	if s.uplink.IsValid() {
		want[uplink] = []string{s.uplink.String()}
	}
	for _, ordinal := range s.endpoints {
		want[linkName(ordinal)] = nil
	}
	if err := inside(s.netns(), func() error { return surveyInside(to, s.id, "the space", want) }); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(s.endpoints)) {
		if !isNS(s.endpointNS(id)) {
			to.Found(s.id, "namespace", "The network namespace of the container %s is gone.", id)
			continue
		}
		want := map[string][]string{"lo": {"127.0.0.1", "::1"}, "eth0": {s.address(s.endpoints[id]).String()}}
		if err := inside(s.endpointNS(id), func() error { return surveyInside(to, s.id, "the container "+id, want) }); err != nil {
			return err
		}
	}
	return nil
}

// surveyInside looks at the links of the calling thread's namespace: want has
// their names and the addresses that they may have.
func surveyInside(to *driver.Survey, space, whose string, want map[string][]string) error {
	return withHandle(func(h *netlink.Handle) error {
		byName, err := links(h)
		if err != nil {
			return err
		}
		to.Look(space, "links", len(byName))
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if byName[name] == nil {
				to.Found(space, "link", "The link %s of %s is gone.", name, whose)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(byName)) {
			addresses, known := want[name]
			if !known && isFallback(byName[name]) {
				continue
			}
			if !known {
				to.Found(space, "link", "%s has a link %q (%s) that the engine did not make.", capital(whose), name, byName[name].Type())
				continue
			}
			if err := surveyAddresses(h, byName[name], to, space, addresses...); err != nil {
				return err
			}
		}
		return nil
	})
}

// fallback are links that the kernel itself makes in each namespace once the
// module of a kind of tunnel is loaded.
var fallback = []string{"erspan0", "gre0", "gretap0", "ip6gre0", "ip6tnl0", "ip6_vti0", "ip_vti0", "sit0", "tunl0"}

// isFallback tells whether a link is one of these, and not in use.
func isFallback(link netlink.Link) bool {
	return slices.Contains(fallback, link.Attrs().Name) && link.Attrs().Flags&net.FlagUp == 0
}

func surveyAddresses(h *netlink.Handle, link netlink.Link, to *driver.Survey, space string, want ...string) error {
	list, err := whole(func() ([]netlink.Addr, error) { return h.AddrList(link, netlink.FAMILY_ALL) })
	if err != nil {
		return err
	}
	to.Look(space, "addresses", len(list))
	for _, a := range list {
		if !slices.Contains(want, a.IP.String()) {
			to.Found(space, "address", "The link %s has the address %s, which the engine did not give it.", link.Attrs().Name, a.IPNet)
		}
	}
	return nil
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
