package git

import (
	"errors"
	"sync"
	"time"
)

// errTooLong ends a push that git works on for too long.
var errTooLong = errors.New("git: the push takes too long to unpack")

// stint bounds the time that somebody works, leaving out pauses.
type stint struct {
	mu    sync.Mutex
	left  time.Duration
	since time.Time // of the work under way
	timer *time.Timer
	over  bool
}

// newStint returns a stint that has not begun. late is called once when the
// work has taken longer than most.
func newStint(most time.Duration, late func()) *stint {
	s := &stint{left: most, timer: time.AfterFunc(most, late)}
	s.timer.Stop()
	return s
}

func (s *stint) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.since = time.Now()
		s.timer.Reset(s.left)
	}
}

func (s *stint) pause() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over && s.timer.Stop() {
		s.left -= time.Since(s.since)
	}
}

// end lets the time run out no more.
func (s *stint) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.timer.Stop()
}
