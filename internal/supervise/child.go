package supervise

import (
	"context"
	"log/slog"
	"os"
	"sync"

	"github.com/strongroom/strongroom/internal/fault"
)

// child is what a supervisor knows of one Spec: the wish, which callers change,
// and the status, which the keeper changes. The keeper is the one goroutine that
// acts; it is told of a changed wish by a kick.
type child struct {
	name   string
	groups *cgroups
	log    *slog.Logger
	launch func(Spec, *cgroup, []*os.File) (*process, error)
	after  <-chan struct{} // the keeper waits for it first; may be nil
	kick   chan struct{}   // capacity 1
	gone   chan struct{}   // closed when the keeper has returned

	mu      sync.Mutex
	spec    Spec
	order   int  // raised to have the process replaced
	wanted  bool // false: stop and forget
	status  Status
	current int           // order that the running process fulfils, -1 if none
	changed chan struct{} // closed and replaced at every change of status

	// Owned by the keeper.
	sockets *sockets
	backoff backoff
}

func newChild(spec Spec, groups *cgroups, log *slog.Logger) *child {
	return &child{
		name: spec.Name, groups: groups, log: log.With("child", spec.Name),
		launch: launch, kick: make(chan struct{}, 1), gone: make(chan struct{}),
		spec: spec, wanted: true, current: -1, status: Status{Name: spec.Name, State: Waiting},
		changed: make(chan struct{}), sockets: &sockets{},
	}
}

// update changes the wish. It says no if the child is being stopped for good.
func (c *child) update(spec Spec) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.wanted {
		return false
	}
	if !c.spec.equal(spec) && !spec.KeepOld {
		c.order++
		c.wake()
	}
	c.spec = spec
	return true
}

func (c *child) wake() {
	select {
	case c.kick <- struct{}{}:
	default: // it is to look anyway
	}
}

// wish returns what is wanted now.
func (c *child) wish() (spec Spec, order int, wanted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spec, c.order, c.wanted
}

// set changes the status and wakes who waits for it.
func (c *child) set(change func(*Status)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.status)
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *child) snapshot() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// await waits until the status fulfils the condition.
func (c *child) await(ctx context.Context, condition func() bool) error {
	for {
		c.mu.Lock()
		met, changed, last := condition(), c.changed, c.status
		c.mu.Unlock()
		if met {
			return nil
		}
		select {
		case <-changed:
		case <-c.gone:
			return fault.New(fault.Unavailable, "%s is stopped", c.name)
		case <-ctx.Done():
			return fault.Wrap(fault.Unavailable, ctx.Err(), "%s is %s (last exit: %q)", c.name, last.State, last.LastExit)
		}
	}
}

func (c *child) ready(ctx context.Context) error {
	return c.await(ctx, func() bool { return c.status.State == Up && c.current == c.order })
}

func (c *child) restart(ctx context.Context) error {
	c.mu.Lock()
	c.order++
	want := c.order
	c.wake()
	c.mu.Unlock()
	return c.await(ctx, func() bool { return c.current >= want })
}

func (c *child) stop(ctx context.Context) error {
	c.mu.Lock()
	c.wanted = false
	c.wake()
	c.mu.Unlock()
	select {
	case <-c.gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
