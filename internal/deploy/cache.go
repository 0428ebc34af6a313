package deploy

import (
	"context"
	"time"

	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/secret"
)

// Volumes are the engine's; a driver.Driver has them.
type Volumes interface {
	Observe(ctx context.Context) (driver.Observation, error)
	EnsureVolume(ctx context.Context, volume driver.Volume) error
	LockVolume(ctx context.Context, id string) error
	DestroyVolume(ctx context.Context, id string) (driver.Disposal, error)
}

// cache unlocks the volume that an app's builds keep things in, and gives its
// id. Builds go without, "", if there is any trouble with it: a cache saves
// time and is nothing that a build may fail of.
//
// Its key is derived from that of the app's space, so it is stored nowhere and
// ends with the space.
func (d *Deployer) cache(ctx context.Context, b *document.Build) string {
	v := driver.Volume{ID: apps.BuildCache(b.App), Space: d.cfg.Space, Bytes: d.cfg.CacheBytes}
	bulk, err := d.cfg.Keyring.DataKey(ctx, &b.Space)
	if err == nil {
		v.Key, err = secret.Derive(bulk, "build-cache/"+b.App, 64)
	}
	if err == nil {
		err = d.unlock(ctx, v)
	}
	if err != nil {
		d.cfg.Log.Warn("a build goes without its cache", "app", b.App, "build", b.ID, "error", err)
		return ""
	}
	return v.ID
}

// unlock begins an empty cache where the old one is nearly full, would not open
// with the key, or belongs to a network of builds that was another.
func (d *Deployer) unlock(ctx context.Context, v driver.Volume) error {
	err := d.cfg.Volumes.EnsureVolume(ctx, v)
	if err == nil {
		var o driver.Observation
		if o, err = d.cfg.Volumes.Observe(ctx); err != nil {
			return err
		}
		if !full(o, v.ID) {
			return nil
		}
	} else if kind := fault.Of(err); kind != fault.Invalid && kind != fault.Conflict {
		return err
	}
	if _, err := d.cfg.Volumes.DestroyVolume(ctx, v.ID); err != nil {
		return err
	}
	return d.cfg.Volumes.EnsureVolume(ctx, v)
}

// full tells whether less than a quarter of a volume is free.
func full(o driver.Observation, id string) bool {
	for _, x := range o.Volumes {
		if x.ID == id {
			return x.Used > x.Bytes/4*3
		}
	}
	return false
}

// closeCache locks the cache after a build. After one that failed it is removed:
// the build may have failed of what lay there, or have left it half written.
func (d *Deployer) closeCache(ctx context.Context, volume string, failed bool) {
	if volume == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	for {
		var err error
		if failed {
			_, err = d.cfg.Volumes.DestroyVolume(ctx, volume)
		} else {
			err = d.cfg.Volumes.LockVolume(ctx, volume)
		}
		if err == nil || fault.Of(err) == fault.NotFound {
			return
		}
		if fault.Of(err) != fault.Conflict { // else a process that just ended holds a file yet
			d.cfg.Log.Warn("a build's cache is not locked", "volume", volume, "error", err)
			return
		}
		select {
		case <-ctx.Done():
			d.cfg.Log.Warn("a build's cache is not locked", "volume", volume, "error", err)
			return
		case <-time.After(250 * time.Millisecond):
		}
	}
}
