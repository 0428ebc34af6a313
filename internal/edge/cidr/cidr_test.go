package cidr

import (
	"net/netip"
	"testing"
)

func TestContains(t *testing.T) {
	set, err := Parse([]string{"10.0.0.0/8", "192.0.2.7/32", "198.51.100.9/24", "2001:db8::/32", "fd00::1/128"})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{
		"10.255.0.1": true, "11.0.0.1": false, "192.0.2.7": true, "192.0.2.8": false, "198.51.100.255": true,
		"2001:db8:1::1": true, "2001:db9::1": false, "fd00::1": true, "fd00::2": false, "a00::": false,
		"::ffff:10.0.0.1": true, "::ffff:11.0.0.1": false,
	} {
		if got := set.Contains(netip.MustParseAddr(address)); got != want {
			t.Errorf("contains(%s) = %v, want %v", address, got, want)
		}
	}
	everyone, err := Parse([]string{"0.0.0.0/0"})
	if err != nil {
		t.Fatal(err)
	}
	if !everyone.Contains(netip.MustParseAddr("203.0.113.1")) || everyone.Contains(netip.MustParseAddr("2001:db8::1")) {
		t.Error("0.0.0.0/0 is all of IPv4 and nothing of IPv6")
	}
	var nobody Set
	if nobody.Contains(netip.MustParseAddr("127.0.0.1")) {
		t.Error("the empty set contains an address")
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"", "10.0.0.0", "10.0.0.0/33", "::ffff:10.0.0.0/104", "fe80::1%eth0/64", "example.org/8"} {
		if _, err := Parse([]string{"10.0.0.0/8", text}); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}
