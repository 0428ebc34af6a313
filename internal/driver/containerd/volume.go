package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/containerd/archive"
	"github.com/strongroom/strongroom/internal/fault"
	"golang.org/x/sys/unix"
)

// volumeRecord lies on disk next to the volume and says whose it is.
type volumeRecord struct {
	Space string `json:"space"`
	Bytes int64  `json:"bytes"`
}

func (d *Driver) volumeDir() string { return filepath.Join(d.dirs.data, "owners") }

// EnsureVolume implements driver.Driver.
func (d *Driver) EnsureVolume(ctx context.Context, v driver.Volume) error {
	if err := v.Validate(); err != nil {
		return err
	}
	defer d.spaceOp.lock(v.Space)()
	defer d.volOp.lock(v.ID)()
	s, isNew, err := d.claim(v)
	if err != nil {
		return err
	}
	path, err := d.cfg.Volumes.Ensure(ctx, v.ID, v.Key, v.Bytes, s.base(), s.base())
	if err == nil && isNew {
		// Whoever mounts the volume may look into it, whatever its user.
		err = os.Chmod(path, 0o755)
	}
	if err != nil && isNew {
		return errors.Join(err, d.disown(v.ID))
	}
	return err
}

// claim records whose the volume is before there is one.
func (d *Driver) claim(v driver.Volume) (s *space, isNew bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s, err = d.space(v.Space); err != nil {
		return nil, false, err
	}
	have, known := d.volumes[v.ID]
	if known && have.Space != v.Space {
		return nil, false, fault.New(fault.Conflict, "The volume %s belongs to another space.", v.ID)
	}
	r := volumeRecord{Space: v.Space, Bytes: v.Bytes}
	if err := save(d.volumeDir(), v.ID, r); err != nil {
		return nil, false, err
	}
	d.volumes[v.ID] = r
	return s, !known, nil
}

func (d *Driver) disown(id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.volumes, id)
	return forget(d.volumeDir(), id)
}

// owner returns the record of a volume.
func (d *Driver) owner(id string) (volumeRecord, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, ok := d.volumes[id]
	if !ok {
		return r, fault.New(fault.NotFound, "There is no volume %s on this engine.", id)
	}
	return r, nil
}

// LockVolume implements driver.Driver.
func (d *Driver) LockVolume(ctx context.Context, id string) error {
	defer d.volOp.lock(id)()
	if _, err := d.owner(id); err != nil {
		return err
	}
	return d.cfg.Volumes.Lock(ctx, id)
}

// DestroyVolume implements driver.Driver.
func (d *Driver) DestroyVolume(ctx context.Context, id string) (driver.Disposal, error) {
	r, err := d.owner(id)
	if err != nil {
		return driver.Disposal{}, err
	}
	disposal, err := d.destroy(ctx, id)
	if err != nil {
		return disposal, err
	}
	return disposal, d.release(r.Space)
}

func (d *Driver) destroy(ctx context.Context, id string) (driver.Disposal, error) {
	defer d.volOp.lock(id)()
	disposal, err := d.cfg.Volumes.Destroy(ctx, id)
	if err != nil && fault.Of(err) != fault.NotFound {
		return disposal, err
	}
	return disposal, errors.Join(err, d.disown(id))
}

// volumePath returns the directory of an unlocked volume of the space.
func (d *Driver) volumePath(id, space string) (string, error) {
	r, err := d.owner(id)
	if err != nil {
		return "", err
	}
	if r.Space != space {
		return "", fault.New(fault.NotFound, "There is no volume %s in the space.", id)
	}
	return d.cfg.Volumes.Path(id)
}

// mountSources binds the directories that a container is to see to places
// whose path nobody but root can change: what lies in a volume was written by
// programs that may try to lead a mount astray by a symbolic link.
func (d *Driver) mountSources(r record, base int) ([]string, error) {
	dir := filepath.Join(d.dirs.mounts, r.ID)
	var sources []string
	for i, m := range r.Process.Mounts {
		volume, err := d.volumePath(m.Volume, r.Space)
		if err != nil {
			return nil, err
		}
		source := filepath.Join(dir, strconv.Itoa(i))
		if err := os.MkdirAll(source, 0o700); err != nil {
			return nil, err
		}
		if err := bindDir(volume, m.Dir, source, base, base+r.Process.UID); err != nil {
			return nil, fmt.Errorf("mount %s: %w", m.Path, err)
		}
		sources = append(sources, source)
	}
	return sources, nil
}

// bindDir mounts a directory of a volume on target. One that is missing or
// untouched is given to owner.
func bindDir(volume, dir, target string, root, owner int) error {
	v, err := os.OpenRoot(volume)
	if err != nil {
		return err
	}
	defer v.Close()
	if dir == "" {
		dir = "."
	}
	if err := archive.MakeDir(v, dir, root); err != nil {
		return err
	}
	f, err := v.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := giveIfUntouched(f, root, owner); err != nil {
		return err
	}
	tree, err := unix.OpenTree(int(f.Fd()), "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("clone mount: %w", err)
	}
	defer unix.Close(tree)
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("attach mount: %w", err)
	}
	return nil
}

// giveIfUntouched gives an empty directory of the container's root to the
// user that is about to use it.
func giveIfUntouched(dir *os.File, root, owner int) error {
	var s unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &s); err != nil || int(s.Uid) != root || owner == root {
		return err
	}
	names, err := dir.Readdirnames(1)
	if len(names) > 0 {
		return nil
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return dir.Chown(owner, owner)
}

// unmountSources removes what mountSources made.
func (d *Driver) unmountSources(id string) error {
	dir := filepath.Join(d.dirs.mounts, id)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := unmount(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}
