package containerd

import (
	"context"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"golang.org/x/sys/unix"
)

// Exec implements driver.Driver. The session does not end with ctx.
func (d *Driver) Exec(ctx context.Context, e driver.Exec) (driver.Session, error) {
	ctx = d.with(ctx)
	if err := e.Validate(); err != nil {
		return nil, err
	}
	c := d.running(e.Container)
	if c == nil {
		return nil, fault.New(fault.NotFound, "Nothing runs as %s.", e.Container)
	}
	p, err := d.execProcess(c.ID, e)
	if err != nil {
		return nil, err
	}
	line, err := openLine(d.dirs.sessions, e.ID, e.TTY)
	if err != nil {
		return nil, err
	}
	s, err := d.exec(ctx, c, e, p, line)
	if err != nil {
		line.Close()
		if errdefs.IsNotFound(err) {
			return nil, fault.Wrap(fault.NotFound, err, "Nothing runs as %s.", e.Container)
		}
		return nil, startError(err)
	}
	return s, nil
}

// running returns the container if its process runs.
func (d *Driver) running(id string) *container {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.containers[id]; c != nil && c.task != nil && c.Exit == nil {
		return c
	}
	return nil
}

// execProcess is the container's own process with other arguments. Its
// environment is in the specification on the tmpfs and nowhere else.
func (d *Driver) execProcess(container string, e driver.Exec) (*specs.Process, error) {
	var s specs.Spec
	if ok, err := load(d.dirs.specs, container, &s); err != nil || !ok {
		if err == nil {
			err = fault.New(fault.NotFound, "Nothing runs as %s.", container)
		}
		return nil, err
	}
	p := s.Process
	p.Args = e.Args
	p.Env = environment(p.Env, e.Env)
	p.Terminal = e.TTY
	p.ConsoleSize = nil
	return p, nil
}

// execution is a process beside a container's own.
type execution struct {
	client.Process
	done chan struct{} // closed when exit is set
	exit driver.Exit
}

func (d *Driver) exec(ctx context.Context, c *container, e driver.Exec, p *specs.Process, l *line) (driver.Session, error) {
	process, err := c.task.Exec(ctx, e.ID, p, l.create)
	if err != nil {
		return nil, err
	}
	x := &execution{Process: process, done: make(chan struct{})}
	exited, err := process.Wait(d.ctx)
	if err == nil {
		err = process.Start(ctx)
	}
	if err != nil {
		process.Delete(d.ctx)
		return nil, err
	}
	d.mu.Lock()
	d.execs[int(process.Pid())] = true
	d.mu.Unlock()
	if e.TTY && e.Rows > 0 && e.Cols > 0 {
		process.Resize(ctx, uint32(e.Cols), uint32(e.Rows)) // it may have ended already
	}
	d.spawn(func() { d.watchExec(c, x, l, exited) })
	return &attached{
		line: l, process: process, ended: x.done, exit: func() driver.Exit { return x.exit },
		hangUp: func() { d.spawn(func() { d.hangUpExec(x) }) },
	}, nil
}

// watchExec waits for the end of an exec, which is that of its container at
// the latest.
func (d *Driver) watchExec(c *container, x *execution, l *line, exited <-chan client.ExitStatus) {
	x.exit.Code = unknownExit
	select {
	case status := <-exited:
		if status.Error() == nil {
			x.exit.Code = int(status.ExitCode())
		}
	case <-c.exited:
		x.exit.Code = 137
	case <-d.ctx.Done():
	}
	d.mu.Lock()
	delete(d.execs, int(x.Pid())) // it may soon be another process's
	d.mu.Unlock()
	close(x.done)
	l.await(d.ctx)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), 10*time.Second)
	defer cancel()
	if _, err := x.Delete(ctx, client.WithProcessKill); err != nil && !errdefs.IsNotFound(err) && d.ctx.Err() == nil {
		d.log.Warn("exec not cleared up", "exec", x.ID(), "err", err)
	}
}

// hangUpExec ends an exec whose session was closed.
func (d *Driver) hangUpExec(x *execution) {
	for _, s := range []unix.Signal{unix.SIGHUP, unix.SIGKILL} {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), 10*time.Second)
		err := x.Kill(ctx, s)
		cancel()
		if err != nil && !errdefs.IsNotFound(err) {
			d.log.Warn("signal not sent", "exec", x.ID(), "signal", s.String(), "err", err)
		}
		select {
		case <-x.done:
			return
		case <-time.After(hangUpGrace):
		}
	}
}
