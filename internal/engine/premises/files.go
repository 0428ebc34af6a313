package premises

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"github.com/strongroom/strongroom/internal/driver"
)

// digests are those of files that must not change, as they were when the engine
// first looked. They are told to nobody.
type digests map[string]string

// files compares the data directory with the manifest.
func (p *Premises) files(ctx context.Context, s *driver.Survey) error {
	s.Look("", "files and directories", 0)
	return filepath.WalkDir(p.cfg.Data, func(name string, e fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if errors.Is(err, fs.ErrNotExist) && name != p.cfg.Data {
			return nil // it has gone meanwhile
		}
		if err != nil {
			return err
		}
		below, err := filepath.Rel(p.cfg.Data, name)
		if err != nil {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		s.Look("", "files and directories", 1)
		return p.file(s, below, info)
	})
}

// file judges one. It returns fs.SkipDir where nothing below is looked at.
func (p *Premises) file(s *driver.Survey, name string, info fs.FileInfo) error {
	r, known := ruleFor(name, info.IsDir())
	if !known || !info.IsDir() && !info.Mode().IsRegular() {
		s.Found("", "file", "%s %q is nothing that the platform keeps there.", kind(info.Mode()), name)
		if info.IsDir() {
			return fs.SkipDir
		}
		return nil
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != p.owners[r.owner] {
		s.Found("", "file", "%s %q belongs to the user %d, and not to %d.", kind(info.Mode()), name, owner.Uid, p.owners[r.owner])
	}
	most := r.files
	if info.IsDir() {
		most = r.dirs
	}
	const bits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid
	if info.Mode()&bits&^most != 0 {
		s.Found("", "file", "%s %q has the mode %s, which is more than %s.", kind(info.Mode()), name, info.Mode()&bits, most)
	}
	switch {
	case r.closed:
		return fs.SkipDir
	case r.fixed:
		return p.same(s, name)
	}
	return nil
}

// same finds a file with another content than at the first look.
func (p *Premises) same(s *driver.Survey, name string) error {
	now, err := digestOf(filepath.Join(p.cfg.Data, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at a file that must not change: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	was, known := p.first[name]
	if !known {
		p.first[name] = now
	} else if was != now {
		s.Found("", "file", "The file %q has another content than when the engine started.", name)
	}
	return nil
}

func kind(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "The directory"
	case m.IsRegular():
		return "The file"
	case m&fs.ModeSymlink != 0:
		return "The link"
	}
	return "The special file"
}
