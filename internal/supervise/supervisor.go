package supervise

import (
	"context"
	"log/slog"

	"github.com/strongroom/strongroom/internal/fault"
)

// Config of a supervisor.
type Config struct {
	// Cgroup is the cgroup, relative to each hierarchy's root, under which every
	// child has its own ("strongroom/engine"). It must belong to this installation alone:
	// what is in a child's cgroup and is not that child is ended. Empty = no cgroups.
	Cgroup string
	// StopChildren stops the children when Run's context ends. Otherwise they
	// live on, for the next supervisor to take over.
	StopChildren bool
}

// Supervisor keeps a set of children up. Its methods are safe for concurrent use.
type Supervisor struct {
	cfg Config
	log *slog.Logger
}

// New returns a supervisor without children.
func New(cfg Config, log *slog.Logger) *Supervisor {
	return &Supervisor{cfg: cfg, log: log}
}

// Run keeps the children up until ctx ends.
func (s *Supervisor) Run(ctx context.Context) error {
	return fault.New(fault.Unavailable, "supervision is not built yet")
}

// Ensure wants the child of this Spec up. It returns at once; see Ready. A
// running child that does not fit the Spec is replaced. Before Run it is only noted.
func (s *Supervisor) Ensure(spec Spec) error {
	return fault.New(fault.Unavailable, "supervision is not built yet")
}

// Ready waits until the child answers. It fails with NotFound for an unknown
// name, and with Unavailable when ctx ends first, saying how the child ended last.
func (s *Supervisor) Ready(ctx context.Context, name string) error {
	return fault.New(fault.Unavailable, "supervision is not built yet")
}

// Restart stops the child as Stop does and starts it again.
func (s *Supervisor) Restart(ctx context.Context, name string) error {
	return fault.New(fault.Unavailable, "supervision is not built yet")
}

// Stop ends the child and forgets it: SIGTERM, Spec.Grace, SIGKILL. What is left
// in its cgroup is ended too (unless KeepDescendants), also for a name that is
// not known. If ctx ends first the stop goes on and the context's error is returned.
func (s *Supervisor) Stop(ctx context.Context, name string) error {
	return fault.New(fault.Unavailable, "supervision is not built yet")
}

// Status reports all children, by name.
func (s *Supervisor) Status() []Status { return nil }
