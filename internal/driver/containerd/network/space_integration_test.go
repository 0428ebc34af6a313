//go:build integration

package network

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

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
