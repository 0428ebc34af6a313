//go:build integration

package network

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

const testEdgeUID = 64777

// TestMain is also the process that runs under the edge's uid.
func TestMain(m *testing.M) {
	if os.Getenv("NETWORK_TEST_EDGE") != "" {
		os.Exit(edgeHelper(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// rig is an installation of a test.
type rig struct {
	*Network
	t   *testing.T
	cfg Config
}

// newRig opens an installation with a name of its own and checks, when the
// test ends, that nothing of it is left.
func newRig(t *testing.T) *rig {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test needs root")
	}
	b := make([]byte, 3)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, cfg: Config{
		Dir:     filepath.Join(t.TempDir(), "net"),
		Name:    "t" + hex.EncodeToString(b),
		EdgeUID: testEdgeUID,
	}}
	r.open()
	t.Cleanup(func() {
		if err := r.Uninstall(context.Background()); err != nil {
			t.Errorf("uninstall: %v", err)
		}
		r.nothingLeft()
	})
	return r
}

func (r *rig) open() {
	r.t.Helper()
	n, err := Open(r.cfg, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		r.t.Fatal(err)
	}
	r.Network = n
}

func (r *rig) nothingLeft() {
	r.t.Helper()
	for what, out := range map[string][]byte{
		"links":  output(r.t, "ip", "link"),
		"tables": output(r.t, "nft", "list", "tables"),
		"mounts": read(r.t, "/proc/self/mountinfo"),
	} {
		for _, name := range []string{r.cfg.Name, r.cfg.Dir} {
			if strings.Contains(string(out), name) {
				r.t.Errorf("%s still contain %s:\n%s", what, name, out)
			}
		}
	}
	if _, err := os.Stat(r.cfg.Dir); !errors.Is(err, os.ErrNotExist) {
		r.t.Errorf("%s is still there: %v", r.cfg.Dir, err)
	}
	if routes := string(output(r.t, "ip", "route", "show", "type", "blackhole")); strings.Contains(routes, r.host.block.String()) {
		r.t.Errorf("the block is still reserved:\n%s", routes)
	}
}

func output(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (r *rig) space(id string, index int, outbound ...driver.Outbound) SpaceNet {
	r.t.Helper()
	s, err := r.EnsureSpace(r.t.Context(), Space{ID: id, Index: index, Outbound: outbound})
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) attach(space, id string) Endpoint {
	r.t.Helper()
	e, err := r.Attach(r.t.Context(), space, id)
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

func (r *rig) policy(space string, private ...Private) {
	r.t.Helper()
	if err := r.ApplyPolicy(r.t.Context(), space, private); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) state(space string) SpaceState {
	r.t.Helper()
	o, err := r.Observe(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, s := range o.Spaces {
		if s.ID == space {
			return s
		}
	}
	r.t.Fatalf("no space %s in %+v", space, o)
	return SpaceState{}
}

// echo answers every connection and datagram in the namespace until the test
// ends.
func echo(t *testing.T, netns, address string) {
	t.Helper()
	err := inside(netns, func() error {
		tcp, err := net.Listen("tcp4", address)
		if err != nil {
			return err
		}
		udp, err := net.ListenPacket("udp4", address)
		if err != nil {
			tcp.Close()
			return err
		}
		t.Cleanup(func() { tcp.Close(); udp.Close() })
		go func() {
			for {
				c, err := tcp.Accept()
				if err != nil {
					return
				}
				go func() { defer c.Close(); io.Copy(c, c) }()
			}
		}()
		go func() {
			b := make([]byte, 2048)
			for {
				n, from, err := udp.ReadFrom(b)
				if err != nil {
					return
				}
				udp.WriteTo(b[:n], from)
			}
		}()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// try connects from the namespace and has an echo, or says why not.
func try(netns, network, address string) error {
	conn, err := dialFrom(netns, network, "", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	return ping(conn)
}

func dialFrom(netns, network, source, address string) (conn net.Conn, err error) {
	d := net.Dialer{Timeout: 700 * time.Millisecond}
	if source != "" {
		if strings.HasPrefix(network, "tcp") {
			d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(source)}
		} else {
			d.LocalAddr = &net.UDPAddr{IP: net.ParseIP(source)}
		}
	}
	err = inside(netns, func() (err error) {
		conn, err = d.Dial(network, address)
		return err
	})
	return conn, err
}

func ping(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(700 * time.Millisecond)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("ping")); err != nil {
		return err
	}
	b := make([]byte, 4)
	_, err := io.ReadFull(conn, b)
	return err
}

func works(t *testing.T, netns, network, address string) {
	t.Helper()
	if err := try(netns, network, address); err != nil {
		t.Errorf("%s to %s should work: %v", network, address, err)
	}
}

func fails(t *testing.T, netns, network, address string) {
	t.Helper()
	if err := try(netns, network, address); err == nil {
		t.Errorf("%s to %s should not work", network, address)
	}
}

// failAll tries all at once, by TCP and UDP: most attempts end by their timeout.
func failAll(t *testing.T, netns string, addresses ...string) {
	t.Helper()
	var wg sync.WaitGroup
	for _, address := range addresses {
		for _, network := range []string{"tcp4", "udp4"} {
			wg.Go(func() { fails(t, netns, network, address) })
		}
	}
	wg.Wait()
}

func at(a netip.Addr, port int) string { return netip.AddrPortFrom(a, uint16(port)).String() }

func TestInsideASpace(t *testing.T) {
	r := newRig(t)
	s := r.space("one", 0)
	web, worker, db := r.attach("one", "web"), r.attach("one", "worker"), r.attach("one", "db")
	for _, e := range []Endpoint{web, worker, db} {
		echo(t, e.NetNS, "0.0.0.0:5000")
	}
	for _, network := range []string{"tcp4", "udp4"} {
		works(t, web.NetNS, network, at(worker.Address, 5000))
		works(t, worker.NetNS, network, at(web.Address, 5000))
		works(t, web.NetNS, network, at(db.Address, 5000))
		works(t, web.NetNS, network, "127.0.0.1:5000")
	}

	r.policy("one", Private{Address: db.Address, From: []netip.Addr{web.Address}})
	before := r.state("one").Denied
	for _, network := range []string{"tcp4", "udp4"} {
		works(t, web.NetNS, network, at(db.Address, 5000))
		fails(t, worker.NetNS, network, at(db.Address, 5000))
		works(t, worker.NetNS, network, at(web.Address, 5000))
		works(t, db.NetNS, network, at(worker.Address, 5000))
	}
	after := r.state("one")
	if after.Denied <= before {
		t.Errorf("refusals were not counted: %d then %d", before, after.Denied)
	}
	if !after.InForce {
		t.Error("rules are not in force")
	}
	// The platform reaches private addresses.
	conn, err := r.DialContext(t.Context(), "one", "tcp", at(db.Address, 5000))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := ping(conn); err != nil {
		t.Errorf("platform's dial: %v", err)
	}
	if got := conn.LocalAddr().(*net.TCPAddr).IP.String(); got != gateway.String() {
		t.Errorf("the platform dials from %s, want %s", got, gateway)
	}
	if _, err := r.DialContext(t.Context(), "one", "tcp", "192.0.2.1:80"); fault.Of(err) != fault.Invalid {
		t.Errorf("dial to an address outside the space: %v", err)
	}
	_ = s
}

// TestRevokedPeer: a connection ends when the policy no longer allows it, in
// both directions, although the server may still send on it.
func TestRevokedPeer(t *testing.T) {
	r := newRig(t)
	r.space("one", 0)
	db, worker, web := r.attach("one", "db"), r.attach("one", "worker"), r.attach("one", "web")
	accepted := make(chan net.Conn, 2)
	err := inside(db.NetNS, func() error {
		l, err := net.Listen("tcp4", "0.0.0.0:5432")
		if err != nil {
			return err
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				accepted <- c
			}
		}()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	connect := func(e Endpoint) (client, server net.Conn) {
		client, err := dialFrom(e.NetNS, "tcp4", "", at(db.Address, 5432))
		if err != nil {
			t.Fatal(err)
		}
		server = <-accepted
		t.Cleanup(func() { client.Close(); server.Close() })
		return client, server
	}
	passes := func(from, to net.Conn) bool {
		t.Helper()
		if _, err := from.Write([]byte("x")); err != nil {
			return false
		}
		to.SetReadDeadline(time.Now().Add(700 * time.Millisecond))
		_, err := to.Read(make([]byte, 1))
		return err == nil
	}
	workerSide, dbSide := connect(worker)
	webSide, dbSide2 := connect(web)
	if !passes(dbSide, workerSide) || !passes(workerSide, dbSide) {
		t.Fatal("the connection does not work")
	}
	r.policy("one", Private{Address: db.Address, From: []netip.Addr{web.Address}})
	if passes(dbSide, workerSide) {
		t.Error("the server still reaches a client that was cut")
	}
	if passes(workerSide, dbSide) {
		t.Error("a client that was cut still reaches the server")
	}
	if !passes(webSide, dbSide2) || !passes(dbSide2, webSide) {
		t.Error("a client that is allowed was cut as well")
	}
}

func TestNothingElseIsReached(t *testing.T) {
	r := newRig(t)
	one, two := r.space("one", 0), r.space("two", 1)
	a, b := r.attach("one", "a"), r.attach("two", "b")
	sibling := r.attach("one", "sibling")
	echo(t, b.NetNS, "0.0.0.0:5000")
	echo(t, sibling.NetNS, "0.0.0.0:5000")
	echo(t, two.NetNS, "0.0.0.0:5001") // something in the other space's own namespace
	echo(t, one.NetNS, "0.0.0.0:5001") // something in the own space's namespace

	port := hostService(t)
	works(t, a.NetNS, "tcp4", at(sibling.Address, 5000)) // the test's own means work
	works(t, one.NetNS, "tcp4", "127.0.0.1:5001")

	cases := map[string]string{
		"an instance of another space": at(b.Address, 5000),
		"another space's gateway":      at(two.Gateway, 5001),
		"the own space's namespace":    at(one.Gateway, 5001),
		"metadata":                     "169.254.169.254:80",
		"anywhere":                     "198.51.100.1:80",
		"the host's loopback":          at(netip.MustParseAddr("127.0.0.1"), port),
	}
	for i, address := range hostAddresses(t) {
		cases[fmt.Sprintf("the host's address %d", i)] = at(address, port)
	}
	before := r.state("one").Denied
	failAll(t, a.NetNS, slices.Collect(maps.Values(cases))...)
	if after := r.state("one").Denied; after < before+uint64(len(cases)) {
		t.Errorf("%d refusals counted for %d attempts", after-before, 2*len(cases))
	}
	// Nor does the host reach an instance.
	fails(t, threadNS, "tcp4", at(b.Address, 5000))
}

// hostService answers on all of the host's addresses and returns its port.
func hostService(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0") // to find a port
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	echo(t, threadNS, at(netip.IPv4Unspecified(), port))
	for _, address := range hostAddresses(t) {
		works(t, threadNS, "tcp4", at(address, port))
	}
	return port
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

func TestDNSIsAllThatTheGatewayAnswers(t *testing.T) {
	r := newRig(t)
	r.space("one", 0)
	a := r.attach("one", "a")
	udp, err := r.ListenPacket(t.Context(), "one", "udp4", at(gateway, 53))
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	if _, err := udp.(*net.UDPConn).File(); err != nil {
		t.Fatal(err)
	}
	go func() {
		b := make([]byte, 512)
		for {
			n, from, err := udp.ReadFrom(b)
			if err != nil {
				return
			}
			udp.WriteTo(b[:n], from)
		}
	}()
	tcp, err := r.Listen(t.Context(), "one", "tcp4", at(gateway, 53))
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); io.Copy(c, c) }()
		}
	}()
	works(t, a.NetNS, "udp4", at(gateway, 53))
	works(t, a.NetNS, "tcp4", at(gateway, 53))
	echo(t, r.state("one").NetNS, at(gateway, 80))
	works(t, r.state("one").NetNS, "tcp4", at(gateway, 80))
	fails(t, a.NetNS, "tcp4", at(gateway, 80))
	fails(t, a.NetNS, "udp4", at(gateway, 80))
}

// TestForgedSource gives an instance powers that it doesn't have, to set
// another's address, and shows that its packets don't pass.
func TestForgedSource(t *testing.T) {
	r := newRig(t)
	r.space("one", 0)
	thief, victim, db := r.attach("one", "thief"), r.attach("one", "victim"), r.attach("one", "db")
	echo(t, db.NetNS, "0.0.0.0:5000")
	r.policy("one", Private{Address: db.Address, From: []netip.Addr{victim.Address}})
	works(t, victim.NetNS, "udp4", at(db.Address, 5000))

	heard := make(chan string, 16)
	err := inside(db.NetNS, func() error {
		c, err := net.ListenPacket("udp4", "0.0.0.0:6000")
		if err != nil {
			return err
		}
		t.Cleanup(func() { c.Close() })
		go func() {
			b := make([]byte, 64)
			for {
				n, _, err := c.ReadFrom(b)
				if err != nil {
					return
				}
				heard <- string(b[:n])
			}
		}()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	send := func(netns, source, text string) {
		c, err := dialFrom(netns, "udp4", source, at(db.Address, 6000))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	inNS(t, thief.NetNS, func(h *netlink.Handle) error {
		eth0, err := h.LinkByName("eth0")
		if err != nil {
			return err
		}
		return h.AddrAdd(eth0, &netlink.Addr{IPNet: hostNet(netip.PrefixFrom(victim.Address, 32))})
	})
	denied := r.state("one").Denied
	send(thief.NetNS, victim.Address.String(), "forged")
	send(victim.NetNS, "", "genuine") // also shows that the listener hears
	if got := <-heard; got != "genuine" {
		t.Errorf("heard %q", got)
	}
	if now := r.state("one").Denied; now <= denied {
		t.Error("the forged packet was not counted")
	}

	// Without the set, reverse path filtering still stops it.
	err = inside(r.state("one").NetNS, func() error {
		return load(t.Context(), fmt.Sprintf("add element inet %s sources { %q . %s }\n",
			spaceTable, linkName(2), victim.Address))
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.state("one").InForce {
		t.Error("an added source was not noticed")
	}
	send(thief.NetNS, victim.Address.String(), "forged again")
	send(victim.NetNS, "", "genuine again")
	if got := <-heard; got != "genuine again" {
		t.Errorf("heard %q", got)
	}
}

func inNS(t *testing.T, netns string, fn func(*netlink.Handle) error) {
	t.Helper()
	if err := inside(netns, func() error { return withHandle(fn) }); err != nil {
		t.Fatal(err)
	}
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

func TestEdgeCannotConnectOut(t *testing.T) {
	r := newRig(t)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); io.Copy(c, c) }()
		}
	}()
	target := l.Addr().String()
	l6, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l6.Close()
	targets := map[string]string{"tcp4": target, "udp4": target, "tcp6": l6.Addr().String(), "udp6": l6.Addr().String()}
	for network, target := range targets {
		if out, err := runAs(t, testEdgeUID+1, "dial", network, target); err != nil {
			t.Errorf("%s under another uid should work: %v: %s", network, err, out)
		}
		if out, err := runAs(t, testEdgeUID, "dial", network, target); err == nil {
			t.Errorf("%s under the edge's uid works: %s", network, out)
		}
	}
	if host := r.hostState(); host.EdgeDenied == 0 || !host.InForce {
		t.Errorf("host state %+v", host)
	}

	// It accepts, and what it accepted works in both directions. Then it takes
	// the accepted socket apart and connects it anew, as a holder could.
	cmd := helper(testEdgeUID, "accept", target)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	line := make([]byte, 128)
	n, err := stdout.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialTimeout("tcp4", strings.TrimSpace(string(line[:n])), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := ping(conn); err != nil {
		t.Fatalf("the edge can't serve: %v", err)
	}
	rest, err := io.ReadAll(stdout)
	if err != nil {
		t.Fatal(err)
	}
	if string(rest) != "reconnect refused\n" {
		t.Errorf("edge helper says %q", rest)
	}
}

func helper(uid int, args ...string) *exec.Cmd {
	// The test's directory may be closed to other users: run a copy by fd.
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		panic(err)
	}
	cmd := exec.Command("/proc/self/fd/3", args...)
	cmd.ExtraFiles = []*os.File{self}
	cmd.Env = []string{"NETWORK_TEST_EDGE=1"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	return cmd
}

func runAs(t *testing.T, uid int, args ...string) (string, error) {
	t.Helper()
	out, err := helper(uid, args...).CombinedOutput()
	return string(out), err
}

func edgeHelper(args []string) int {
	switch args[0] {
	case "dial":
		c, err := net.DialTimeout(args[1], args[2], 700*time.Millisecond)
		if err == nil {
			_, err = c.Write([]byte("ping")) // a dropped datagram is EPERM here
		}
		if err != nil {
			fmt.Println(err)
			return 1
		}
		return 0
	case "accept":
		if err := edgeAccept(args[1]); err != nil {
			fmt.Println(err)
			return 1
		}
		return 0
	}
	return 2
}

// edgeAccept serves one echo, then disconnects the accepted socket and
// connects it to target.
func edgeAccept(target string) error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	c, err := l.Accept()
	if err != nil {
		return err
	}
	b := make([]byte, 4)
	if _, err := io.ReadFull(c, b); err != nil {
		return err
	}
	if _, err := c.Write(b); err != nil {
		return err
	}
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		return err
	}
	return reconnect(int(f.Fd()), netip.MustParseAddrPort(target))
}

func reconnect(fd int, target netip.AddrPort) error {
	unspecified := [16]byte{} // AF_UNSPEC
	if _, _, errno := syscall.Syscall(syscall.SYS_CONNECT, uintptr(fd), uintptr(ptr(&unspecified)), 16); errno != 0 {
		return fmt.Errorf("disconnect: %w", errno)
	}
	timeout := syscall.Timeval{Usec: 700_000}
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &timeout); err != nil {
		return err
	}
	if err := syscall.SetNonblock(fd, false); err != nil {
		return err
	}
	err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(target.Port()), Addr: target.Addr().As4()})
	if err == nil {
		fmt.Println("reconnected to " + target.String())
		return nil
	}
	fmt.Println("reconnect refused")
	return nil
}

func TestRestartAdoptsEverything(t *testing.T) {
	r := newRig(t)
	out := driver.Outbound{CIDR: "198.18.0.0/15", Protocol: "any"}
	r.space("one", 3, out)
	web, worker, db := r.attach("one", "web"), r.attach("one", "worker"), r.attach("one", "db")
	echo(t, db.NetNS, "0.0.0.0:5000")
	r.policy("one", Private{Address: db.Address, From: []netip.Addr{web.Address}})
	before := r.state("one")
	conn, err := dialFrom(web.NetNS, "tcp4", "", at(db.Address, 5000))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	if _, err := Open(r.cfg, r.log); fault.Of(err) != fault.Conflict {
		t.Fatalf("a second process on the same directory: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	works(t, web.NetNS, "tcp4", at(db.Address, 5000)) // nobody is needed for that
	r.open()
	after := r.state("one")
	if diff := cmp.Diff(before, after, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("after a restart (-before +after):\n%s", diff)
	}
	if !after.InForce {
		t.Error("rules are not in force after a restart")
	}
	if again := r.attach("one", "web"); again != web {
		t.Errorf("attached again as %v, was %v", again, web)
	}
	r.space("one", 3, out)
	if err := ping(conn); err != nil {
		t.Errorf("an established connection was lost: %v", err)
	}
	fails(t, worker.NetNS, "tcp4", at(db.Address, 5000))
	works(t, web.NetNS, "tcp4", at(db.Address, 5000))
}

// TestTampering changes things behind the package's back.
func TestTampering(t *testing.T) {
	r := newRig(t)
	s := r.space("one", 0)
	a, b := r.attach("one", "a"), r.attach("one", "b")
	echo(t, b.NetNS, "0.0.0.0:5000")
	tamper := func(script string) {
		t.Helper()
		if err := inside(s.NetNS, func() error { return load(t.Context(), script) }); err != nil {
			t.Fatal(err)
		}
		if r.state("one").InForce {
			t.Errorf("not noticed: %s", script)
		}
		r.space("one", 0)
		if !r.state("one").InForce {
			t.Errorf("not repaired: %s", script)
		}
	}
	tamper("insert rule inet strongroom forward accept\n")
	tamper("flush chain inet strongroom forward\n")
	tamper("add element inet strongroom private { " + b.Address.String() + " }\n")
	tamper("delete table inet strongroom\n")
	works(t, a.NetNS, "tcp4", at(b.Address, 5000))

	// A lost link is reported and comes back with the same address.
	inNS(t, s.NetNS, func(h *netlink.Handle) error { return removeLink(h, linkName(2)) })
	if r.state("one").Endpoints[0].Up {
		t.Error("an endpoint without a link is reported up")
	}
	if again := r.attach("one", "a"); again != a {
		t.Errorf("attached again as %v, was %v", again, a)
	}
	works(t, a.NetNS, "tcp4", at(b.Address, 5000))
}

func TestDetach(t *testing.T) {
	r := newRig(t)
	r.space("one", 0)
	db, web := r.attach("one", "db"), r.attach("one", "web")
	echo(t, db.NetNS, "0.0.0.0:5000")
	r.policy("one", Private{Address: db.Address, From: []netip.Addr{web.Address}})
	works(t, web.NetNS, "tcp4", at(db.Address, 5000))
	if err := r.Detach(t.Context(), "one", "web"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(web.NetNS); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the namespace is still there: %v", err)
	}
	if err := r.Detach(t.Context(), "one", "web"); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := r.Detach(t.Context(), "none", "web"); err != nil {
		t.Errorf("unknown space: %v", err)
	}
	// Whoever gets the address next has none of its rights, also if the policy
	// was computed before the endpoint went.
	r.policy("one", Private{Address: db.Address, From: []netip.Addr{web.Address}})
	for i := range lastEndpoint {
		id := "e" + strconv.Itoa(i)
		r.spaces["one"].last = r.spaces["one"].endpoints["db"] // make reuse happen at once
		if e := r.attach("one", id); e.Address == web.Address {
			fails(t, e.NetNS, "tcp4", at(db.Address, 5000))
			return
		}
	}
	t.Error("the address was never given out again")
}

func TestRemovedSpaceCutsWhatStillRuns(t *testing.T) {
	r := newRig(t)
	r.space("one", 0)
	a, b := r.attach("one", "a"), r.attach("one", "b")
	echo(t, b.NetNS, "0.0.0.0:5000")
	conn, err := dialFrom(a.NetNS, "tcp4", "", at(b.Address, 5000)) // keeps the namespace alive
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := ping(conn); err != nil {
		t.Fatal(err)
	}
	if err := r.RemoveSpace(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	if err := ping(conn); err == nil {
		t.Error("a connection outlived its space")
	}
	if err := r.RemoveSpace(t.Context(), "one"); err != nil {
		t.Errorf("again: %v", err)
	}
	if _, err := r.Attach(t.Context(), "one", "c"); fault.Of(err) != fault.NotFound {
		t.Errorf("attach to a removed space: %v", err)
	}
	r.space("one", 0)
}

func TestManyEndpoints(t *testing.T) {
	const many = 200
	r := newRig(t)
	r.space("one", 0)
	start := time.Now()
	var last Endpoint
	for i := range many {
		last = r.attach("one", "e"+strconv.Itoa(i))
	}
	attached := time.Now()
	first := r.attach("one", "e0")
	echo(t, last.NetNS, "0.0.0.0:5000")
	works(t, first.NetNS, "tcp4", at(last.Address, 5000))
	detaching := time.Now()
	for i := range many {
		if err := r.Detach(t.Context(), "one", "e"+strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d endpoints: attached in %v, detached in %v", many,
		attached.Sub(start).Round(time.Millisecond), time.Since(detaching).Round(time.Millisecond))
	if left := r.state("one").Endpoints; len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// TestGoldenRulesLoad shows that the golden files are what nft understands.
func TestGoldenRulesLoad(t *testing.T) {
	files, err := filepath.Glob("testdata/*.nft")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	netns := filepath.Join(t.TempDir(), "net")
	if err := makeNS(netns, setupSpace); err != nil {
		t.Fatal(err)
	}
	defer removeNS(netns)
	for _, file := range files {
		script := string(read(t, file))
		// Twice: the second time there is something to be replaced.
		for range 2 {
			if err := inside(netns, func() error { return load(t.Context(), script) }); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

func TestNoIPv6(t *testing.T) {
	r := newRig(t)
	s := r.space("one", 0, driver.Outbound{CIDR: "198.18.0.0/15", Protocol: "any"})
	a := r.attach("one", "a")
	for _, netns := range []string{s.NetNS, a.NetNS} {
		inNS(t, netns, func(h *netlink.Handle) error {
			all, err := h.AddrList(nil, netlink.FAMILY_V6)
			for _, address := range all {
				if !address.IP.IsLoopback() {
					t.Errorf("%s has %s", netns, address)
				}
			}
			return err
		})
	}
	err := inside(a.NetNS, func() error {
		l, err := net.Listen("tcp6", "[::1]:5000")
		if err != nil {
			return err
		}
		return l.Close()
	})
	if err != nil {
		t.Errorf("an instance's localhost: %v", err)
	}
	link, err := net.InterfaceByName(uplinkName(r.cfg.Name, 0))
	if err != nil {
		t.Fatal(err)
	}
	addresses, err := link.Addrs()
	if err != nil || len(addresses) != 1 {
		t.Errorf("the host's end of the uplink has %v, %v", addresses, err)
	}
}

// TestLeftovers makes what a crash in the middle of things leaves.
func TestLeftovers(t *testing.T) {
	r := newRig(t)
	s := r.space("one", 0, driver.Outbound{CIDR: "198.18.0.0/15", Protocol: "any"})
	r.space("two", 1)
	a := r.attach("one", "a")
	// An Attach that ended before its link had an alias, a Detach that ended
	// before the namespace was removed.
	inNS(t, s.NetNS, func(h *netlink.Handle) error {
		ns, err := os.Open(a.NetNS)
		if err != nil {
			return err
		}
		defer ns.Close()
		return pair(h, linkName(9), "eth9", int(ns.Fd()), 1400)
	})
	half := r.attach("one", "half")
	inNS(t, s.NetNS, func(h *netlink.Handle) error { return removeLink(h, linkName(3)) })
	// A space that lost its namespace, as all do when the host restarts.
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	moved := r.cfg
	moved.Pool = netip.MustParsePrefix("10.64.0.0/10")
	if _, err := Open(moved, r.log); fault.Of(err) != fault.Conflict {
		t.Errorf("another pool: %v", err)
	}
	if err := removeNS(r.spaces["two"].netns()); err != nil {
		t.Fatal(err)
	}
	// A space whose files are gone and whose uplink is not.
	ghost := uplinkName(r.cfg.Name, 5)
	ns, err := os.Open(s.NetNS)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if err := withHandle(func(h *netlink.Handle) error { return pair(h, ghost, "ghost", int(ns.Fd()), 1400) }); err != nil {
		t.Fatal(err)
	}

	r.open()
	if _, err := net.InterfaceByName(ghost); err == nil {
		t.Error("an uplink of no space was kept")
	}
	o, err := r.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Spaces) != 1 || len(o.Spaces[0].Endpoints) != 2 {
		t.Fatalf("adopted %+v", o.Spaces)
	}
	for _, e := range o.Spaces[0].Endpoints {
		if want := e.ID == "a"; e.Up != want {
			t.Errorf("endpoint %s: up %v", e.ID, e.Up)
		}
	}
	inNS(t, s.NetNS, func(h *netlink.Handle) error {
		byName, err := links(h)
		if byName[linkName(9)] != nil {
			t.Error("a link of no endpoint was kept")
		}
		return err
	})
	if again := r.attach("one", "half"); again.NetNS != half.NetNS {
		t.Errorf("attached again in %s, was %s", again.NetNS, half.NetNS)
	}
	echo(t, half.NetNS, "0.0.0.0:5000")
	works(t, a.NetNS, "tcp4", at(r.attach("one", "half").Address, 5000))
	r.space("two", 1)
}

func TestRefusals(t *testing.T) {
	r := newRig(t)
	r.space("one", 0)
	for name, s := range map[string]Space{
		"index of another": {ID: "two", Index: 0},
		"index changed":    {ID: "one", Index: 1},
	} {
		if _, err := r.EnsureSpace(t.Context(), s); fault.Of(err) != fault.Conflict {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.Attach(t.Context(), "one", "../../etc"); fault.Of(err) != fault.Invalid {
		t.Errorf("endpoint with a path: %v", err)
	}
	stranger := []Private{{Address: netip.MustParseAddr("100.64.16.2")}}
	if err := r.ApplyPolicy(t.Context(), "one", stranger); fault.Of(err) != fault.Invalid {
		t.Errorf("policy for another space's address: %v", err)
	}
	if err := r.ApplyPolicy(t.Context(), "none", nil); fault.Of(err) != fault.NotFound {
		t.Errorf("policy of no space: %v", err)
	}
	if _, err := r.Listen(t.Context(), "one", "tcp4", "localhost:53"); fault.Of(err) != fault.Invalid {
		t.Errorf("listen on a name: %v", err)
	}
}

// TestManyAtOnce does everything at the same time and looks at the result.
func TestManyAtOnce(t *testing.T) {
	r := newRig(t)
	var wg sync.WaitGroup
	for index := range 3 {
		id := "s" + strconv.Itoa(index)
		for worker := range 4 {
			wg.Go(func() {
				for i := range 6 {
					if _, err := r.EnsureSpace(t.Context(), Space{ID: id, Index: index}); err != nil {
						t.Error(err)
						return
					}
					endpoint := fmt.Sprintf("e%d-%d", worker, i)
					e, err := r.Attach(t.Context(), id, endpoint)
					if err != nil {
						t.Error(err)
						return
					}
					if worker == 0 {
						if err := r.ApplyPolicy(t.Context(), id, []Private{{Address: e.Address}}); err != nil {
							t.Error(err)
						}
					}
					if _, err := r.Observe(t.Context()); err != nil {
						t.Error(err)
					}
					if i%2 == 0 {
						if err := r.Detach(t.Context(), id, endpoint); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
	}
	wg.Wait()
	for index := range 3 {
		s := r.state("s" + strconv.Itoa(index))
		seen := map[netip.Addr]bool{}
		for _, e := range s.Endpoints {
			if seen[e.Address] || !e.Up {
				t.Errorf("%+v", e)
			}
			seen[e.Address] = true
		}
		if len(seen) != 12 || !s.InForce {
			t.Errorf("%d endpoints, in force %v", len(seen), s.InForce)
		}
	}
}
