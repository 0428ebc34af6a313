package containerd

import (
	"context"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"golang.org/x/sys/unix"
)

// taskGrace is what a task gets between SIGTERM and SIGKILL.
const taskGrace = 30 * time.Second

// StartTask implements driver.Driver. The session does not end with ctx.
func (d *Driver) StartTask(ctx context.Context, t driver.Task) (driver.Session, error) {
	ctx = d.with(ctx)
	if err := t.Validate(); err != nil {
		return nil, err
	}
	if err := d.checkProcess(ctx, t.Space, t.Process); err != nil {
		return nil, err
	}
	c := newContainer(record{
		ID: t.ID, Space: t.Space, Labels: t.Labels, Dyno: t.Name, Process: t.Process, Peers: t.Peers, Private: t.Private,
		Attach: t.Attach, TTY: t.TTY, Rows: t.Rows, Cols: t.Cols, Since: time.Now().UTC(),
	})
	if t.Timeout > 0 {
		c.Deadline = time.Now().Add(t.Timeout)
	}
	if err := d.reserve(c); err != nil {
		return nil, err
	}
	s, err := d.startTask(ctx, c)
	if err != nil {
		d.mu.Lock()
		d.forgetContainer(c)
		close(c.ended)
		d.mu.Unlock()
		return nil, startError(err)
	}
	return s, nil
}

// reserve takes the task's id.
func (d *Driver) reserve(c *container) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.containers[c.ID] != nil {
		return fault.New(fault.Conflict, "The task %s was already started.", c.ID)
	}
	d.containers[c.ID] = c
	d.saveContainer(c)
	return nil
}

func (d *Driver) startTask(ctx context.Context, c *container) (driver.Session, error) {
	exit := func() driver.Exit {
		d.mu.Lock()
		defer d.mu.Unlock()
		return *c.Exit
	}
	if !c.Attach {
		if err := d.launch(ctx, c, nil); err != nil {
			return nil, err
		}
		d.begin(c)
		return &waiting{ended: c.exited, exit: exit}, nil
	}
	line, err := openLine(d.dirs.sessions, c.ID, c.TTY)
	if err != nil {
		return nil, err
	}
	c.line = line
	if err := d.launch(ctx, c, line.create); err != nil {
		line.Close()
		return nil, err
	}
	d.begin(c)
	hangUp := func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.stopContainer(c, unix.SIGHUP, hangUpGrace)
	}
	return &attached{line: line, process: c.task, ended: c.exited, exit: exit, hangUp: hangUp}, nil
}

// begin watches a task that has started.
func (d *Driver) begin(c *container) {
	d.spawn(func() { d.watch(c) })
	if c.Deadline.IsZero() {
		return
	}
	d.spawn(func() {
		select {
		case <-time.After(time.Until(c.Deadline)):
			d.StopTask(d.ctx, c.ID)
		case <-c.ended:
		case <-d.ctx.Done():
		}
	})
}

// startError tells a command that cannot be run from an engine that cannot.
func startError(err error) error {
	if fault.Of(err) != "" {
		return err
	}
	for _, text := range []string{"executable file not found", "no such file or directory", "permission denied"} {
		if strings.Contains(err.Error(), "exec: ") && strings.Contains(err.Error(), text) {
			return fault.Wrap(fault.Invalid, err, "The command cannot be run in this image.")
		}
	}
	return err
}

// StopTask implements driver.Driver.
func (d *Driver) StopTask(_ context.Context, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.containers[id]; c != nil && c.isTask() && c.Exit == nil {
		d.stopContainer(c, unix.SIGTERM, taskGrace)
	}
	return nil
}
