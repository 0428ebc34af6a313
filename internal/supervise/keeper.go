package supervise

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// trimEvery is how often a running child's output file is looked at.
const trimEvery = time.Minute

// keep is the child's keeper: it takes over or starts a process, watches it,
// and starts another when it has ended, until the child is not wanted any more
// or ctx ends; then a running process lives on.
func (c *child) keep(ctx context.Context) {
	defer close(c.gone)
	if c.after != nil {
		select {
		case <-c.after:
		case <-ctx.Done():
			return
		}
	}
	defer c.sockets.close()
	var p *process
	for {
		spec, order, wanted := c.wish()
		if !wanted {
			c.finish(ctx, p, spec)
			return
		}
		if p != nil && p.order != order {
			if !c.end(ctx, p, spec) {
				return
			}
			p = nil
		}
		if p == nil {
			var err error
			if p, err = c.obtain(ctx, spec, order); err != nil {
				c.failed(err)
				if !c.pause(ctx, c.backoff.next(0)) {
					return
				}
				continue
			}
		}
		switch c.watch(ctx, p, spec) {
		case processEnded:
			up := time.Since(p.since)
			c.ended(p)
			p = nil
			if !c.pause(ctx, c.backoff.next(up)) {
				return
			}
		case contextEnded:
			p.release()
			return
		case wishChanged:
		}
	}
}

// obtain takes over the process that runs, if it fits, or starts one.
func (c *child) obtain(ctx context.Context, spec Spec, order int) (*process, error) {
	p, err := c.adopt(ctx, spec)
	if err != nil {
		return nil, err
	}
	if p == nil {
		if p, err = c.start(ctx, spec); err != nil {
			return nil, err
		}
	}
	p.order = order
	c.set(func(s *Status) {
		c.current = order
		s.PID, s.Since, s.Adopted, s.Build = p.pid, p.since, p.adopted, p.build
		s.State = Starting
		if p.adopted || spec.Control == "" && spec.Probe == nil {
			s.State = Up
		}
	})
	return p, nil
}

// adopt returns the process that runs and fits, nil if there is none. One that
// does not fit is ended.
func (c *child) adopt(ctx context.Context, spec Spec) (*process, error) {
	p, err := running(ctx, spec)
	if err != nil {
		c.log.Debug("nothing to take over", "reason", err)
		return nil, nil
	}
	if why := unfit(p, spec); why != "" && !spec.KeepOld {
		c.log.Info("replacing a running child", "pid", p.pid, "reason", why)
		if !c.end(ctx, p, spec) {
			return nil, ctx.Err()
		}
		return nil, nil
	}
	c.log.Info("child taken over", "pid", p.pid, "build", p.build)
	c.sockets.fetch(p, spec, c.log)
	return p, nil
}

// start launches a process in a cgroup that holds nothing else.
func (c *child) start(ctx context.Context, spec Spec) (*process, error) {
	group := c.groups.create(spec)
	if !spec.KeepDescendants {
		if err := group.sweep(ctx, min(spec.Grace, sweepGrace)); err != nil {
			return nil, err
		}
	}
	files, err := c.sockets.open(spec)
	if err != nil {
		return nil, err
	}
	p, err := c.launch(spec, group, files)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Args[0], err)
	}
	c.log.Info("child started", "pid", p.pid)
	if spec.OOMScoreAdj != 0 {
		file := filepath.Join("/proc", strconv.Itoa(p.pid), "oom_score_adj")
		if err := os.WriteFile(file, []byte(strconv.Itoa(spec.OOMScoreAdj)), 0); err != nil {
			c.log.Warn("OOM score not set", "error", err)
		}
	}
	return p, nil
}

// event is why a keeper looks up.
type event int

const (
	processEnded event = iota
	wishChanged
	contextEnded
)

// watch waits for something to do, and meanwhile until the process answers.
func (c *child) watch(ctx context.Context, p *process, spec Spec) event {
	asking, cancel := context.WithCancel(ctx)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if c.snapshot().State == Starting {
			c.untilAnswers(asking, p, spec)
		}
	}()
	defer func() { cancel(); <-answered }()
	trim := time.NewTicker(trimEvery)
	defer trim.Stop()
	for {
		select {
		case <-p.done:
			return processEnded
		case <-c.kick:
			return wishChanged
		case <-ctx.Done():
			return contextEnded
		case <-trim.C:
			if err := trimOutput(spec.Output, spec.OutputMax); err != nil {
				c.log.Warn("output file not trimmed", "error", err)
			}
		}
	}
}

// untilAnswers asks the new process until it answers, then calls it up.
func (c *child) untilAnswers(ctx context.Context, p *process, spec Spec) {
	wait := 5 * time.Millisecond
	for {
		answering, err := running(ctx, spec)
		if err == nil {
			answering.release()
			if answering.pid == p.pid {
				c.set(func(s *Status) { s.State, s.Build = Up, answering.build })
				return
			}
			c.log.Warn("another process answers for the child", "pid", p.pid, "answers", answering.pid)
		}
		select {
		case <-ctx.Done():
			return
		case <-p.done:
			return
		case <-time.After(wait):
			wait = min(2*wait, 200*time.Millisecond)
		}
	}
}

// ended records that a process ended by itself.
func (c *child) ended(p *process) {
	p.release()
	c.log.Warn("child ended", "pid", p.pid, "exit", p.exit)
	c.set(func(s *Status) {
		c.current = -1
		s.State, s.PID, s.LastExit, s.Restarts = Waiting, 0, p.exit, s.Restarts+1
	})
}

func (c *child) failed(err error) {
	c.log.Error("child cannot be started", "error", err)
	c.set(func(s *Status) { c.current, s.State, s.PID, s.LastExit = -1, Waiting, 0, err.Error() })
}

// pause waits before a restart. A changed wish ends it; it says no when ctx ended.
func (c *child) pause(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return ctx.Err() == nil
	}
	select {
	case <-time.After(d):
		return true
	case <-c.kick:
		return true
	case <-ctx.Done():
		return false
	}
}

// end asks the process to stop, then kills it. It says no when ctx ended first.
func (c *child) end(ctx context.Context, p *process, spec Spec) bool {
	defer p.release()
	c.set(func(s *Status) { s.State = Stopping })
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if err := p.signal(sig); err != nil {
			c.log.Error("child cannot be signalled", "pid", p.pid, "signal", sig.String(), "error", err)
		}
		select {
		case <-p.done:
			c.log.Info("child stopped", "pid", p.pid, "exit", p.exit)
			c.set(func(s *Status) { c.current, s.PID, s.LastExit = -1, 0, p.exit })
			return true
		case <-ctx.Done():
			return false
		case <-time.After(spec.Grace):
			c.log.Warn("child does not stop in time", "pid", p.pid, "after", spec.Grace)
		}
	}
	// Killed and still there: it hangs in the kernel. Another beside it would
	// be worse than none.
	select {
	case <-p.done:
		return true
	case <-ctx.Done():
		return false
	}
}

// finish stops the child for good.
func (c *child) finish(ctx context.Context, p *process, spec Spec) {
	// One of a former supervisor's may run that was never taken over.
	if p == nil {
		p, _ = running(ctx, spec)
	}
	if p != nil && !c.end(ctx, p, spec) {
		return
	}
	group := c.groups.open(spec.Name)
	if !spec.KeepDescendants {
		if err := group.sweep(ctx, min(spec.Grace, sweepGrace)); err != nil {
			c.log.Error("a child's descendants remain", "error", err)
		}
		if err := group.remove(); err != nil {
			c.log.Warn("cgroup not removed", "error", err)
		}
	}
	if spec.Control != "" {
		os.Remove(spec.Control)
	}
	c.set(func(s *Status) { s.State, s.PID = Stopped, 0 })
}
