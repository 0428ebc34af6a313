package containerd

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/formation"
	"github.com/strongroom/strongroom/internal/fault"
	"golang.org/x/sys/unix"
)

// ApplyFormation implements driver.Driver.
func (d *Driver) ApplyFormation(ctx context.Context, f driver.Formation) error {
	ctx = d.with(ctx)
	if err := f.Validate(); err != nil {
		return err
	}
	if err := d.checkProcess(ctx, f.Space, f.Process); err != nil {
		return err
	}
	d.mu.Lock()
	err := d.keepFormation(f)
	d.mu.Unlock()
	if err != nil {
		return err
	}
	if err := d.applyPolicy(ctx, f.Space); err != nil {
		return err
	}
	d.publishSoon(f.Space)
	d.kick()
	return nil
}

// keepFormation remembers what is wanted; d.mu is held.
func (d *Driver) keepFormation(f driver.Formation) error {
	if _, err := d.space(f.Space); err != nil {
		return err
	}
	if have, ok := d.formations[f.ID]; ok && have.Space != f.Space {
		return fault.New(fault.Conflict, "The formation %s belongs to another space.", f.ID)
	}
	if err := save(d.dirs.formations, f.ID, f); err != nil {
		return err
	}
	d.formations[f.ID] = f
	return nil
}

// checkProcess refuses what could not be started.
func (d *Driver) checkProcess(ctx context.Context, space string, p driver.Process) error {
	d.mu.Lock()
	_, err := d.space(space)
	d.mu.Unlock()
	if err != nil {
		return err
	}
	if err := d.checkImage(ctx, p.Image); err != nil {
		return err
	}
	for _, m := range p.Mounts {
		if _, err := d.volumePath(m.Volume, space); err != nil {
			return err
		}
	}
	return nil
}

// RemoveFormation implements driver.Driver.
func (d *Driver) RemoveFormation(ctx context.Context, id string) error {
	d.mu.Lock()
	f, ok := d.formations[id]
	if !ok {
		d.mu.Unlock()
		return nil
	}
	delete(d.formations, id)
	err := forget(d.dirs.formations, id)
	for _, c := range d.containers {
		if c.Formation == id {
			d.drain(c, f.Grace)
		}
	}
	d.mu.Unlock()
	if err != nil {
		return err
	}
	d.publishSoon(f.Space)
	d.kick()
	return nil
}

// StopInstance implements driver.Driver.
func (d *Driver) StopInstance(_ context.Context, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.containers[id]
	if c == nil || c.isTask() {
		return fault.New(fault.NotFound, "There is no instance %s.", id)
	}
	d.drain(c, d.formations[c.Formation].Grace)
	d.kick()
	return nil
}

// drain ends an instance; one that has crashed is only forgotten. d.mu is held.
func (d *Driver) drain(c *container, grace time.Duration) {
	switch {
	case c.State == driver.Crashed:
		if err := d.forgetContainer(c); err != nil {
			d.log.Error("record not removed", "container", c.ID, "err", err)
		}
	case c.State != driver.Draining:
		d.enter(c, driver.Draining)
		d.stopContainer(c, unix.SIGTERM, grace)
	}
}

// Dial implements driver.Driver.
func (d *Driver) Dial(ctx context.Context, id string, port int) (io.ReadWriteCloser, error) {
	d.mu.Lock()
	f, ok := d.formations[id]
	var ready []string
	for _, c := range d.containers {
		if c.Formation == id && c.State == driver.Up {
			ready = append(ready, c.Address)
		}
	}
	d.mu.Unlock()
	if !ok {
		return nil, fault.New(fault.NotFound, "There is no formation %s.", id)
	}
	if len(ready) == 0 {
		return nil, fault.New(fault.Unavailable, "No instance of formation %s is up.", id)
	}
	address := net.JoinHostPort(ready[rand.IntN(len(ready))], strconv.Itoa(port))
	c, err := d.cfg.Network.DialContext(ctx, f.Space, "tcp", address)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The instance does not accept connections on port %d.", port)
	}
	return c, nil
}

// planner plans and carries out, whenever something changed or is due.
func (d *Driver) planner() {
	for {
		d.mu.Lock()
		actions, wake := d.cfg.Policy.Plan(time.Now(), d.wanted(), d.members())
		for _, a := range actions {
			d.carryOut(a)
		}
		d.mu.Unlock()
		if len(actions) > 0 {
			continue // what was done changes what is due next
		}
		var due <-chan time.Time
		if !wake.IsZero() {
			due = time.After(time.Until(wake))
		}
		select {
		case <-d.wake:
		case <-due:
		case <-d.ctx.Done():
			return
		}
	}
}

func (d *Driver) wanted() []driver.Formation {
	list := make([]driver.Formation, 0, len(d.formations))
	for _, f := range d.formations {
		list = append(list, f)
	}
	return list
}

func (d *Driver) members() []formation.Member {
	var list []formation.Member
	for _, c := range d.containers {
		if !c.isTask() {
			list = append(list, formation.Member{
				ID: c.ID, Formation: c.Formation, Ordinal: c.Ordinal, Revision: c.Revision, State: c.State,
				Since: c.Since, Restarts: c.Restarts, Ran: c.Ran, Failing: c.failing,
			})
		}
	}
	return list
}

// carryOut begins an action; d.mu is held.
func (d *Driver) carryOut(a formation.Action) {
	c := d.containers[a.Member]
	switch a.Kind {
	case formation.Start:
		d.startInstance(d.formations[a.Formation], a, c)
	case formation.Drain:
		d.drain(c, d.formations[a.Formation].Grace)
	case formation.Forget:
		d.drain(c, 0)
	case formation.Fail:
		c.failing = true
		d.say(c.record, bootTimeout(c.record, d.formations[a.Formation].Boot))
		d.say(c.record, "Stopping process with SIGKILL")
		d.stopContainer(c, 0, 0)
	}
}

// bootTimeout is what Heroku says of a dyno that never listened.
func bootTimeout(r record, after time.Duration) string {
	kind := "Process"
	if r.Labels.Type == "web" {
		kind = "Web process"
	}
	return fmt.Sprintf("Error R10 (Boot timeout) -> %s failed to bind to $PORT within %.0f seconds of launch", kind, after.Seconds())
}

// startInstance begins to start an instance; d.mu is held.
func (d *Driver) startInstance(f driver.Formation, a formation.Action, crashed *container) {
	c := newContainer(record{
		ID: uuid.NewString(), Space: f.Space, Labels: f.Labels, Dyno: f.Labels.Type + "." + strconv.Itoa(a.Ordinal),
		Process: f.Process, Formation: f.ID, Revision: f.Revision, Ordinal: a.Ordinal,
		State: driver.Starting, Restarts: a.Restarts, Since: time.Now().UTC(),
	})
	if crashed != nil {
		c.Last = crashed.Exit
		d.drain(crashed, 0)
	}
	d.containers[c.ID] = c
	d.saveContainer(c)
	d.spawn(func() { d.boot(c) })
}

// failedStart is the exit code of an instance whose process never began.
const failedStart = 127

// boot starts the process of an instance and waits until it is ready.
func (d *Driver) boot(c *container) {
	d.say(d.read(c), "Starting process")
	if err := d.launch(d.ctx, c, nil); err != nil {
		if d.ctx.Err() != nil {
			return
		}
		d.log.Error("instance not started", "container", c.ID, "formation", c.Formation, "err", err)
		d.say(d.read(c), "Process could not be started")
		d.finish(c, driver.Exit{Code: failedStart})
		return
	}
	d.spawn(func() { d.watch(c) })
	d.awaitReady(c)
}

// awaitReady waits for the port to accept connections, then takes the instance
// into service.
func (d *Driver) awaitReady(c *container) {
	for wait := 20 * time.Millisecond; c.Process.Port != 0 && !d.accepts(c); wait = min(2*wait, 500*time.Millisecond) {
		select {
		case <-time.After(wait):
		case <-c.ended:
			return
		case <-d.ctx.Done():
			return
		}
	}
	d.mu.Lock()
	ready := c.State == driver.Starting && c.Exit == nil && !c.failing
	if ready {
		d.enter(c, driver.Up)
	}
	d.mu.Unlock()
	if ready {
		d.publishSoon(c.Space)
		d.kick()
	}
}

func (d *Driver) accepts(c *container) bool {
	ctx, cancel := context.WithTimeout(d.ctx, time.Second)
	defer cancel()
	conn, err := d.cfg.Network.DialContext(ctx, c.Space, "tcp", net.JoinHostPort(c.Address, strconv.Itoa(c.Process.Port)))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
