package network

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestPlanDoesNotOverlap looks at the first, a middle and the last of
// everything that gets addresses of the pool.
func TestPlanDoesNotOverlap(t *testing.T) {
	var all []netip.Prefix
	for _, n := range []int{0, 1, maxSpaces / 2, maxSpaces - 1} {
		all = append(all, subnet(defaultPool, n))
	}
	for _, n := range []int{0, 1, blocks / 2, blocks - 1} {
		all = append(all, block(defaultPool, n))
	}
	for i, a := range all {
		if a.Masked() != a || !defaultPool.Contains(a.Addr()) {
			t.Errorf("%s is crooked or outside the pool", a)
		}
		for _, b := range all[i+1:] {
			if a.Overlaps(b) {
				t.Errorf("%s overlaps %s", a, b)
			}
		}
	}
	last := block(defaultPool, 0)
	for _, index := range []int{0, maxSpaces - 1} {
		host, space := uplinkAddrs(last, index)
		if !last.Contains(host) || !last.Contains(space) || host == space {
			t.Errorf("uplink of %d: %s and %s in %s", index, host, space, last)
		}
	}
	if s := subnet(defaultPool, 0); !s.Contains(plus(s.Addr(), lastEndpoint)) {
		t.Errorf("the last endpoint is outside %s", s)
	}
}

func TestLinkNames(t *testing.T) {
	for _, n := range []int{firstEndpoint, 77, lastEndpoint} {
		if got, ok := linkOrdinal(linkName(n)); !ok || got != n {
			t.Errorf("%d becomes %d, %v", n, got, ok)
		}
	}
	for _, name := range []string{"", "i", "i0", "i1", "i-2", "i+2", "i02", "i4095", "i99999999999999999999", "lo", "up0", "x2"} {
		if n, ok := linkOrdinal(name); ok {
			t.Errorf("%q is taken for endpoint %d", name, n)
		}
	}
	if got := uplinkName("abcdefgh", maxSpaces-1); len(got) > 15 {
		t.Errorf("%s is too long for an interface", got)
	}
}

func TestFreeGoesRound(t *testing.T) {
	s := &space{pool: defaultPool, endpoints: map[string]int{}}
	take := func(want int) {
		t.Helper()
		if got, err := s.free(); err != nil || got != want {
			t.Errorf("got %d, %v; want %d", got, err, want)
		}
	}
	take(firstEndpoint)
	take(firstEndpoint + 1) // although the first is free again
	s.endpoints["a"] = firstEndpoint + 2
	take(firstEndpoint + 3)
	s.last = lastEndpoint
	take(firstEndpoint)
	for n := firstEndpoint; n <= lastEndpoint; n++ {
		s.endpoints[linkName(n)] = n
	}
	if n, err := s.free(); err == nil {
		t.Errorf("got %d of none", n)
	}
}

func TestPolicyForgetsAddresses(t *testing.T) {
	a := addrs("100.64.0.2", "100.64.0.3", "100.64.0.4")
	policy := []Private{{a[0], a[1:]}, {a[1], a[2:]}}
	got, changed := without(policy, a[1])
	want := []Private{{a[0], a[2:]}}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" || !changed {
		t.Errorf("changed %v\n%s", changed, diff)
	}
	if _, changed := without(policy, addrs("100.64.0.9")[0]); changed {
		t.Error("changed by a stranger")
	}
	if len(policy[0].From) != 2 || policy[0].From[0] != a[1] {
		t.Error("the old policy was written to")
	}

	s := &space{pool: defaultPool, endpoints: map[string]int{"x": 2, "y": 3}}
	got = s.present(policy)
	want = []Private{{a[0], a[1:2]}, {a[1], nil}}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}
