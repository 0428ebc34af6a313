//go:build integration

package network

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
)

// TestManyRules has ten thousand of them in force within two seconds, the worst
// case for merging: no two networks are neighbours.
func TestManyRules(t *testing.T) {
	r := newRig(t)
	base := fmt.Sprintf("198.51.%d", 100+r.host.state.Block%100)
	open, closed := base+".37", base+".38"
	world := internet(t, r.cfg.Name, open, closed)
	echo(t, world, "0.0.0.0:443")
	r.space("one", 0)
	a := r.attach("one", "a")
	rules := []driver.Outbound{{CIDR: open + "/32", Protocol: "tcp", FromPort: 443, ToPort: 443}}
	for i := range 10_000 - len(rules) {
		rules = append(rules, driver.Outbound{CIDR: fmt.Sprintf("198.%d.%d.%d/32", 18+i/8192, i/64%128, 2*(i%64)), Protocol: "tcp", FromPort: 443, ToPort: 443})
	}
	begun := time.Now()
	r.space("one", 0, rules...)
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("%d rules took %v", len(rules), took)
	}
	works(t, a.NetNS, "tcp4", open+":443")
	fails(t, a.NetNS, "tcp4", closed+":443")
	if !r.state("one").InForce {
		t.Error("the rules are not in force as they were loaded")
	}
	r.space("one", 0, rules[1:]...)
	fails(t, a.NetNS, "tcp4", open+":443")
}

// TestRefusedAttempts: what was refused is told apart by who tried and where,
// outlives a change of the rules, and is bounded.
func TestRefusedAttempts(t *testing.T) {
	r := newRig(t)
	r.space("one", 0)
	a, b := r.attach("one", "a"), r.attach("one", "b")
	refused := func() map[string]uint64 {
		out := map[string]uint64{}
		for _, x := range r.state("one").Refused {
			out[fmt.Sprintf("%s %s %s %d", x.From, x.To, x.Protocol, x.Port)] = x.Packets
		}
		return out
	}
	want := func(from Endpoint, to string, least uint64) {
		t.Helper()
		if got := refused(); got[from.Address.String()+" "+to] < least {
			t.Errorf("%s: %d, want %d or more, of %v", to, got[from.Address.String()+" "+to], least, got)
		}
	}
	// What is said to the space's own resolver and router is no attempt to leave.
	echo(t, a.NetNS, "0.0.0.0:5000")
	works(t, r.space("one", 0).NetNS, "tcp4", at(a.Address, 5000))
	fails(t, a.NetNS, "udp4", "169.254.1.1:53") // nobody is there in this test
	if s := r.state("one"); len(s.Refused) > 0 || s.Denied > 0 {
		t.Errorf("an endpoint that did not try to leave is counted: %d, %v", s.Denied, s.Refused)
	}
	fails(t, a.NetNS, "tcp4", "198.51.100.66:443") // no link leads out
	want(a, "198.51.100.66 tcp 443", 1)

	r.space("one", 0, driver.Outbound{CIDR: "198.51.100.65/32", Protocol: "tcp", FromPort: 443, ToPort: 443})
	want(a, "198.51.100.66 tcp 443", 1)
	fails(t, a.NetNS, "tcp4", "198.51.100.66:443")
	fails(t, b.NetNS, "udp4", "169.254.169.254:80")
	want(a, "198.51.100.66 tcp 443", 2)
	want(b, "169.254.169.254 udp 80", 1)
	if !r.state("one").InForce {
		t.Error("attempts are taken for a change of the rules")
	}
	// A swarm of ports does not grow the kernel's memory, and is counted.
	before := r.state("one").Denied
	err := inside(a.NetNS, func() error {
		c, err := net.ListenPacket("udp4", "0.0.0.0:0")
		if err != nil {
			return err
		}
		defer c.Close()
		for port := range 2 * maxRefused {
			c.WriteTo([]byte("x"), &net.UDPAddr{IP: net.ParseIP("198.51.100.67"), Port: 10_000 + port}) // errors are earlier refusals
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	after := r.state("one")
	if len(after.Refused) > maxRefused || len(after.Refused) < maxRefused/2 || after.Denied-before < maxRefused {
		t.Errorf("%d attempts are kept, %d were counted", len(after.Refused), after.Denied-before)
	}
	r.space("one", 0) // with all of them
	if n := len(r.state("one").Refused); n < maxRefused/2 {
		t.Errorf("%d attempts are left after a change of the rules", n)
	}
}
