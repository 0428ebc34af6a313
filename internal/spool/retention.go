package spool

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
)

// expire deletes what is older than the cutoff, in all apps, and the
// directories of apps of which nothing is left.
func (s *store) expire(cutoff time.Time) error {
	dirs, err := filepath.Glob(filepath.Join(s.cfg.Dir, "*", "*"))
	if err != nil {
		return err
	}
	var failed error
	for _, dir := range dirs {
		space, app := filepath.Base(filepath.Dir(dir)), filepath.Base(dir)
		failed = errors.Join(failed, s.expireApp(place{idOf(space), idOf(app)}, cutoff))
	}
	return failed
}

// idOf is the id whose directory has the name.
func idOf(name string) string {
	if name == dirName("") {
		return ""
	}
	return name
}

// expireApp holds s.mu, so that the app is not opened meanwhile.
func (s *store) expireApp(at place, cutoff time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.journals[at]; j != nil {
		return j.expire(cutoff)
	}
	dir := s.dir(at)
	segments, err := listSegments(dir)
	if err != nil {
		return err
	}
	kept, err := removeOld(dir, segments, cutoff, lastWrite(dir, segments))
	if err != nil || len(kept) > 0 {
		return err
	}
	if n, known := s.apps[at.space]; known {
		s.apps[at.space] = n - 1
	}
	return os.Remove(dir)
}

// lastWrite is when the newest segment was last written to.
func lastWrite(dir string, segments []segment) time.Time {
	if len(segments) == 0 {
		return time.Time{}
	}
	info, err := os.Stat(segments[len(segments)-1].path(dir))
	if err != nil {
		return time.Now() // not known to be old
	}
	return info.ModTime()
}

// expire deletes the segments of an open journal that are older than the
// cutoff. One that is being written to is left for the next time.
func (j *journal) expire(cutoff time.Time) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.writing {
		return nil
	}
	kept, err := removeOld(j.out.dir, j.segments, cutoff, time.Unix(0, int64(j.last)))
	if len(kept) == 0 {
		j.out.close()
	}
	j.segments = kept
	return err
}

// removeOld deletes the segments of which every line is older than the cutoff
// and returns the others. last is the time of the newest line.
func removeOld(dir string, segments []segment, cutoff, last time.Time) ([]segment, error) {
	for i, seg := range segments {
		ends := last
		if i+1 < len(segments) {
			ends = time.Unix(0, int64(segments[i+1].first))
		}
		if !ends.Before(cutoff) {
			return segments[i:], nil
		}
		if err := os.Remove(seg.path(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return segments[i:], err
		}
	}
	return nil, nil
}

// remove deletes the logs of a space. Its streams are to be closed before.
func (s *store) remove(ctx context.Context, space string) error {
	if !validID(space) {
		return fault.New(fault.Invalid, "%q cannot be a space", space)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, j := range s.journals {
		if at.space != space {
			continue
		}
		if err := j.discard(ctx); err != nil {
			return fault.Wrap(fault.Unavailable, err, "the log of app %q is still being written", at.app)
		}
	}
	delete(s.apps, space)
	return os.RemoveAll(filepath.Join(s.cfg.Dir, dirName(space)))
}

// discard lets go of all segments, once nothing is being written any more.
func (j *journal) discard(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stallTime)
	defer cancel()
	for {
		j.mu.Lock()
		last, writing, changed := j.last, j.writing, j.changed
		if !writing {
			j.out.close()
			j.segments = nil
			j.mu.Unlock()
			return nil
		}
		j.mu.Unlock()
		if err := j.sync(ctx, last); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
