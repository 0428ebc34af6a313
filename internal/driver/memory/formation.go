package memory

import (
	"context"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/formation"
	"github.com/strongroom/strongroom/internal/fault"
)

// ApplyFormation implements driver.Driver.
func (d *Driver) ApplyFormation(_ context.Context, f driver.Formation) error {
	if err := f.Validate(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.space(f.Space); err != nil {
		return err
	}
	if !d.images[f.Process.Image] {
		return fault.New(fault.NotFound, "The image %s is not on this engine.", f.Process.Image)
	}
	if have, ok := d.formations[f.ID]; ok && have.Space != f.Space {
		return fault.New(fault.Conflict, "The formation %s belongs to another space.", f.ID)
	}
	for _, m := range f.Process.Mounts {
		if _, err := d.unlocked(m.Volume); err != nil {
			return err
		}
	}
	d.formations[f.ID] = f
	d.kick()
	return nil
}

// RemoveFormation implements driver.Driver.
func (d *Driver) RemoveFormation(_ context.Context, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.formations[id]
	if !ok {
		return nil
	}
	delete(d.formations, id)
	for _, p := range d.processes {
		if p.formation == id {
			d.drain(p, f.Grace)
		}
	}
	return nil
}

// StopInstance implements driver.Driver.
func (d *Driver) StopInstance(_ context.Context, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.processes[id]
	if p == nil || p.formation == "" {
		return fault.New(fault.NotFound, "There is no instance %s.", id)
	}
	d.drain(p, d.formations[p.formation].Grace)
	d.kick()
	return nil
}

// Dial implements driver.Driver.
func (d *Driver) Dial(ctx context.Context, id string, port int) (io.ReadWriteCloser, error) {
	d.mu.Lock()
	f, ok := d.formations[id]
	if !ok {
		d.mu.Unlock()
		return nil, fault.New(fault.NotFound, "There is no formation %s.", id)
	}
	l := d.find(f.Space, f.Name+".localspace", strconv.Itoa(port), func(p *process) bool { return p.formation == id })
	d.mu.Unlock()
	var c net.Conn
	c, err := l.dial(ctx)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "No instance of formation %s accepts connections.", id)
	}
	return c, nil
}

func (p *process) enter(state string) {
	p.state = state
	p.since = time.Now().UTC()
}

// kick plans and carries out until there is nothing more to do now; d.mu is
// held.
func (d *Driver) kick() {
	if d.closed {
		return
	}
	actions, wake := d.policy.Plan(time.Now(), d.wanted(), d.members())
	for _, a := range actions {
		d.carryOut(a)
	}
	if d.timer != nil {
		d.timer.Stop()
	}
	if len(actions) > 0 {
		wake = time.Now()
	}
	if !wake.IsZero() {
		d.timer = time.AfterFunc(time.Until(wake), func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.kick()
		})
	}
}

func (d *Driver) wanted() []driver.Formation {
	var list []driver.Formation
	for _, f := range d.formations {
		list = append(list, f)
	}
	return list
}

func (d *Driver) members() []formation.Member {
	var list []formation.Member
	for _, p := range d.processes {
		if p.formation != "" {
			list = append(list, formation.Member{
				ID: p.id, Formation: p.formation, Ordinal: p.ordinal, Revision: p.revision,
				State: p.state, Since: p.since, Restarts: p.restarts, Ran: p.ran, Failing: p.ctx != nil && p.ctx.Err() != nil,
			})
		}
	}
	return list
}

func (d *Driver) carryOut(a formation.Action) {
	switch p := d.processes[a.Member]; a.Kind {
	case formation.Start:
		d.startInstance(d.formations[a.Formation], a, p)
	case formation.Drain:
		d.drain(p, d.formations[a.Formation].Grace)
	case formation.Fail:
		p.kill()
	case formation.Forget:
		delete(d.processes, a.Member)
	}
}

func (d *Driver) startInstance(f driver.Formation, a formation.Action, crashed *process) {
	p := &process{
		id: uuid.NewString(), space: f.Space, labels: f.Labels, dyno: f.Labels.Type + "." + strconv.Itoa(a.Ordinal),
		spec: f.Process, peers: f.Peers, formation: f.ID, revision: f.Revision, ordinal: a.Ordinal,
		restarts: a.Restarts, state: driver.Up,
	}
	if f.Process.Port != 0 {
		p.state = driver.Starting
	}
	if crashed != nil {
		exit := crashed.exit
		p.last = &exit
		delete(d.processes, crashed.id)
	}
	d.processes[p.id] = p
	if err := d.start(p); err != nil {
		p.enter(driver.Crashed)
		p.done = make(chan struct{})
		close(p.done)
		p.exit.Code = 127
	}
}

// drain ends an instance; a crashed one is only forgotten. d.mu is held.
func (d *Driver) drain(p *process, grace time.Duration) {
	switch p.state {
	case driver.Crashed:
		delete(d.processes, p.id)
	case driver.Starting, driver.Up:
		p.enter(driver.Draining)
		p.terminate(grace)
	}
}

// taskMemory is how long an ended task is observed.
const taskMemory = time.Hour

// processEnded takes note of the end of p; d.mu is held.
func (d *Driver) processEnded(p *process) {
	switch {
	case d.processes[p.id] != p: // an exec, or its space is gone
	case p.formation == "":
		time.AfterFunc(taskMemory, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			delete(d.processes, p.id)
		})
	case p.state == driver.Draining:
		delete(d.processes, p.id)
		d.kick()
	default:
		p.enter(driver.Crashed)
		d.kick()
	}
}
