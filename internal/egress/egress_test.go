package egress

import (
	"net/netip"
	"testing"
)

// TestNeverDoesNotOverlap: nft refuses sets whose elements overlap.
func TestNeverDoesNotOverlap(t *testing.T) {
	for _, pool := range []string{"100.64.0.0/10", "10.0.0.0/10", "192.0.0.0/10", "168.0.0.0/10", "169.192.0.0/10"} {
		all := Never(netip.MustParsePrefix(pool))
		for i, a := range all {
			for _, b := range all[i+1:] {
				if a.Overlaps(b.Prefix) {
					t.Errorf("pool %s: %s and %s", pool, a, b)
				}
			}
		}
		for _, text := range []string{"169.254.169.254", "127.0.0.1", "100.100.100.200", netip.MustParsePrefix(pool).Addr().String()} {
			must := netip.MustParseAddr(text)
			covered := false
			for _, p := range all {
				covered = covered || p.Contains(must)
			}
			if !covered {
				t.Errorf("pool %s: %s is not covered", pool, must)
			}
		}
	}
}
