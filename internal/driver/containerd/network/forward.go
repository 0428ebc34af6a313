package network

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

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
		if !slices.ContainsFunc(rules, func(o outbound) bool { return o.name != "" || o.to.Overlaps(dst) }) {
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
