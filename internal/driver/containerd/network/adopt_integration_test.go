//go:build integration

package network

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

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
