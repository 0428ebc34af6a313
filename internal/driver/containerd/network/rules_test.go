package network

import (
	"flag"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/driver"
)

var update = flag.Bool("update", false, "write testdata/*.nft anew")

func addrs(in ...string) (out []netip.Addr) {
	for _, s := range in {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// spaceOf makes the rules of a space of index 0 with three endpoints.
func spaceOf(t *testing.T, out []driver.Outbound, private ...Private) spaceRules {
	t.Helper()
	rules, err := Space{ID: "one", Outbound: out}.check(defaultPool)
	if err != nil {
		t.Fatal(err)
	}
	r := spaceRules{pool: defaultPool, subnet: subnet(defaultPool, 0), outbound: rules, private: private}
	if len(rules) > 0 {
		_, r.uplink = uplinkAddrs(block(defaultPool, 0), 0)
	}
	for _, n := range []int{4, 2, 3} {
		r.sources = append(r.sources, source{linkName(n), plus(r.subnet.Addr(), n)})
	}
	return r
}

func TestGoldenRules(t *testing.T) {
	counters := map[string]counter{"denied": {Packets: 3, Bytes: 180}, "edge_denied": {Packets: 1, Bytes: 60}}
	closed := spaceOf(t, nil)
	closed.counters = counters
	host := hostRules{
		name: "sr", pool: defaultPool, block: block(defaultPool, 7), edgeUID: 64002, counters: counters,
		uplinks: []source{{"sr-1", addrs("100.96.28.3")[0]}, {"sr-0", addrs("100.96.28.1")[0]}},
		guarded: []string{"eth1", "eth0"},
	}
	cases := map[string]string{
		"space-closed": closed.text(),
		"space-empty":  spaceRules{pool: defaultPool, subnet: subnet(defaultPool, 5)}.text(),
		"space-private": spaceOf(t, nil,
			Private{Address: addrs("100.64.0.4")[0], From: addrs("100.64.0.3", "100.64.0.2", "100.64.0.3")},
			Private{Address: addrs("100.64.0.3")[0]}).text(),
		"space-outbound": spaceOf(t, []driver.Outbound{
			{CIDR: "0.0.0.0/0", Protocol: "tcp", FromPort: 443, ToPort: 443},
			{CIDR: "10.0.0.0/8", Protocol: "any", FromPort: 0, ToPort: 65535},
			{CIDR: "192.0.2.0/24", Protocol: "any", FromPort: 8000, ToPort: 8080},
			{CIDR: "192.0.2.53/32", Protocol: "udp", FromPort: 53, ToPort: 53},
		}).text(),
		"space-named": spaceOf(t, []driver.Outbound{
			{Name: "api.example.org", Protocol: "tcp", FromPort: 443, ToPort: 443},
			{CIDR: "192.0.2.0/24", Protocol: "tcp", FromPort: 443, ToPort: 443},
			{Name: "*.example.net", Protocol: "any", FromPort: 0, ToPort: 65535},
			{Name: "*.example.org", Protocol: "tcp", FromPort: 443, ToPort: 443},
		}).text(),
		"host": host.text(),
		"host-other-pool": hostRules{
			name: "b2", pool: netip.MustParsePrefix("10.64.0.0/10"),
			block: block(netip.MustParsePrefix("10.64.0.0/10"), 0), edgeUID: 7,
		}.text(),
	}
	for name, got := range cases {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", name+".nft")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestRulesDoNotDependOnOrder(t *testing.T) {
	a := spaceOf(t, nil,
		Private{Address: addrs("100.64.0.4")[0], From: addrs("100.64.0.3", "100.64.0.2")},
		Private{Address: addrs("100.64.0.3")[0]})
	b := spaceOf(t, nil,
		Private{Address: addrs("100.64.0.3")[0]},
		Private{Address: addrs("100.64.0.4")[0], From: addrs("100.64.0.2", "100.64.0.3", "100.64.0.2")})
	b.sources = append(b.sources[1:], b.sources[0])
	if diff := cmp.Diff(a.text(), b.text()); diff != "" {
		t.Error(diff)
	}
}

// TestAdmits is about connections that exist when the rules change. That the
// chains say the same is shown by the integration tests.
func TestAdmits(t *testing.T) {
	r := spaceOf(t, []driver.Outbound{
		{CIDR: "0.0.0.0/0", Protocol: "tcp", FromPort: 443, ToPort: 443},
		{CIDR: "192.0.2.0/24", Protocol: "any"},
	}, Private{Address: addrs("100.64.0.4")[0], From: addrs("100.64.0.2")})
	closed := spaceOf(t, nil)
	cases := []struct {
		src, dst string
		protocol uint8
		port     uint16
		want     bool
		closed   bool // without outbound rules and privacy
	}{
		{"100.64.0.2", "100.64.0.3", protoTCP, 5000, true, true},
		{"100.64.0.2", "100.64.0.4", protoTCP, 5432, true, true},
		{"100.64.0.3", "100.64.0.4", protoTCP, 5432, false, true},
		{"100.64.0.4", "100.64.0.3", protoTCP, 5432, true, true},
		{"169.254.1.1", "100.64.0.4", protoTCP, 5432, true, true},
		{"100.64.0.2", "169.254.1.1", protoUDP, 53, true, true},
		{"100.64.0.2", "100.64.16.2", protoTCP, 443, false, false},
		{"100.64.16.2", "100.64.0.2", protoTCP, 443, false, false},
		{"100.64.0.2", "169.254.169.254", protoTCP, 443, false, false},
		{"100.64.0.2", "198.51.100.1", protoTCP, 443, true, false},
		{"100.64.0.2", "198.51.100.1", protoTCP, 80, false, false},
		{"100.64.0.2", "198.51.100.1", protoUDP, 443, false, false},
		{"100.64.0.2", "192.0.2.1", protoUDP, 1, true, false},
		{"100.64.0.2", "192.0.2.1", protoICMP, 0, true, false},
		{"100.64.0.2", "192.0.2.1", 47, 0, false, false},
	}
	for _, c := range cases {
		f := flow{netip.MustParseAddr(c.src), netip.MustParseAddr(c.dst), c.protocol, c.port, 0}
		if got := r.admits(f); got != c.want {
			t.Errorf("%+v: %v", f, got)
		}
		if got := closed.admits(f); got != c.closed {
			t.Errorf("closed: %+v: %v", f, got)
		}
	}
}

// TestNamedFlows: a connection that a name led to lives as long as a rule for
// that name and service does.
func TestNamedFlows(t *testing.T) {
	r := spaceOf(t, []driver.Outbound{
		{Name: "api.example.org", Protocol: "tcp", FromPort: 443, ToPort: 443},
		{Name: "*.example.net", Protocol: "any"},
	})
	api, below := r.outbound[0].mark(), r.outbound[1].mark()
	gone := outbound{name: "old.example.org"}.mark()
	for _, c := range []struct {
		mark     uint32
		protocol uint8
		port     uint16
		to       string
		want     bool
	}{
		{api, protoTCP, 443, "198.51.100.1", true},
		{api, protoTCP, 80, "198.51.100.1", false},
		{api, protoUDP, 443, "198.51.100.1", false},
		{below, protoUDP, 9, "198.51.100.1", true},
		{below, protoICMP, 0, "198.51.100.1", true},
		{gone, protoTCP, 443, "198.51.100.1", false},
		{0, protoTCP, 443, "198.51.100.1", false},
		{api, protoTCP, 443, "169.254.169.254", false},
		{api, protoTCP, 443, "100.64.16.2", false},
	} {
		f := flow{netip.MustParseAddr("100.64.0.2"), netip.MustParseAddr(c.to), c.protocol, c.port, c.mark}
		if got := r.admits(f); got != c.want {
			t.Errorf("%+v: %v", f, got)
		}
	}
}

// TestNamesAreOfTheRules: names are not in the script, since what they lead to
// comes later, and another name is another set of rules nevertheless.
func TestNamesAreOfTheRules(t *testing.T) {
	of := func(name string) spaceRules {
		return spaceOf(t, []driver.Outbound{{Name: name, Protocol: "tcp", FromPort: 443, ToPort: 443}})
	}
	if of("a.example.org").text() != of("b.example.org").text() {
		t.Error("a name is in the script")
	}
	if of("a.example.org").digest() == of("b.example.org").digest() {
		t.Error("two names have the same digest")
	}
}

// TestLeads is about where a name may lead.
func TestLeads(t *testing.T) {
	s := &space{pool: defaultPool, outbound: spaceOf(t, []driver.Outbound{
		{CIDR: "0.0.0.0/0", Protocol: "tcp", FromPort: 80, ToPort: 80},
		{CIDR: "10.1.0.0/16", Protocol: "tcp", FromPort: 5432, ToPort: 5432},
		{Name: "*", Protocol: "tcp", FromPort: 443, ToPort: 443},
	}).outbound}
	host := []net.Addr{&net.IPNet{IP: net.IPv4(198, 51, 100, 9), Mask: net.CIDRMask(24, 32)}}
	for a, want := range map[string]bool{
		"203.0.113.7": true, "198.51.100.8": true, "198.51.100.9": false, "127.0.0.1": false, "0.0.0.0": false, "169.254.169.254": false,
		"100.64.0.2": false, "100.127.0.1": false, "10.1.2.3": true, "10.2.0.1": false, "192.168.0.1": false, "172.16.0.1": false,
		"224.0.0.1": false, "255.255.255.255": false, "168.63.129.16": false, "2001:db8::1": false, "::1": false, "198.18.0.1": false,
	} {
		if got := s.leads(netip.MustParseAddr(a), host); got != want {
			t.Errorf("%s: %v, want %v", a, got, want)
		}
	}
}

// TestOverlappingRules: nft refuses sets whose elements overlap.
func TestOverlappingRules(t *testing.T) {
	tcp := func(cidr string) driver.Outbound {
		return driver.Outbound{CIDR: cidr, Protocol: "tcp", FromPort: 443, ToPort: 443}
	}
	r := spaceOf(t, []driver.Outbound{
		tcp("192.0.2.7/32"), tcp("198.51.100.0/24"), tcp("192.0.2.0/24"), tcp("192.0.2.0/25"), tcp("192.0.2.7/32"), tcp("10.0.0.0/8"),
	})
	got := groups(r.outbound)
	want := []string{"10.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24"}
	if len(got) != 1 || !cmp.Equal(stringsOf(got[0].to), want) {
		t.Errorf("grouped as %v, want one group of %v", got, want)
	}
}

// FuzzOutbound: whatever is accepted becomes rules of known words only.
func FuzzOutbound(f *testing.F) {
	f.Add("0.0.0.0/0", "", "tcp", 1, 65535)
	f.Add("192.0.2.0/24", "", "any", 0, 0)
	f.Add("10.0.0.1/8", "", "udp", -1, 70000)
	f.Add("::/0", "", "icmp", 5, 1)
	f.Add("1.2.3.4/32 accept\n", "", "tcp; drop", 1, 2)
	f.Add("", "*.example.org", "tcp", 1, 2)
	f.Add("10.0.0.0/8", "x\"; accept", "tcp", 1, 2)
	f.Fuzz(func(t *testing.T, cidr, name, protocol string, from, to int) {
		rule, err := checkOutbound(defaultPool, driver.Outbound{CIDR: cidr, Name: name, Protocol: protocol, FromPort: from, ToPort: to})
		if err != nil {
			return
		}
		_, up := uplinkAddrs(block(defaultPool, 0), 0)
		r := spaceRules{pool: defaultPool, subnet: subnet(defaultPool, 0), uplink: up, outbound: []outbound{rule}}
		for _, line := range r.outgoing() {
			if strings.ContainsAny(line, "\n;\"'`$") && !strings.Contains(line, uplink) {
				t.Errorf("%q", line)
			}
		}
		if rule.name != "" {
			if rule.to.IsValid() || strings.ContainsAny(rule.name, "\n;\"'` ") {
				t.Errorf("%+v", rule)
			}
			return
		}
		if rule.admits(netip.MustParseAddr("::1"), protoTCP, rule.from) || !rule.to.Addr().Is4() {
			t.Errorf("%+v is not about IPv4", rule)
		}
		if rule.to.Addr().Is4() && rule.protocol != "udp" && !rule.admits(rule.to.Addr(), protoTCP, rule.from) {
			t.Errorf("%+v does not admit what it says", rule)
		}
	})
}
