package containerd

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"
	"github.com/strongroom/strongroom/internal/driver"
	"golang.org/x/sys/unix"
)

// adopt takes over what a former engine left: in files what was wanted, in
// containerd what runs. What only containerd knows belongs to an earlier life
// of the host and is removed.
func (d *Driver) adopt(ctx context.Context) error {
	if err := d.loadState(); err != nil {
		return err
	}
	records, err := loadAll[record](d.dirs.containers)
	if err != nil {
		return err
	}
	if err := d.removeStrangers(ctx, records); err != nil {
		return err
	}
	for _, r := range records {
		c := newContainer(r)
		d.containers[c.ID] = c
		if err := d.takeOver(ctx, c); err != nil {
			return fmt.Errorf("container %s: %w", c.ID, err)
		}
	}
	if err := d.closeStrayStreams(ctx); err != nil {
		d.log.Warn("streams not compared", "err", err)
	}
	for _, s := range d.spaces {
		if err := d.enterSpace(ctx, s); err != nil {
			// One space must not keep the others down; that its rules are not
			// in force is observed, and it is applied again.
			d.log.Error("space not brought up", "space", s.ID, "err", err)
		}
	}
	return nil
}

// loadState reads what was applied.
func (d *Driver) loadState() (err error) {
	if d.spaces, err = loadAll[*space](d.dirs.spaces); err != nil {
		return err
	}
	if d.formations, err = loadAll[driver.Formation](d.dirs.formations); err != nil {
		return err
	}
	if err := os.MkdirAll(d.volumeDir(), 0o700); err != nil {
		return err
	}
	d.volumes, err = loadAll[volumeRecord](d.volumeDir())
	return err
}

// enterSpace brings a space's network and router up again, should they need it.
func (d *Driver) enterSpace(ctx context.Context, s *space) error {
	if err := d.ensureOutside(ctx, s.Space, s.Index, &s.NetNS); err != nil {
		return err
	}
	if err := d.applyPolicy(ctx, s.ID); err != nil {
		return err
	}
	d.publishSoon(s.ID)
	return nil
}

// removeStrangers removes containers that no record names.
func (d *Driver) removeStrangers(ctx context.Context, records map[string]record) error {
	list, err := d.cfg.Client.Containers(ctx)
	if err != nil {
		return d.unavailable(err)
	}
	for _, con := range list {
		if _, known := records[con.ID()]; known {
			continue
		}
		d.log.Info("container of an earlier life removed", "container", con.ID())
		if err := d.delete(ctx, con.ID()); err != nil {
			return err
		}
	}
	return nil
}

// takeOver goes on with a container where the former engine left it.
func (d *Driver) takeOver(ctx context.Context, c *container) error {
	close(c.launched)
	if c.Done {
		close(c.exited)
		close(c.ended)
		if c.isTask() {
			d.forgetLater(c, taskMemory-time.Since(c.Since))
		}
		return nil
	}
	con, err := d.cfg.Client.LoadContainer(ctx, c.ID)
	if err == nil {
		c.task, err = con.Task(ctx, nil)
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	if err := d.unmountSources(c.ID); err != nil {
		return err
	}
	if c.Exit != nil || c.task == nil || c.Started.IsZero() {
		// It has ended, is gone, or was just being started.
		d.spawn(func() { d.finish(c, driver.Exit{Code: unknownExit}) })
		return nil
	}
	d.resume(c)
	return nil
}

func (d *Driver) resume(c *container) {
	if c.Attach {
		d.drainLine(c)
	}
	switch {
	case !c.Kill.IsZero():
		c.stopping = true
		d.spawn(func() { d.terminate(c, unix.SIGTERM) })
	case c.Attach && c.TTY:
		// Its terminal is gone with the engine that carried it.
		d.spawn(func() {
			d.signal(c, unix.SIGHUP)
		})
	}
	if c.isTask() {
		d.begin(c)
		return
	}
	d.spawn(func() { d.watch(c) })
	if c.State == driver.Starting {
		d.spawn(func() { d.awaitReady(c) })
	}
}

// drainLine reads and drops the output of a process whose session ended with
// the former engine, so that it can go on to its end, and ends its input.
func (d *Driver) drainLine(c *container) {
	dir := filepath.Join(d.dirs.sessions, c.ID)
	_, out := linePaths(dir)
	f, err := os.OpenFile(out, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return // it has ended
	}
	task := c.task
	d.spawn(func() {
		if err := task.CloseIO(d.ctx, client.WithStdinCloser); err != nil && !errdefs.IsNotFound(err) {
			d.log.Warn("input not ended", "container", c.ID, "err", err)
		}
		defer os.RemoveAll(dir)
		defer f.Close()
		stop := make(chan struct{})
		defer close(stop)
		d.spawn(func() {
			select {
			case <-c.exited:
			case <-stop:
			case <-d.ctx.Done():
				f.Close()
			}
		})
		io.Copy(io.Discard, f)
	})
}

// closeStrayStreams has spool forget streams of containers that are gone.
func (d *Driver) closeStrayStreams(ctx context.Context) error {
	streams, err := d.cfg.Logs.Streams(ctx)
	if err != nil {
		return err
	}
	for _, s := range streams {
		id, output, ok := strings.Cut(s.ID, ".")
		if !ok || !slices.Contains(outputs, output) || d.containers[id] != nil {
			continue
		}
		if err := d.cfg.Logs.Close(ctx, s.ID); err != nil {
			return err
		}
		if err := os.RemoveAll(filepath.Join(d.dirs.streams, id)); err != nil {
			return err
		}
	}
	return nil
}
