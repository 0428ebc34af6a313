package supervise

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"github.com/strongroom/strongroom/internal/fault"
)

// Config of a supervisor.
type Config struct {
	// Cgroup is the cgroup, relative to each hierarchy's root, under which every
	// child has its own ("strongroom/engine"). It must belong to this
	// installation alone: what is in a child's cgroup and is not that child is
	// ended. Empty = no cgroups, and nothing is ended but the child itself.
	// It must not lie inside the cgroup of a child (version 2 gives controllers
	// only to cgroups whose parent has no process), so an engine that is itself
	// supervised uses another parent than its supervisor does.
	Cgroup string
	// StopChildren stops the children when Run's context ends, the one wanted
	// last first. Otherwise they live on, for the next supervisor to take over.
	StopChildren bool
}

// Supervisor keeps a set of children up. Its methods are safe for concurrent use.
type Supervisor struct {
	cfg    Config
	log    *slog.Logger
	groups *cgroups // nil without cgroups

	mu       sync.Mutex
	children []*child     // in the order in which they were wanted
	keep     func(*child) // starts a keeper; nil before Run
	ended    bool         // Run has returned or is about to
}

// New returns a supervisor without children.
func New(cfg Config, log *slog.Logger) *Supervisor {
	s := &Supervisor{cfg: cfg, log: log}
	if cfg.Cgroup != "" {
		s.groups = newCgroups("/sys/fs/cgroup", cfg.Cgroup, log)
	}
	return s
}

// Run keeps the children up until ctx ends, and returns nil then. It can be
// called once.
func (s *Supervisor) Run(ctx context.Context) error {
	// Keepers outlive ctx for as long as StopChildren takes.
	keepers, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var wg sync.WaitGroup
	if err := s.begin(func(c *child) { wg.Go(func() { c.keep(keepers) }) }); err != nil {
		return err
	}
	<-ctx.Done()
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	if s.cfg.StopChildren {
		s.stopAll(keepers)
	}
	cancel()
	wg.Wait()
	return nil
}

func (s *Supervisor) begin(keep func(*child)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keep != nil {
		return fault.New(fault.Conflict, "this supervisor runs or ran already")
	}
	s.keep = keep
	for _, c := range s.children {
		keep(c)
	}
	return nil
}

func (s *Supervisor) stopAll(ctx context.Context) {
	for _, status := range slices.Backward(s.Status()) {
		if err := s.Stop(ctx, status.Name); err != nil {
			s.log.Error("child could not be stopped", "child", status.Name, "error", err)
		}
	}
}

// Ensure wants the child of this Spec up. It returns at once; see Ready. A
// running child that does not fit the Spec is replaced, unless KeepOld; Files
// and Probe are not compared but used from the next start on. Before Run the
// child is only noted.
func (s *Supervisor) Ensure(spec Spec) error {
	spec, err := spec.normal()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return fault.New(fault.Unavailable, "the supervisor has ended")
	}
	if c := s.find(spec.Name); c != nil && c.update(spec) {
		return nil
	}
	c := newChild(spec, s.groups, s.log)
	// A child of the name may still be stopping: the new one waits for it.
	c.after = s.replace(c)
	if s.keep != nil {
		s.keep(c)
	}
	return nil
}

// replace puts c into the list, in place of a stopping child of the same name,
// whose end it returns.
func (s *Supervisor) replace(c *child) <-chan struct{} {
	for i, old := range s.children {
		if old.name == c.name {
			s.children[i] = c
			return old.gone
		}
	}
	s.children = append(s.children, c)
	return nil
}

// find returns the child of the name or nil; s.mu is held.
func (s *Supervisor) find(name string) *child {
	for _, c := range s.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (s *Supervisor) lookup(name string) *child {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(name)
}

// Ready waits until the child answers. It fails with NotFound for an unknown
// name, and with Unavailable when ctx ends first, saying how the child ended last.
func (s *Supervisor) Ready(ctx context.Context, name string) error {
	c := s.lookup(name)
	if c == nil {
		return fault.New(fault.NotFound, "there is no child named %q", name)
	}
	return c.ready(ctx)
}

// Restart stops the child as Stop does and starts it again. It returns when
// the old process has ended; see Ready for the new one.
func (s *Supervisor) Restart(ctx context.Context, name string) error {
	c := s.lookup(name)
	if c == nil {
		return fault.New(fault.NotFound, "there is no child named %q", name)
	}
	return c.restart(ctx)
}

// Stop ends the child and forgets it: SIGTERM, Spec.Grace, SIGKILL. What is
// left in its cgroup is ended too (unless KeepDescendants), also for a name
// that is not known, which is no error. If ctx ends first the stop goes on and
// the context's error is returned. Before Run it only forgets.
func (s *Supervisor) Stop(ctx context.Context, name string) error {
	s.mu.Lock()
	c, running := s.find(name), s.keep != nil
	if c != nil && !running {
		s.children = slices.DeleteFunc(s.children, func(o *child) bool { return o == c })
	}
	s.mu.Unlock()
	if c == nil {
		return s.sweepUnknown(ctx, name)
	}
	if !running {
		return nil
	}
	if err := c.stop(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.children = slices.DeleteFunc(s.children, func(o *child) bool { return o == c })
	return nil
}

func (s *Supervisor) sweepUnknown(ctx context.Context, name string) error {
	if !validName(name) {
		return fault.New(fault.Invalid, "%q is not a name of a child", name)
	}
	if s.groups == nil {
		return nil
	}
	group := s.groups.open(name)
	if err := group.sweep(ctx, sweepGrace); err != nil {
		return err
	}
	return group.remove()
}

// Status reports all children, in the order in which they were first wanted.
func (s *Supervisor) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Status, 0, len(s.children))
	for _, c := range s.children {
		all = append(all, c.snapshot())
	}
	return all
}
