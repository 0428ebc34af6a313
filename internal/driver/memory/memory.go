// Package memory is an engine that runs nothing: spaces, volumes and networks
// are maps and a process is a goroutine. It keeps the contract of package
// driver and passes drivertest, so that what drives an engine (reconcile,
// operation, driver/remote) can be tested without root.
//
// It isolates nothing from the program itself, and all of it is gone with the
// value. Time comes from package time, so that testing/synctest can move it.
package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/drivertest/script"
	"github.com/strongroom/strongroom/internal/driver/formation"
	"github.com/strongroom/strongroom/internal/fault"
)

// Config of an engine. The zero value is useful.
type Config struct {
	// Policy of restarts; the zero value means formation.DefaultPolicy.
	Policy formation.Policy
	// Program runs the processes: args are the process's arguments after the
	// first. Nil means script.Run.
	Program func(ctx context.Context, sys script.System, args []string) int
}

// Driver is the engine. Its zero value is not usable; call New.
type Driver struct {
	policy  formation.Policy
	program func(ctx context.Context, sys script.System, args []string) int

	// mu guards all below, and the fields of what hangs below it.
	mu         sync.Mutex
	changed    *sync.Cond // log lines were added, or a follower left
	spaces     map[string]*space
	images     map[string]bool
	volumes    map[string]*volume
	formations map[string]driver.Formation
	processes  map[string]*process // instances and tasks by id; not execs
	intrusions []*intrusion
	lines      []line
	timer      *time.Timer
	closed     bool
	running    sync.WaitGroup
}

type space struct {
	driver.Space
	index  int
	hosts  int // addresses given out
	routes driver.Routes
	routed bool
	// refused are attempts to leave it.
	refused []driver.Refusal
}

var _ driver.Driver = (*Driver)(nil)

// New returns an empty engine. Close ends what it runs.
func New(cfg Config) *Driver {
	d := &Driver{
		policy: cfg.Policy, program: cfg.Program,
		spaces: map[string]*space{}, images: map[string]bool{}, volumes: map[string]*volume{},
		formations: map[string]driver.Formation{}, processes: map[string]*process{},
	}
	d.changed = sync.NewCond(&d.mu)
	if d.policy == (formation.Policy{}) {
		d.policy = formation.DefaultPolicy
	}
	if d.program == nil {
		d.program = script.Run
	}
	return d
}

// Close kills every process and waits for it.
func (d *Driver) Close() error {
	d.mu.Lock()
	d.closed = true
	if d.timer != nil {
		d.timer.Stop()
	}
	for _, p := range d.processes {
		p.kill()
	}
	d.changed.Broadcast()
	d.mu.Unlock()
	d.running.Wait()
	return nil
}

// Capabilities claims what the suite checks: here it is made by maps.
func (d *Driver) Capabilities(context.Context) (driver.Capabilities, error) {
	return driver.Capabilities{Engine: "memory", Version: "1", VolumeErasure: true}, nil
}

// EnsureSpace implements driver.Driver.
func (d *Driver) EnsureSpace(_ context.Context, s driver.Space) error {
	if err := s.Validate(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	have := d.spaces[s.ID]
	if have == nil {
		have = &space{index: d.freeIndex()}
		d.spaces[s.ID] = have
	}
	have.Space = s
	return nil
}

func (d *Driver) freeIndex() int {
	used := map[int]bool{}
	for _, s := range d.spaces {
		used[s.index] = true
	}
	for i := 0; ; i++ {
		if !used[i] {
			return i
		}
	}
}

// RemoveSpace implements driver.Driver.
func (d *Driver) RemoveSpace(ctx context.Context, id string) error {
	d.mu.Lock()
	maps.DeleteFunc(d.formations, func(_ string, f driver.Formation) bool { return f.Space == id })
	var ended []*process
	for _, p := range d.processes {
		if p.space == id {
			p.kill()
			ended = append(ended, p)
		}
	}
	d.mu.Unlock()
	for _, p := range ended {
		if err := p.wait(ctx); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.processes, func(_ string, p *process) bool { return p.space == id })
	delete(d.spaces, id)
	return nil
}

// ApplyRoutes implements driver.Driver.
func (d *Driver) ApplyRoutes(_ context.Context, r driver.Routes) error {
	if err := r.Validate(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.space(r.Space)
	if err != nil {
		return err
	}
	s.routes, s.routed = r, true
	return nil
}

func (d *Driver) space(id string) (*space, error) {
	if s := d.spaces[id]; s != nil {
		return s, nil
	}
	return nil, fault.New(fault.NotFound, "There is no space %s on this engine.", id)
}

// Observe implements driver.Driver.
func (d *Driver) Observe(context.Context) (driver.Observation, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := driver.Observation{Time: time.Now().UTC(), Images: slices.Sorted(maps.Keys(d.images))}
	for _, s := range d.spaces {
		seen := driver.ObservedSpace{
			ID: s.ID, Digest: driver.Digest(s.Space), Subnet: fmt.Sprintf("10.%d.0.0/16", s.index),
			UIDBase: 200000 + 65536*s.index, UIDs: 65536, Router: "up",
			Refused: slices.Clone(s.refused),
		}
		if s.routed {
			seen.Routes = driver.Digest(s.routes)
		}
		o.Spaces = append(o.Spaces, seen)
	}
	for _, f := range d.formations {
		o.Formations = append(o.Formations, driver.ObservedFormation{
			ID: f.ID, Space: f.Space, Digest: driver.Digest(f), Revision: f.Revision, Ready: d.ready(f),
		})
	}
	d.observeProcesses(&o)
	for _, v := range d.volumes {
		o.Volumes = append(o.Volumes, v.observe())
	}
	sortByID(o.Spaces, func(s driver.ObservedSpace) string { return s.ID })
	sortByID(o.Formations, func(f driver.ObservedFormation) string { return f.ID })
	sortByID(o.Instances, func(i driver.Instance) string { return i.ID })
	sortByID(o.Tasks, func(t driver.ObservedTask) string { return t.ID })
	sortByID(o.Volumes, func(v driver.ObservedVolume) string { return v.ID })
	return o, nil
}

func (d *Driver) ready(f driver.Formation) int {
	n := 0
	for _, p := range d.processes {
		if p.formation == f.ID && p.revision == f.Revision && p.state == driver.Up {
			n++
		}
	}
	return n
}

func (d *Driver) observeProcesses(o *driver.Observation) {
	for _, p := range d.processes {
		var exit *driver.Exit
		if p.ended() {
			e := p.exit
			exit = &e
		}
		if p.formation == "" {
			o.Tasks = append(o.Tasks, driver.ObservedTask{
				ID: p.id, Space: p.space, App: p.labels.App, Name: p.dyno, Running: exit == nil, Since: p.since, Exit: exit,
			})
			continue
		}
		if exit == nil {
			exit = p.last
		}
		o.Instances = append(o.Instances, driver.Instance{
			ID: p.id, Formation: p.formation, Ordinal: p.ordinal, Revision: p.revision, State: p.state,
			Address: p.address, Since: p.since, Restarts: p.restarts, LastExit: exit,
		})
	}
}

func sortByID[T any](list []T, id func(T) string) {
	slices.SortFunc(list, func(a, b T) int { return strings.Compare(id(a), id(b)) })
}
