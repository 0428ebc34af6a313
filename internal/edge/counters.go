package edge

import "sync/atomic"

// reasons are all the keys of Status.Refused.
var reasons = []string{
	ReasonUntrusted, ReasonUnknownName, ReasonNoName, ReasonMalformed, ReasonTooLarge, ReasonTimeout,
	ReasonClosed, ReasonTooMany, ReasonSourceBusy, ReasonQueueFull, ReasonRouterDown,
}

// counters of the process or of one space.
type counters struct {
	accepted, handed, redirected atomic.Uint64
	refused                      map[string]*atomic.Uint64 // the map never changes
}

func newCounters() *counters {
	c := &counters{refused: make(map[string]*atomic.Uint64, len(reasons))}
	for _, reason := range reasons {
		c.refused[reason] = new(atomic.Uint64)
	}
	return c
}

// refuse counts one. An unknown reason would be a broken invariant, and panics.
func (c *counters) refuse(reason string) { c.refused[reason].Add(1) }

// reasonsSeen returns what was counted, without zeros.
func (c *counters) reasonsSeen() map[string]uint64 {
	seen := make(map[string]uint64)
	for reason, count := range c.refused {
		if n := count.Load(); n > 0 {
			seen[reason] = n
		}
	}
	return seen
}
