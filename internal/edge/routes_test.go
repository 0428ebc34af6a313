package edge

import (
	"net/netip"
	"testing"
)

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
