//go:build unix

package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// FileAnchor is an Anchor in a file. The file belongs on another disk than the
// database, or at least outside of what its backups and restores touch.
//
// A swap writes a new file beside the old one, syncs it, renames it over the
// old one and syncs the directory, so that the name always leads to one whole
// value. Swaps are serialised, between processes too, by a lock on a second file
// that stays: a lock on the value itself would be lost with the rename.
type FileAnchor struct {
	path string
}

var _ Anchor = (*FileAnchor)(nil)

// NewFileAnchor keeps the checkpoint at path. The directory must exist.
func NewFileAnchor(path string) *FileAnchor { return &FileAnchor{path} }

// Load returns the stored note, or nil if there has never been one.
func (a *FileAnchor) Load() ([]byte, error) {
	signed, err := os.ReadFile(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read anchor: %w", err)
	}
	if len(signed) == 0 {
		return nil, fmt.Errorf("anchor %s is empty: it was damaged", a.path)
	}
	return signed, nil
}

// CompareAndSwap stores new if old is what is stored.
func (a *FileAnchor) CompareAndSwap(old, new []byte) error {
	if len(new) == 0 {
		return errors.New("an anchor cannot be emptied")
	}
	lock, err := os.OpenFile(a.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock anchor: %w", err)
	}
	defer lock.Close() // unlocks
	if err := flock(lock); err != nil {
		return fmt.Errorf("lock anchor: %w", err)
	}
	stored, err := a.Load()
	if err != nil {
		return err
	}
	if !bytes.Equal(stored, old) {
		return ErrAnchorMoved
	}
	if err := a.replace(new); err != nil {
		return fmt.Errorf("write anchor: %w", err)
	}
	return nil
}

func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

func (a *FileAnchor) replace(content []byte) error {
	// One name is enough, as the lock is held; a crash leaves it behind and the
	// next swap overwrites it.
	temp := a.path + ".new"
	if err := writeSynced(temp, content); err != nil {
		return err
	}
	if err := os.Rename(temp, a.path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(a.path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func writeSynced(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}
