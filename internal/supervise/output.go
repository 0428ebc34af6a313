package supervise

import (
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// openOutput opens the file that takes a child's output, moving a file that
// has grown beyond max out of the way first.
func openOutput(path string, max int64) (*os.File, error) {
	if path == "" {
		return os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, err
	}
	if info, err := os.Lstat(path); err == nil && info.Size() > max {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW, 0o640)
}

// trimOutput copies a file that has grown beyond max to path+".1" and empties
// it. The running child goes on at its start, because it appends. Lines written
// between the copy and the cut are lost.
func trimOutput(path string, max int64) error {
	info, err := os.Lstat(path)
	if path == "" || err != nil || info.Size() <= max {
		return nil
	}
	from, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(path+".1", os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o640)
	if err != nil {
		return err
	}
	defer to.Close()
	// On a full disk the copy fails: emptying the file is then all the more needed.
	_, copied := io.Copy(to, io.LimitReader(from, 2*max))
	if err := from.Truncate(0); err != nil {
		return err
	}
	return copied
}
