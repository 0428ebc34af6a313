package edge

import (
	"net/netip"
	"testing"
)

func TestNetworks(t *testing.T) {
	set, err := parseNetworks([]string{"10.0.0.0/8", "192.0.2.7/32", "198.51.100.9/24", "2001:db8::/32", "fd00::1/128"})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{
		"10.255.0.1": true, "11.0.0.1": false, "192.0.2.7": true, "192.0.2.8": false, "198.51.100.255": true,
		"2001:db8:1::1": true, "2001:db9::1": false, "fd00::1": true, "fd00::2": false, "a00::": false,
	} {
		if got := set.contains(netip.MustParseAddr(address)); got != want {
			t.Errorf("contains(%s) = %v, want %v", address, got, want)
		}
	}
	everyone, err := parseNetworks([]string{"0.0.0.0/0"})
	if err != nil {
		t.Fatal(err)
	}
	if !everyone.contains(netip.MustParseAddr("203.0.113.1")) || everyone.contains(netip.MustParseAddr("2001:db8::1")) {
		t.Error("0.0.0.0/0 is all of IPv4 and nothing of IPv6")
	}
	var nobody networks
	if nobody.contains(netip.MustParseAddr("127.0.0.1")) {
		t.Error("the empty set contains an address")
	}
}

func TestAdmissionForgetsSources(t *testing.T) {
	a := newAdmission(10, 10)
	for _, source := range []string{"192.0.2.1", "192.0.2.200", "2001:db8:1:2::1", "2001:db8:1:3::1"} {
		if reason := a.enter(netip.MustParseAddr(source)); reason != "" {
			t.Fatal(reason)
		}
	}
	if len(a.sources) != 2 {
		t.Errorf("counted as %d networks, want 2", len(a.sources))
	}
	for _, source := range []string{"192.0.2.1", "192.0.2.200", "2001:db8:1:2::1", "2001:db8:1:3::1"} {
		a.leave(netip.MustParseAddr(source))
	}
	if len(a.sources) != 0 || a.unfinished() != 0 {
		t.Errorf("after all left: %v, %d", a.sources, a.unfinished())
	}
}
