package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/driver/containerd/volume"
	"github.com/strongroom/strongroom/internal/fault"
)

// clearUp takes away what an engine that was not ended in order has left: the
// mounts below its runtime directory, and volumes that are unlocked. It touches
// nothing while a container runs, which only the engine can stop.
func clearUp(ctx context.Context, cfg Config, log *slog.Logger) error {
	runs, err := inCgroup(cfg.dynos())
	if err != nil {
		return err
	}
	if runs {
		return fault.New(fault.Conflict, "Containers run and no engine answers that could stop them. Start it with 'strongroom supervise', then try again.")
	}
	left, err := mountedBelow(cfg.secretRun())
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := unix.Unmount(path, unix.UMOUNT_NOFOLLOW); err != nil {
			return fmt.Errorf("unmount %s, which was left behind: %w", path, err)
		}
		log.Info("unmounted what was left behind", "path", path)
	}
	return lockLeft(ctx, cfg, log)
}

// lockLeft locks volumes after the overlays that lay on them are gone.
func lockLeft(ctx context.Context, cfg Config, log *slog.Logger) error {
	volumes, err := volume.Open(volume.Config{Dir: cfg.volumes()}, log)
	if err != nil {
		return fmt.Errorf("open the volumes: %w", err)
	}
	defer volumes.Close()
	list, err := volumes.Observe(ctx)
	if err != nil {
		return err
	}
	for _, v := range list {
		if !v.Unlocked {
			continue
		}
		if err := volumes.Lock(ctx, v.ID); err != nil {
			return fmt.Errorf("lock volume %s, which was left unlocked: %w", v.ID, err)
		}
		log.Info("locked a volume that was left unlocked", "volume", v.ID)
	}
	return nil
}

// mountedBelow lists what is mounted below a directory. The newest comes first:
// nothing can be unmounted before what was mounted on it later.
func mountedBelow(dir string) ([]string, error) {
	dir, err := filepath.EvalSymlinks(dir) // as the kernel names mounts
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out, err := volume.MountPoints()
	if err != nil {
		return nil, err
	}
	out = slices.DeleteFunc(out, func(point string) bool { return !strings.HasPrefix(point, dir+"/") })
	slices.Reverse(out)
	return out, nil
}

// inCgroup tells whether any process is in a cgroup or below it, in whatever
// hierarchy the host has.
func inCgroup(path string) (bool, error) {
	files, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		return false, err
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		for line := range strings.Lines(string(b)) {
			f := strings.SplitN(strings.TrimSpace(line), ":", 3)
			if len(f) == 3 && strings.HasPrefix(f[2]+"/", path+"/") {
				return true, nil
			}
		}
	}
	return false, nil
}
