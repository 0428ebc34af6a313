package edge

import (
	"net/netip"
	"sync"
)

// Source networks by which unfinished connections are counted: what one client
// can usually take addresses from.
const (
	sourceBits4 = 24
	sourceBits6 = 48
)

// admission bounds the connections whose hello is not complete yet.
type admission struct {
	max, maxPerSource int

	mu      sync.Mutex
	total   int
	sources map[netip.Prefix]int // only those with one or more
}

func newAdmission(limit, perSource int) *admission {
	return &admission{max: limit, maxPerSource: perSource, sources: make(map[netip.Prefix]int)}
}

// enter admits a connection, which must leave later, or returns the reason why
// not.
func (a *admission) enter(address netip.Addr) (reason string) {
	source := sourceOf(address)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.sources[source] >= a.maxPerSource:
		return ReasonSourceBusy
	case a.total >= a.max:
		return ReasonTooMany
	}
	a.total++
	a.sources[source]++
	return ""
}

func (a *admission) leave(address netip.Addr) {
	source := sourceOf(address)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.total--
	if a.sources[source]--; a.sources[source] == 0 {
		delete(a.sources, source)
	}
}

func (a *admission) unfinished() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.total
}

func sourceOf(address netip.Addr) netip.Prefix {
	bits := sourceBits4
	if address.Is6() {
		bits = sourceBits6
	}
	prefix, err := address.Prefix(bits)
	if err != nil { // both lengths fit their kind of address
		panic(err)
	}
	return prefix
}
