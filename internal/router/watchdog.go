package router

import (
	"sync"
	"sync/atomic"
	"time"
)

// watchdog ends an exchange on which nothing has moved for too long.
type watchdog struct {
	limit  time.Duration
	exempt func() bool // at this moment another limit applies
	expire func()
	start  time.Time
	last   atomic.Int64 // when something moved, since start

	mu      sync.Mutex // held while expire runs: after stop it does not
	timer   *time.Timer
	stopped bool
}

func watch(limit time.Duration, exempt func() bool, expire func()) *watchdog {
	w := &watchdog{limit: limit, exempt: exempt, expire: expire, start: time.Now()}
	w.mu.Lock()
	w.timer = time.AfterFunc(limit, w.look)
	w.mu.Unlock()
	return w
}

// touch says that something moved.
func (w *watchdog) touch() { w.last.Store(int64(time.Since(w.start))) }

// look runs when the timer does.
func (w *watchdog) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	left := w.limit - (time.Since(w.start) - time.Duration(w.last.Load()))
	switch {
	case w.exempt():
		w.timer.Reset(w.limit)
	case left > 0:
		w.timer.Reset(left)
	default:
		w.expire()
	}
}

// stop ends the watch. Afterwards expire is not running and will not run.
func (w *watchdog) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	w.timer.Stop()
}
