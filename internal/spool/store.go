package spool

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
)

// idleTime is how long a segment's file stays open without lines.
const idleTime = time.Minute

// expireEvery is how often old lines are looked for.
const expireEvery = time.Hour

// store is the journals of all apps.
type store struct {
	cfg Config
	log *slog.Logger

	mu       sync.Mutex
	journals map[place]*journal
	apps     map[string]int // known to be in a space, on disk or about to be
}

// place is where an app's log is.
type place struct {
	space, app string
}

func newStore(cfg Config, log *slog.Logger) *store {
	return &store{cfg: cfg, log: log, journals: map[place]*journal{}, apps: map[string]int{}}
}

// dirName is the directory of an id; the platform's own lines have none.
func dirName(id string) string {
	if id == "" {
		return "_"
	}
	return id
}

// validID says whether s can be an id that names a directory or a file.
func validID(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && (i == 0 || c != '-' && c != '_' && c != '.') {
			return false
		}
	}
	return true
}

// journal returns an app's log, making it known if it is new. It fails with
// TooMany for a new app of a space that has too many.
func (s *store) journal(space, app string) (*journal, error) {
	at, err := newPlace(space, app)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.journals[at]; j != nil {
		return j, nil
	}
	if err := s.admit(at); err != nil {
		return nil, err
	}
	j, err := openJournal(s.dir(at), s.cfg, s.log.With("space", space, "app", app))
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "the log of app %q cannot be opened", app)
	}
	s.journals[at] = j
	return j, nil
}

// existing returns an app's log, nil if nothing was ever written to it.
func (s *store) existing(space, app string) (*journal, error) {
	at, err := newPlace(space, app)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	j := s.journals[at]
	s.mu.Unlock()
	if j != nil {
		return j, nil
	}
	if _, err := os.Stat(s.dir(at)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return s.journal(space, app)
}

func newPlace(space, app string) (place, error) {
	if space != "" && !validID(space) || app != "" && !validID(app) {
		return place{}, fault.New(fault.Invalid, "%q of space %q cannot have a log", app, space)
	}
	return place{space, app}, nil
}

func (s *store) dir(at place) string {
	return filepath.Join(s.cfg.Dir, dirName(at.space), dirName(at.app))
}

// admit counts a new app of a space; s.mu is held.
func (s *store) admit(at place) error {
	n, known := s.apps[at.space]
	if !known {
		entries, err := os.ReadDir(filepath.Join(s.cfg.Dir, dirName(at.space)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fault.Wrap(fault.Unavailable, err, "the logs of space %q cannot be listed", at.space)
		}
		n = len(entries)
	}
	if _, err := os.Stat(s.dir(at)); errors.Is(err, fs.ErrNotExist) {
		if n >= s.cfg.MaxApps {
			return fault.New(fault.TooMany, "space %q has logs of %d apps; there can be no more", at.space, n)
		}
		n++
	}
	s.apps[at.space] = n
	return nil
}

// tend closes files that are not written to and deletes old lines, until ctx ends.
func (s *store) tend(ctx context.Context) {
	idle, old := time.NewTicker(idleTime), time.NewTicker(expireEvery)
	defer idle.Stop()
	defer old.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-idle.C:
			for _, j := range s.all() {
				j.rest(now.Add(-idleTime))
			}
		case now := <-old.C:
			if err := s.expire(now.Add(-s.cfg.MaxAge)); err != nil {
				s.log.Error("old lines cannot be deleted", "error", err)
			}
		}
	}
}

func (s *store) all() []*journal {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*journal, 0, len(s.journals))
	for _, j := range s.journals {
		all = append(all, j)
	}
	return all
}

// close writes what is pending, for as long as ctx allows, and closes all files.
func (s *store) close(ctx context.Context) {
	for _, j := range s.all() {
		j.mu.Lock()
		last := j.last
		j.mu.Unlock()
		if err := j.sync(ctx, last); err != nil {
			s.log.Error("lines are lost: writing does not end", "error", err)
			continue
		}
		j.rest(time.Now().Add(time.Hour))
	}
}
