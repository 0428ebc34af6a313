//go:build integration

package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/tests/port"
)

// hostService answers on all of the host's addresses and returns its port.
func hostService(t *testing.T) int {
	t.Helper()
	free := port.Free(t)
	echo(t, threadNS, at(netip.IPv4Unspecified(), free))
	for _, address := range hostAddresses(t) {
		works(t, threadNS, "tcp4", at(address, free))
	}
	return free
}

func hostAddresses(t *testing.T) (out []netip.Addr) {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() {
			out = append(out, p.Addr())
		}
	}
	if len(out) == 0 {
		t.Fatal("the host has no address to be attacked")
	}
	return out
}

// internet makes a namespace that plays the world outside, with the addresses,
// and a route of the host to them.
func internet(t *testing.T, name string, addresses ...string) (netns string) {
	t.Helper()
	netns = filepath.Join(t.TempDir(), "internet")
	if err := makeNS(netns, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	link := name + "w"
	t.Cleanup(func() {
		err := withHandle(func(h *netlink.Handle) error { return removeLink(h, link) })
		if err := errors.Join(err, removeNS(netns)); err != nil {
			t.Error(err)
		}
	})
	ns, err := os.Open(netns)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	near := netip.MustParseAddr("203.0.113.1")
	err = withHandle(func(h *netlink.Handle) error {
		if err := pair(h, link, "world", int(ns.Fd()), 1400); err != nil {
			return err
		}
		l, err := h.LinkByName(link)
		if err != nil {
			return err
		}
		if err := endUp(h, l, netip.PrefixFrom(near, 32), near.Next(), farMAC); err != nil {
			return err
		}
		for _, a := range addresses {
			if err := endUp(h, l, netip.Prefix{}, netip.MustParseAddr(a), farMAC); err != nil {
				return err
			}
			err := h.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: ipNet(netip.PrefixFrom(netip.MustParseAddr(a), 32)), Scope: netlink.SCOPE_LINK})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	inNS(t, netns, func(h *netlink.Handle) error {
		world, err := h.LinkByName("world")
		if err != nil {
			return err
		}
		for _, a := range addresses {
			if err := endUp(h, world, netip.PrefixFrom(netip.MustParseAddr(a), 32), near, nearMAC); err != nil {
				return err
			}
		}
		return h.RouteAdd(&netlink.Route{LinkIndex: world.Attrs().Index, Dst: ipNet(netip.MustParsePrefix("0.0.0.0/0")), Gw: near.AsSlice(), Flags: int(netlink.FLAG_ONLINK)})
	})
	if err := withHandle(func(h *netlink.Handle) error { return awaitUp(h, link) }); err != nil {
		t.Fatal(err)
	}
	return netns
}

func TestOutbound(t *testing.T) {
	r := newRig(t)
	// Addresses of the documentation range that depend on the installation, so
	// that two runs of this test can share a host.
	base := fmt.Sprintf("198.51.%d", 100+r.host.state.Block%100)
	open, closed := base+".7", base+".8"
	world := internet(t, r.cfg.Name, open, closed)
	echo(t, world, "0.0.0.0:443")
	echo(t, world, "0.0.0.0:80")
	works(t, threadNS, "tcp4", open+":443")
	works(t, threadNS, "tcp4", closed+":443")

	r.space("one", 0)
	r.space("two", 1)
	a, b := r.attach("one", "a"), r.attach("two", "b")
	fails(t, a.NetNS, "tcp4", open+":443")

	rule := driver.Outbound{CIDR: open + "/32", Protocol: "tcp", FromPort: 443, ToPort: 443}
	r.space("one", 0, rule)
	works(t, a.NetNS, "tcp4", open+":443")
	fails(t, a.NetNS, "udp4", open+":443")
	fails(t, a.NetNS, "tcp4", open+":80")
	fails(t, a.NetNS, "tcp4", closed+":443")
	fails(t, b.NetNS, "tcp4", open+":443")

	t.Run("a change keeps what it still allows", func(t *testing.T) {
		kept, err := dialFrom(a.NetNS, "tcp4", "", open+":443")
		if err != nil {
			t.Fatal(err)
		}
		defer kept.Close()
		wide := driver.Outbound{CIDR: base + ".0/24", Protocol: "tcp", FromPort: 1, ToPort: 65535}
		r.space("one", 0, rule, wide)
		cut, err := dialFrom(a.NetNS, "tcp4", "", closed+":443")
		if err != nil {
			t.Fatal(err)
		}
		defer cut.Close()
		for _, c := range []net.Conn{kept, cut} {
			if err := ping(c); err != nil {
				t.Fatal(err)
			}
		}
		r.space("one", 0, rule)
		if err := ping(kept); err != nil {
			t.Errorf("a connection that is still allowed was dropped: %v", err)
		}
		if err := ping(cut); err == nil {
			t.Error("a connection that is no longer allowed goes on")
		}
	})

	t.Run("everywhere is not the host", func(t *testing.T) {
		r.space("one", 0, driver.Outbound{CIDR: "0.0.0.0/0", Protocol: "any"})
		works(t, a.NetNS, "tcp4", open+":443")
		works(t, a.NetNS, "udp4", open+":80")
		port := hostService(t)
		hostEnd, _ := uplinkAddrs(r.host.block, 0)
		echo(t, b.NetNS, "0.0.0.0:5000")
		r.space("two", 1, driver.Outbound{CIDR: "0.0.0.0/0", Protocol: "any"})
		echo(t, r.state("two").NetNS, "0.0.0.0:5001")
		_, other := uplinkAddrs(r.host.block, 1)
		targets := []string{
			at(hostEnd, port), at(b.Address, 5000), at(other, 5001),
			"169.254.169.254:80", "168.63.129.16:80", "169.254.1.1:5001",
		}
		for _, address := range hostAddresses(t) {
			targets = append(targets, at(address, port))
		}
		before := r.state("one").Denied
		failAll(t, a.NetNS, targets...)
		// All but the host's own addresses are refused by the space already.
		want := uint64(2 * (len(targets) - len(hostAddresses(t))))
		if got := r.state("one").Denied - before; got < want {
			t.Errorf("the space refused %d packets, want at least %d", got, want)
		}
	})

	t.Run("a space has its share of connections", func(t *testing.T) {
		before := r.state("one").Denied
		err := inside(a.NetNS, func() error {
			c, err := net.ListenPacket("udp4", "0.0.0.0:0")
			if err != nil {
				return err
			}
			defer c.Close()
			for port := range maxOutgoing + 100 {
				// Errors are the refusals of earlier ones.
				c.WriteTo([]byte("x"), &net.UDPAddr{IP: net.ParseIP(open), Port: 10_000 + port})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.state("one").Denied - before; got < 50 || got > 150 {
			t.Errorf("%d of 100 connections over the limit were refused", got)
		}
		fails(t, a.NetNS, "tcp4", open+":443")
		works(t, b.NetNS, "tcp4", open+":443")
	})
}

// TestHostsOwnRules takes a space's rules away and shows what the host alone
// stops.
func TestHostsOwnRules(t *testing.T) {
	r := newRig(t)
	world := internet(t, r.cfg.Name, fmt.Sprintf("198.51.%d.27", 100+r.host.state.Block%100))
	open := fmt.Sprintf("198.51.%d.27:80", 100+r.host.state.Block%100)
	echo(t, world, "0.0.0.0:80")
	port := hostService(t)
	all := driver.Outbound{CIDR: "0.0.0.0/0", Protocol: "any"}
	one, two := r.space("one", 0, all), r.space("two", 1, all)
	a := r.attach("one", "a")
	works(t, a.NetNS, "tcp4", open)
	for _, s := range []SpaceNet{one, two} {
		err := inside(s.NetNS, func() error { return load(t.Context(), "delete table inet "+spaceTable+"\n") })
		if err != nil {
			t.Fatal(err)
		}
		echo(t, s.NetNS, "0.0.0.0:81")
	}
	hostEnd, end := uplinkAddrs(r.host.block, 0)
	_, other := uplinkAddrs(r.host.block, 1)
	works(t, one.NetNS, "tcp4", open)

	fails(t, a.NetNS, "udp4", open) // not translated, so not from the uplink's address
	if err := try(threadNS, "udp4", at(plus(r.host.block.Addr(), 900), 81)); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("to an uplink that is not there: %v, want what a blackhole says", err)
	}
	before := r.hostState()
	targets := []string{at(hostEnd, port), at(other, 81), at(plus(two.Subnet.Addr(), 2), 81), "169.254.169.254:80", "168.63.129.16:80"}
	for _, address := range hostAddresses(t) {
		targets = append(targets, at(address, port))
	}
	failAll(t, one.NetNS, targets...)
	fails(t, world, "tcp4", at(end, 81))
	after := r.hostState()
	if got, want := after.Denied-before.Denied, uint64(2*len(targets)+1); got < want || !after.InForce {
		t.Errorf("the host dropped %d packets, want at least %d; in force: %v", got, want, after.InForce)
	}
}

func (r *rig) hostState() HostState {
	r.t.Helper()
	o, err := r.Observe(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return o.Host
}

// TestHostIsNoRouter has two neighbours of the host, one of which a space may
// reach. The host forwards for the space and for nobody else.
func TestHostIsNoRouter(t *testing.T) {
	r := newRig(t)
	base := fmt.Sprintf("198.51.%d", 100+r.host.state.Block%100)
	one, two := base+".17", base+".18"
	left := internet(t, r.cfg.Name+"l", one)
	right := internet(t, r.cfg.Name+"r", two)
	echo(t, left, "0.0.0.0:80")
	echo(t, right, "0.0.0.0:80")
	if err := sysctl("ipv4/conf/"+r.cfg.Name+"lw/forwarding", "0"); err != nil {
		t.Fatal(err)
	}
	if err := sysctl("ipv4/conf/"+r.cfg.Name+"rw/forwarding", "1"); err != nil { // for the answers of the control
		t.Fatal(err)
	}
	rule := driver.Outbound{CIDR: one + "/32", Protocol: "tcp", FromPort: 80, ToPort: 80}
	r.space("one", 0, rule)
	a := r.attach("one", "a")
	echo(t, a.NetNS, "0.0.0.0:80")
	echo(t, r.state("one").NetNS, "0.0.0.0:81")
	works(t, a.NetNS, "tcp4", one+":80")

	_, end := uplinkAddrs(r.host.block, 0)
	fails(t, left, "tcp4", two+":80")
	fails(t, left, "tcp4", at(a.Address, 80))
	fails(t, left, "tcp4", at(end, 81))

	// The control: without our rules the host would forward.
	if err := load(t.Context(), "delete table inet "+hostTable(r.cfg.Name)+"\n"); err != nil {
		t.Fatal(err)
	}
	works(t, left, "tcp4", two+":80")
	if err := r.EnsureHost(t.Context()); err != nil {
		t.Fatal(err)
	}
	fails(t, left, "tcp4", two+":80")
	works(t, a.NetNS, "tcp4", one+":80")
}
