package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

// Lock removes the key from the kernel and unmounts. Conflict while anything
// holds a file of the volume, after a few seconds' patience; the volume then
// stays usable. Locked already: no error.
func (p *Pool) Lock(ctx context.Context, id string) error {
	done, err := p.alone(id)
	if err != nil {
		return err
	}
	defer done()
	there, err := p.exists(id)
	if err != nil {
		return err
	}
	if !there {
		return fault.New(fault.NotFound, "There is no volume %s on this host.", id)
	}
	m, err := p.mounted(id)
	if err != nil || m == nil {
		return err
	}
	if err := p.removeKey(ctx, id, m); err != nil {
		return err
	}
	return p.unmount(ctx, id)
}

// removeKey takes the key out of the kernel once nothing uses the volume. That
// is asked first, because a key that was removed while files were open can't
// be put back without having it.
func (p *Pool) removeKey(ctx context.Context, id string, m *mount) error {
	err := p.until(ctx, func() (bool, error) { return p.quiet(id, m) })
	if err != nil {
		return inUse(id, fmt.Errorf("wait for files to be closed: %w", err))
	}
	identifier, err := policy(p.data(id))
	if err != nil {
		return err
	}
	if identifier == (keyID{}) {
		return nil
	}
	// The kernel has the last word: it also knows of users that the question
	// above can't see, such as an overlay on a directory of the volume.
	err = p.until(ctx, func() (bool, error) {
		busy, err := removeKey(p.mountpoint(id), identifier)
		return !busy, err
	})
	if errors.Is(err, errStillBusy) {
		return fault.Wrap(fault.Conflict, err,
			"The volume %s is in use by something hidden: its key is half removed. Ensure it with its key, or stop what uses it and lock it again.", id)
	}
	if err != nil {
		return err
	}
	status, err := keyStatus(p.mountpoint(id), identifier)
	if err == nil && status != unix.FSCRYPT_KEY_STATUS_ABSENT {
		err = fmt.Errorf("the kernel reports key status %d after removal from volume %s", status, id)
	}
	return err
}

// Destroy locks the volume, tries a read that must fail, and removes the
// image. Conflict as in Lock; NotFound if there is no such volume. It does not
// need the key. Without a key anywhere the content is lost even if blocks of
// the image can be found on the host's disk.
func (p *Pool) Destroy(ctx context.Context, id string) (driver.Disposal, error) {
	done, err := p.alone(id)
	if err != nil {
		return driver.Disposal{}, err
	}
	defer done()
	there, err := p.exists(id)
	if err != nil {
		return driver.Disposal{}, err
	}
	if !there {
		return driver.Disposal{}, fault.New(fault.NotFound, "There is no volume %s on this host.", id)
	}
	disposal, err := p.dispose(ctx, id)
	if err != nil {
		return driver.Disposal{}, err
	}
	if err := p.unmount(ctx, id); err != nil {
		return driver.Disposal{}, err
	}
	for _, file := range []string{p.metaFile(id), p.image(id)} {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return driver.Disposal{}, err
		}
	}
	return disposal, syncDir(filepath.Join(p.dir, "volumes"))
}

// dispose removes the key of a volume and tries to read it, leaving it mounted.
func (p *Pool) dispose(ctx context.Context, id string) (driver.Disposal, error) {
	m, err := p.mounted(id)
	if err != nil {
		return driver.Disposal{}, err
	}
	control := "it was locked before"
	if m == nil {
		if err := p.mount(id); err != nil {
			return driver.Disposal{}, err
		}
		if m, err = p.mounted(id); err != nil {
			return driver.Disposal{}, err
		}
	} else if b, err := os.ReadFile(filepath.Join(p.proof(id), "proof")); err == nil && string(b) == proofText {
		control = "with the key it could be read"
	}
	if err := p.removeKey(ctx, id, m); err != nil {
		return driver.Disposal{}, err
	}
	tried, err := p.tryRead(id)
	if err != nil {
		return driver.Disposal{}, err
	}
	return driver.Disposal{KeyRemoved: true, ReadTried: tried + " (" + control + ")"}, nil
}

// tryRead opens a file of each encrypted directory and reports what came back.
// If any can be read the volume is not disposed of.
func (p *Pool) tryRead(id string) (string, error) {
	report := "nothing was there to be read"
	for _, dir := range []string{p.proof(id), p.data(id)} {
		name, err := anyFile(dir)
		if err != nil {
			return "", err
		}
		if name == "" {
			continue
		}
		f, err := os.Open(name)
		if err == nil {
			f.Close()
			return "", fmt.Errorf("volume %s: %s can be opened without the key", id, name)
		}
		if !errors.Is(err, unix.ENOKEY) {
			return "", fmt.Errorf("volume %s: try to read without the key: %w", id, err)
		}
		relative, _ := filepath.Rel(p.mountpoint(id), name)
		report = fmt.Sprintf("open %s: %v", relative, unix.ENOKEY)
	}
	return report, nil
}

// anyFile finds a regular file below dir, which may be missing.
func anyFile(dir string) (string, error) {
	var found string
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if entry.Type().IsRegular() {
			found = name
			return fs.SkipAll
		}
		return nil
	})
	return found, err
}
