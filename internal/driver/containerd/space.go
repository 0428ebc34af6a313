package containerd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/containerd/network"
	"github.com/strongroom/strongroom/internal/fault"
)

// space is a space as it was applied. Its fields are guarded by Driver.mu,
// changes of it by the space's lock.
type space struct {
	driver.Space
	Index  int
	Routes *driver.Routes
	NetNS  string

	dirty      bool   // its router has not been told of the last change
	publishing bool   // somebody is about to
	served     string // digest of the routes that its router has
}

// base is the first id of the space's range on the host.
func (s *space) base() int { return firstUID + s.Index*rangeSize }

// saveSpace keeps the space for the next engine.
func (d *Driver) saveSpace(s *space) error { return save(d.dirs.spaces, s.ID, s) }

// space returns a known space; d.mu is held.
func (d *Driver) space(id string) (*space, error) {
	if s := d.spaces[id]; s != nil {
		return s, nil
	}
	return nil, fault.New(fault.NotFound, "There is no space %s on this engine.", id)
}

// EnsureSpace implements driver.Driver.
func (d *Driver) EnsureSpace(ctx context.Context, want driver.Space) error {
	if err := want.Validate(); err != nil {
		return err
	}
	defer d.spaceOp.lock(want.ID)()
	index, err := d.allocate(want.ID)
	if err != nil {
		return err
	}
	var netns string
	if err := d.ensureOutside(ctx, want, index, &netns); err != nil {
		return err
	}
	d.mu.Lock()
	s := d.spaces[want.ID]
	if s == nil {
		s = &space{Index: index}
	}
	s.Space, s.NetNS = want, netns
	if err = d.saveSpace(s); err == nil {
		d.spaces[want.ID] = s
	}
	d.mu.Unlock()
	if err != nil {
		return err
	}
	d.publishSoon(want.ID)
	return nil
}

// ensureOutside brings the space's network and router up.
func (d *Driver) ensureOutside(ctx context.Context, want driver.Space, index int, netns *string) error {
	net, err := d.cfg.Network.EnsureSpace(ctx, network.Space{ID: want.ID, Index: index, Trusted: want.Trusted, Outbound: want.Outbound})
	if err != nil {
		return err
	}
	*netns = net.NetNS
	if d.cfg.Ingress == nil {
		return nil
	}
	return d.cfg.Ingress.EnsureSpace(ctx, Gate{Space: want.ID, Index: index, NetNS: net.NetNS, Trusted: want.Trusted})
}

// indexFile remembers on disk which range of ids belongs to which space: files
// on volumes are owned by them.
const indexFile = "spaces"

// allocate returns the space's index, a new one if it has none.
func (d *Driver) allocate(id string) (int, error) {
	defer d.spaceOp.lock(indexFile)()
	byID := map[string]int{}
	if _, err := load(d.dirs.data, indexFile, &byID); err != nil {
		return 0, err
	}
	if index, ok := byID[id]; ok {
		return index, nil
	}
	used := map[int]bool{}
	for _, index := range byID {
		used[index] = true
	}
	for index := range maxSpaces {
		if !used[index] {
			byID[id] = index
			return index, save(d.dirs.data, indexFile, byID)
		}
	}
	return 0, fault.New(fault.Unavailable, "This engine holds %d spaces and cannot hold more.", maxSpaces)
}

// release gives the space's index back once neither it nor a volume of it
// is left.
func (d *Driver) release(id string) error {
	defer d.spaceOp.lock(indexFile)()
	d.mu.Lock()
	inUse := d.spaces[id] != nil
	for _, v := range d.volumes {
		inUse = inUse || v.Space == id
	}
	d.mu.Unlock()
	byID := map[string]int{}
	if _, err := load(d.dirs.data, indexFile, &byID); err != nil {
		return err
	}
	if _, ok := byID[id]; inUse || !ok {
		return nil
	}
	delete(byID, id)
	return save(d.dirs.data, indexFile, byID)
}

// RemoveSpace implements driver.Driver. It can be called again after an error.
func (d *Driver) RemoveSpace(ctx context.Context, id string) error {
	ctx = d.with(ctx)
	defer d.spaceOp.lock(id)()
	if err := d.endAll(ctx, id); err != nil {
		return err
	}
	d.mu.Lock()
	s := d.spaces[id]
	d.mu.Unlock()
	if d.cfg.Ingress != nil {
		if err := d.cfg.Ingress.RemoveSpace(ctx, id); err != nil {
			return err
		}
	}
	if s != nil {
		if err := d.unmapLayers(s); err != nil {
			return err
		}
	}
	if err := d.destroyScratch(ctx, id); err != nil {
		return err
	}
	if err := d.cfg.Network.RemoveSpace(ctx, id); err != nil {
		return err
	}
	if err := forget(d.dirs.spaces, id); err != nil {
		return err
	}
	d.mu.Lock()
	delete(d.spaces, id)
	d.mu.Unlock()
	return d.release(id)
}

// endAll removes the formations of a space and kills and forgets its
// containers.
func (d *Driver) endAll(ctx context.Context, id string) error {
	d.mu.Lock()
	for _, f := range d.formations {
		if f.Space == id {
			delete(d.formations, f.ID)
			if err := forget(d.dirs.formations, f.ID); err != nil {
				d.mu.Unlock()
				return err
			}
		}
	}
	var list []*container
	for _, c := range d.containers {
		if c.Space == id {
			list = append(list, c)
			d.stopContainer(c, 0, 0)
			if c.line != nil {
				c.line.finish() // nobody waits for its reader
			}
		}
	}
	d.mu.Unlock()
	for _, c := range list {
		select {
		case <-c.ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range list {
		if err := d.forgetContainer(c); err != nil {
			return err
		}
	}
	return nil
}

// scratchID names the volume that a space's containers write to. It is no
// volume of the contract.
func scratchID(space string) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte("scratch of "+space)).String()
}

// scratch returns the directory for what the space's containers write outside
// of volumes. Its key is known to the kernel alone: after a restart of the
// host what was there is lost, which is all that happens to it.
func (d *Driver) scratch(ctx context.Context, s *space) (string, error) {
	id := scratchID(s.ID)
	defer d.volOp.lock(id)()
	path, err := d.cfg.Volumes.Path(id)
	switch fault.Of(err) {
	case fault.NotFound:
	case fault.Conflict: // locked: its key is gone
		if _, err := d.cfg.Volumes.Destroy(ctx, id); err != nil {
			return "", err
		}
	default:
		return path, err
	}
	key := make([]byte, 64)
	rand.Read(key)
	defer clear(key)
	return d.cfg.Volumes.Ensure(ctx, id, key, d.cfg.ScratchBytes, s.base(), s.base())
}

// scratchPatience is how long a scratch volume may stay busy.
const scratchPatience = 30 * time.Second

// destroyScratch erases it. Mounts of containers that have just ended may
// still be on their way out.
func (d *Driver) destroyScratch(ctx context.Context, space string) error {
	ctx, cancel := context.WithTimeout(ctx, scratchPatience)
	defer cancel()
	id := scratchID(space)
	defer d.volOp.lock(id)()
	for {
		_, err := d.cfg.Volumes.Destroy(ctx, id)
		switch fault.Of(err) {
		case fault.NotFound:
			return nil
		case fault.Conflict:
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				return fmt.Errorf("destroy scratch: %w", errors.Join(err, ctx.Err()))
			}
		default:
			return err
		}
	}
}

// writable makes the directories that one container writes to.
func writable(scratch, id string, base int) (upper, work, tmp string, err error) {
	dir := filepath.Join(scratch, id)
	if err := os.Mkdir(dir, 0o711); err != nil {
		return "", "", "", err
	}
	upper, work, tmp = filepath.Join(dir, "upper"), filepath.Join(dir, "work"), filepath.Join(dir, "tmp")
	for path, mode := range map[string]os.FileMode{upper: 0o755, work: 0o700, tmp: 0o777 | os.ModeSticky} {
		err := errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, mode), os.Chown(path, base, base))
		if err != nil {
			return "", "", "", err
		}
	}
	return upper, work, tmp, nil
}
