// Package formation decides which instances of formations an engine starts,
// drains and gives up. It is pure: engines (driver/containerd, driver/memory)
// call Plan whenever something changed or the returned time has come, and
// carry out the actions.
package formation

import (
	"cmp"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
)

// Policy of restarts after a crash. The first is immediate; each further one
// in a row waits twice as long as the one before, from Base up to Max.
type Policy struct {
	Base   time.Duration
	Max    time.Duration
	Steady time.Duration // an instance that ran this long starts a new row
}

// DefaultPolicy is what production engines use.
var DefaultPolicy = Policy{Base: 10 * time.Second, Max: 5 * time.Minute, Steady: 10 * time.Minute}

// Member is an instance as the planner sees it. A crashed one has no process
// any more; it is kept as the memory of its place until it is replaced.
type Member struct {
	ID        string
	Formation string
	Ordinal   int
	Revision  string
	State     string        // driver.Starting, Up, Draining or Crashed
	Since     time.Time     // when it entered State
	Restarts  int           // restarts in a row that led to it
	Ran       time.Duration // of a crashed one: how long it had run
	Failing   bool          // Fail was carried out; it has not ended yet
}

// Kind of an action.
type Kind string

// The kinds. Fail kills an instance whose boot took too long; it then counts
// as crashed. Forget drops a crashed member whose place is no longer wanted.
const (
	Start  Kind = "start"
	Drain  Kind = "drain"
	Fail   Kind = "fail"
	Forget Kind = "forget"
)

// Action for the engine.
type Action struct {
	Kind      Kind
	Formation string
	Ordinal   int
	Member    string // of Drain, Fail and Forget; of Start: the crashed one it replaces, or ""
	Restarts  int    // of Start: what the new member's Restarts is
}

// Plan returns what is to be done now, and when to plan again if nothing
// changes before (zero: never). Members of formations that are not given are
// drained.
func (p Policy) Plan(now time.Time, formations []driver.Formation, members []Member) ([]Action, time.Time) {
	r := round{policy: p, now: now}
	known := map[string]bool{}
	for _, f := range formations {
		known[f.ID] = true
		r.formation(f, of(members, f.ID))
	}
	for _, m := range members {
		if !known[m.Formation] {
			r.retire(m)
		}
	}
	return r.actions, r.wake
}

func of(members []Member, formation string) []Member {
	var own []Member
	for _, m := range members {
		if m.Formation == formation {
			own = append(own, m)
		}
	}
	slices.SortStableFunc(own, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Ordinal, b.Ordinal), a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
	})
	return own
}

// round is one run of the planner.
type round struct {
	policy  Policy
	now     time.Time
	actions []Action
	wake    time.Time
}

func (r *round) do(a Action) { r.actions = append(r.actions, a) }

func (r *round) again(at time.Time) {
	if r.wake.IsZero() || at.Before(r.wake) {
		r.wake = at
	}
}

// retire ends a member that is not wanted.
func (r *round) retire(m Member) {
	switch m.State {
	case driver.Crashed:
		r.do(Action{Kind: Forget, Formation: m.Formation, Ordinal: m.Ordinal, Member: m.ID})
	case driver.Starting, driver.Up:
		r.do(Action{Kind: Drain, Formation: m.Formation, Ordinal: m.Ordinal, Member: m.ID})
	}
}

// place is one ordinal of a formation and who holds it.
type place struct {
	current *Member  // starting or up, of the wanted revision
	crashed *Member  // of the wanted revision
	old     []Member // starting or up, of another revision
	leaving bool     // something is being drained
}

func (r *round) formation(f driver.Formation, members []Member) {
	places := make([]place, f.Quantity+1) // by ordinal, from 1
	for i := range members {
		r.assign(f, places, &members[i])
	}
	for _, at := range places {
		if at.current != nil && at.crashed != nil {
			r.retire(*at.crashed)
		}
	}
	if f.Rolling && f.Process.Port != 0 {
		r.roll(f, places)
	} else {
		r.replace(f, places, members)
	}
}

// assign finds the member's place, or ends it.
func (r *round) assign(f driver.Formation, places []place, m *Member) {
	if m.Ordinal < 1 || m.Ordinal > f.Quantity {
		r.retire(*m)
		return
	}
	at := &places[m.Ordinal]
	wanted := m.Revision == f.Revision
	switch {
	case m.State == driver.Draining:
		at.leaving = true
	case m.State == driver.Crashed && !wanted:
		r.retire(*m)
	case m.State == driver.Crashed:
		if at.crashed != nil { // the newest is what counts
			r.retire(*at.crashed)
		}
		at.crashed = m
	case wanted && at.current != nil:
		r.retire(*m)
	case wanted:
		at.current = m
		r.watchBoot(f, *m)
	default:
		at.old = append(at.old, *m)
	}
}

// watchBoot fails a member that does not accept connections in time.
func (r *round) watchBoot(f driver.Formation, m Member) {
	if m.State != driver.Starting || m.Failing || f.Process.Port == 0 || f.Boot <= 0 {
		return
	}
	if due := m.Since.Add(f.Boot); r.now.Before(due) {
		r.again(due)
		return
	}
	r.do(Action{Kind: Fail, Formation: m.Formation, Ordinal: m.Ordinal, Member: m.ID})
}

// roll replaces old members one by one, each after its successor is up, a
// quarter of the formation at a time so that memory for a few is enough.
func (r *round) roll(f driver.Formation, places []place) {
	room := max(1, f.Quantity/4)
	for _, at := range places[1:] {
		if len(at.old) > 0 && (at.crashed != nil || at.current != nil && at.current.State == driver.Starting) {
			room--
		}
	}
	for ordinal := 1; ordinal <= f.Quantity; ordinal++ {
		at := places[ordinal]
		switch {
		case at.current != nil && at.current.State == driver.Up:
			for _, m := range at.old {
				r.retire(m)
			}
		case at.current != nil:
		case len(at.old) == 0 || at.crashed != nil:
			r.start(f, ordinal, at)
		case room > 0:
			room--
			r.start(f, ordinal, at)
		}
	}
}

// replace ends all old members and starts new ones once the old are gone.
func (r *round) replace(f driver.Formation, places []place, members []Member) {
	for _, at := range places[1:] {
		for _, m := range at.old {
			r.retire(m)
		}
	}
	if slices.ContainsFunc(members, func(m Member) bool {
		return m.Revision != f.Revision && m.State != driver.Crashed
	}) {
		return
	}
	for ordinal := 1; ordinal <= f.Quantity; ordinal++ {
		if at := places[ordinal]; at.current == nil && !at.leaving {
			r.start(f, ordinal, at)
		}
	}
}

// start fills a place, after a pause if its last holder crashed.
func (r *round) start(f driver.Formation, ordinal int, at place) {
	a := Action{Kind: Start, Formation: f.ID, Ordinal: ordinal}
	if c := at.crashed; c != nil {
		row := c.Restarts
		if r.policy.Steady > 0 && c.Ran >= r.policy.Steady {
			row = 0
		}
		if due := c.Since.Add(r.policy.pause(row)); r.now.Before(due) {
			r.again(due)
			return
		}
		a.Member, a.Restarts = c.ID, row+1
	}
	r.do(a)
}

// pause before the restart that follows so many in a row.
func (p Policy) pause(row int) time.Duration {
	if row == 0 {
		return 0
	}
	d := p.Base
	for range row - 1 {
		if d >= p.Max {
			break
		}
		d *= 2
	}
	return min(d, p.Max)
}
