package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/containerd/network"
	"github.com/strongroom/strongroom/internal/driver/remote"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/supervise"
)

// TearDown takes everything that the engine keeps running off the host:
// containers, spaces, its children, its network rules. Volumes are locked and
// stay. Call it while the engine runs and the server does not; stop ends the
// engine itself. Where all processes ended without it, as when a machine is
// switched off, it clears up the mounts that they left.
func TearDown(ctx context.Context, cfg Config, stop func(context.Context) error, log *slog.Logger) error {
	if err := cfg.complete(); err != nil {
		return err
	}
	d := remote.Dial(cfg.engineSocket())
	defer d.Close()
	if err := empty(ctx, d, log); err != nil && fault.Of(err) != fault.Unavailable {
		return fmt.Errorf("stop what runs: %w", err)
	}
	if err := stop(ctx); err != nil {
		return err
	}
	children := supervise.New(supervise.Config{Cgroup: cfg.platform()}, log)
	for _, name := range []string{"edge", "spool", "containerd"} {
		if err := children.Stop(ctx, name); err != nil {
			return fmt.Errorf("stop %s: %w", name, err)
		}
	}
	if err := clearUp(ctx, cfg, log); err != nil {
		return err
	}
	networks, err := network.Open(network.Config{
		Dir: filepath.Join(cfg.secretRun(), "net"), Name: cfg.Name, EdgeUID: cfg.EdgeUID,
	}, log)
	if err != nil {
		return fmt.Errorf("open the network: %w", err)
	}
	if err := networks.Uninstall(ctx); err != nil {
		return fmt.Errorf("remove the network: %w", err)
	}
	if err := unix.Unmount(cfg.secretRun(), 0); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("unmount %s: %w", cfg.secretRun(), err)
	}
	return nil
}

// empty removes formations, tasks and spaces, and locks the volumes.
func empty(ctx context.Context, d driver.Driver, log *slog.Logger) error {
	o, err := d.Observe(ctx)
	if err != nil {
		return err
	}
	for _, f := range o.Formations {
		if err := d.RemoveFormation(ctx, f.ID); err != nil {
			return err
		}
	}
	for _, t := range o.Tasks {
		if err := d.StopTask(ctx, t.ID); err != nil {
			return err
		}
	}
	if err := gone(ctx, d); err != nil {
		return err
	}
	for _, s := range o.Spaces {
		if err := d.RemoveSpace(ctx, s.ID); err != nil {
			return err
		}
	}
	for _, v := range o.Volumes {
		if !v.Unlocked {
			continue
		}
		if err := d.LockVolume(ctx, v.ID); err != nil {
			return fmt.Errorf("lock volume %s: %w", v.ID, err)
		}
		log.Info("volume locked", "volume", v.ID)
	}
	return nil
}

// gone waits until no instance runs: they are given their grace.
func gone(ctx context.Context, d driver.Driver) error {
	for {
		o, err := d.Observe(ctx)
		if err != nil || len(o.Instances) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d instances still run: %w", len(o.Instances), ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}
