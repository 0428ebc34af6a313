package containerd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

const snapshotter = "overlayfs"

// image is what a container needs to know of its image.
type image struct {
	layers []string // directories, uppermost first
	config ocispec.ImageConfig
}

// image finds an imported image and where its layers lie.
func (d *Driver) image(ctx context.Context, digest string) (image, error) {
	img, err := d.cfg.Client.GetImage(ctx, imageRef(digest))
	if err != nil {
		return image{}, d.unknownImage(digest, err)
	}
	config, err := readConfig(ctx, img)
	if err != nil {
		return image{}, fmt.Errorf("read image %s: %w", digest, err)
	}
	chain := identity.ChainID(config.RootFS.DiffIDs).String()
	mounts, err := d.view(ctx, chain)
	if err != nil {
		return image{}, fmt.Errorf("layers of image %s: %w", digest, err)
	}
	layers, err := layerDirs(mounts)
	return image{layers: layers, config: config.Config}, err
}

func readConfig(ctx context.Context, img client.Image) (ocispec.Image, error) {
	var config ocispec.Image
	desc, err := img.Config(ctx)
	if err != nil {
		return config, err
	}
	b, err := content.ReadBlob(ctx, img.ContentStore(), desc)
	if err != nil {
		return config, err
	}
	return config, json.Unmarshal(b, &config)
}

// view keeps a snapshot on a chain of layers, which pins them and tells their
// directories.
func (d *Driver) view(ctx context.Context, chain string) ([]mount.Mount, error) {
	s := d.cfg.Client.SnapshotService(snapshotter)
	key := "layers-" + chain
	mounts, err := s.Mounts(ctx, key)
	if errdefs.IsNotFound(err) {
		mounts, err = s.View(ctx, key, chain, snapshots.WithLabels(map[string]string{"containerd.io/gc.root": "layers"}))
		if errdefs.IsAlreadyExists(err) {
			return s.Mounts(ctx, key)
		}
	}
	return mounts, err
}

// layerDirs reads the directories out of the mount that the snapshotter would
// make of a view.
func layerDirs(mounts []mount.Mount) ([]string, error) {
	if len(mounts) != 1 {
		return nil, fmt.Errorf("a view of %d mounts", len(mounts))
	}
	if mounts[0].Type == "bind" {
		return []string{mounts[0].Source}, nil
	}
	for _, o := range mounts[0].Options {
		if dirs, ok := strings.CutPrefix(o, "lowerdir="); ok {
			return strings.Split(dirs, ":"), nil
		}
	}
	return nil, errors.New("a view without layers")
}

// mapLayers shows the layers with the ids of a space: an id-mapped mount each,
// made once and shared by all containers of the space.
func (d *Driver) mapLayers(s *space, layers []string) ([]string, error) {
	defer d.spaceOp.lock("layers of " + s.ID)()
	var mapped []string
	var ids *os.File
	for _, layer := range layers {
		// …/snapshots/<n>/fs
		target := filepath.Join(d.dirs.layers, strconv.Itoa(s.Index), filepath.Base(filepath.Dir(layer)))
		mapped = append(mapped, target)
		if is, err := isMount(target); is || err != nil {
			if err != nil {
				return nil, err
			}
			continue
		}
		if ids == nil {
			mapping := fmt.Sprintf("0:%d:%d", s.base(), rangeSize)
			var err error
			if ids, err = mount.GetUsernsFD(mapping, mapping); err != nil {
				return nil, err
			}
			defer ids.Close()
		}
		if err := os.MkdirAll(target, 0o700); err != nil {
			return nil, err
		}
		if err := mount.IDMapMountWithAttrs(layer, target, int(ids.Fd()), unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOSUID, 0); err != nil {
			return nil, fmt.Errorf("id-mapped mounts are needed (Linux 5.19, ext4): %w", err)
		}
	}
	return mapped, nil
}

// unmapLayers removes the id-mapped mounts of a space.
func (d *Driver) unmapLayers(s *space) error {
	defer d.spaceOp.lock("layers of " + s.ID)()
	dir := filepath.Join(d.dirs.layers, strconv.Itoa(s.Index))
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
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

// isMount reports whether something is mounted on exactly this path.
func isMount(path string) (bool, error) {
	var s unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, 0, &s)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, &os.PathError{Op: "statx", Path: path, Err: err}
	}
	return s.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

// unmount unmounts whatever is mounted on path; never lazily, which would only
// hide it.
func unmount(path string) error {
	for {
		is, err := isMount(path)
		if !is || err != nil {
			return err
		}
		if err := unix.Unmount(path, unix.UMOUNT_NOFOLLOW); err != nil {
			return &os.PathError{Op: "unmount", Path: path, Err: err}
		}
	}
}
