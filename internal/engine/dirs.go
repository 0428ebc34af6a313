package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// prepare makes the directories with their owners.
func prepare(c *Config) error {
	for _, d := range []struct {
		path string
		mode os.FileMode
		uid  int
	}{
		{c.Data, 0o711, 0},
		{c.engineData(), 0o700, 0},
		{c.logData(), 0o700, c.SpoolUID},
		{c.Run, 0o711, 0},
		{c.secretRun(), 0o711, 0},
		{c.routers(), 0o711, 0},
		{filepath.Join(c.Run, "spool"), 0o700, c.SpoolUID},
		{filepath.Join(c.Run, "edge"), 0o700, c.EdgeUID},
	} {
		if err := own(d.path, d.mode, d.uid); err != nil {
			return err
		}
	}
	return ensureTmpfs(c.secretRun())
}

// own makes the directory, or gives it to its owner. The two that are shared
// with the server, DATA and RUN, keep the mode they have.
func own(path string, mode os.FileMode, uid int) error {
	err := os.Mkdir(path, mode)
	if errors.Is(err, fs.ErrNotExist) {
		err = os.MkdirAll(path, mode)
	}
	if errors.Is(err, fs.ErrExist) {
		return check(path, uid)
	}
	if err != nil {
		return err
	}
	return errors.Join(os.Chmod(path, mode), os.Lchown(path, uid, uid))
}

// check refuses a directory that somebody else may have prepared.
func check(path string, uid int) error {
	var s unix.Stat_t
	if err := unix.Lstat(path, &s); err != nil {
		return &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	if s.Mode&unix.S_IFMT != unix.S_IFDIR || int(s.Uid) != uid {
		return fmt.Errorf("%s is not a directory of user %d", path, uid)
	}
	return nil
}

// ensureTmpfs mounts a tmpfs on dir unless it lies on one. It is not swapped
// out, if the kernel can promise that (Linux 6.4).
func ensureTmpfs(dir string) error {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if s.Type == unix.TMPFS_MAGIC {
		return nil
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	err := unix.Mount("tmpfs", dir, "tmpfs", flags, "mode=711,noswap")
	if errors.Is(err, unix.EINVAL) {
		err = unix.Mount("tmpfs", dir, "tmpfs", flags, "mode=711")
	}
	if err != nil {
		return fmt.Errorf("mount a tmpfs for secrets on %s: %w", dir, err)
	}
	return nil
}
