package volume

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/fault"
)

const (
	blockSize = 4096
	mebi      = 1 << 20
	minBytes  = 1 * mebi
	maxBytes  = 64 << 40
)

// proofText is what the proof holds. It is no secret; that it can't be read
// without the key is what counts.
const proofText = "readable only with the volume's key\n"

// Ensure creates the volume or unlocks it and returns the path of its
// directory, owned by uid and gid. The wrong key is Invalid and leaves the
// volume as it was. Bytes only counts when the volume is made; it does not
// grow. The pool keeps no copy of key: clear it after the call.
func (p *Pool) Ensure(ctx context.Context, id string, key []byte, bytes int64, uid, gid int) (string, error) {
	if len(key) != KeySize {
		return "", fault.New(fault.Invalid, "The key of a volume has %d bytes.", KeySize)
	}
	done, err := p.alone(id)
	if err != nil {
		return "", err
	}
	defer done()
	there, err := p.exists(id)
	if err != nil {
		return "", err
	}
	if !there {
		if err := p.create(ctx, id, bytes); err != nil {
			return "", err
		}
	}
	m, err := p.mounted(id)
	if err != nil {
		return "", err
	}
	if m == nil {
		if err := p.mount(id); err != nil {
			return "", err
		}
	}
	if err := p.unlock(id, key, uid, gid); err != nil {
		if m == nil { // it was not mounted before
			err = errors.Join(err, p.unmount(ctx, id))
		}
		return "", err
	}
	return p.data(id), nil
}

// unlock gives the file system the key, if it is the right one, and makes the
// directories of a new volume.
func (p *Pool) unlock(id string, key []byte, uid, gid int) error {
	root := p.mountpoint(id)
	given, err := addKey(root, key)
	if err != nil {
		return err
	}
	for _, dir := range []string{p.proof(id), p.data(id)} {
		has, err := policy(dir)
		if err != nil {
			return err
		}
		if has != (keyID{}) && has != given {
			_, err := removeKey(root, given)
			return errors.Join(fault.New(fault.Invalid, "The key does not fit the volume %s.", id), err)
		}
	}
	if err := p.makeProof(id, given); err != nil {
		return err
	}
	return p.makeData(id, given, uid, gid)
}

func (p *Pool) makeProof(id string, key keyID) error {
	file := filepath.Join(p.proof(id), "proof")
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	if err := makeEncrypted(p.proof(id), key, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(proofText), 0o600); err != nil {
		return fmt.Errorf("write proof: %w", err)
	}
	return nil
}

// makeData makes the directory if it is not there and gives it its owner. Root's
// own (containerd's) may be passed through by others, who have containers below.
func (p *Pool) makeData(id string, key keyID, uid, gid int) error {
	dir := p.data(id)
	mode := os.FileMode(0o700)
	if uid == 0 {
		mode = 0o711
	}
	if err := makeEncrypted(dir, key, mode); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return err
	}
	if int(st.Uid) == uid && int(st.Gid) == gid {
		return nil
	}
	return os.Lchown(dir, uid, gid)
}

func makeEncrypted(dir string, key keyID, mode os.FileMode) error {
	has, err := policy(dir)
	if err != nil || has == key {
		return err
	}
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := os.Chmod(dir, mode); err != nil {
		return err
	}
	return setPolicy(dir, key)
}

// create makes the image under another name, so that an image that has its
// name is complete.
func (p *Pool) create(ctx context.Context, id string, bytes int64) error {
	if bytes < minBytes || bytes > maxBytes {
		return fault.New(fault.Invalid, "A volume must have from %d to %d bytes, not %d.", int64(minBytes), int64(maxBytes), bytes)
	}
	if err := p.room(imageSize(bytes)); err != nil {
		return err
	}
	next := p.image(id) + ".new"
	if err := allocate(next, imageSize(bytes)); err != nil {
		os.Remove(next)
		return fmt.Errorf("create volume %s: %w", id, err)
	}
	if err := makeFS(ctx, next, bytes); err != nil {
		os.Remove(next)
		return fmt.Errorf("create volume %s: %w", id, err)
	}
	b, err := json.Marshal(meta{Bytes: bytes})
	if err != nil {
		return err
	}
	if err := os.WriteFile(p.metaFile(id), append(b, '\n'), 0o600); err != nil {
		return err
	}
	if err := os.Rename(next, p.image(id)); err != nil {
		return err
	}
	return syncDir(filepath.Dir(next))
}

// journalSize in MiB.
func journalSize(bytes int64) int64 {
	if bytes < 1024*mebi {
		return 8
	}
	return 64
}

// imageSize leaves room for ext4's own tables (inodes take 1/64 of the image)
// and its journal, so that bytes are there to be used.
func imageSize(bytes int64) int64 {
	size := bytes + bytes/32 + (journalSize(bytes)+16)*mebi
	return (size + mebi - 1) / mebi * mebi
}

// hostReserve stays free on the host whatever volumes are asked for.
const hostReserve = 64 * mebi

// room refuses what does not fit before anything is allocated: an allocation
// that fails has filled the host's disk for a moment.
func (p *Pool) room(size int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(p.dir, &st); err != nil {
		return err
	}
	if free := int64(st.Bavail) * st.Bsize; size > free-hostReserve {
		return fault.New(fault.Unavailable, "The host has no room for another %d bytes: %d are free.", size, free)
	}
	return nil
}

// allocate makes a file whose blocks are all there: nobody else can use them.
func allocate(name string, size int64) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	err = unix.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, unix.ENOSPC) {
		return fault.Wrap(fault.Unavailable, err, "The host has no room for another %d bytes.", size)
	}
	if err != nil {
		return fmt.Errorf("allocate %d bytes: %w", size, err)
	}
	return f.Sync()
}

// makeFS formats the image. Nothing is discarded, here or later: that would
// give the reserved blocks back.
func makeFS(ctx context.Context, image string, bytes int64) error {
	mkfs, err := exec.LookPath("mkfs.ext4")
	if err != nil {
		mkfs = "/usr/sbin/mkfs.ext4" // services often run without sbin in PATH
	}
	out, err := exec.CommandContext(ctx, mkfs, "-q", "-F", "-O", "encrypt", "-b", fmt.Sprint(blockSize), "-m", "0",
		"-J", fmt.Sprintf("size=%d", journalSize(bytes)), "-E", "nodiscard", image).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mkfs.ext4: %w: %s", err, strings.TrimSpace(string(out)))
	}
	f, err := os.Open(image)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
