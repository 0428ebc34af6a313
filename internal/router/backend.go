package router

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// quarantine is how long a backend that could not be connected to is passed
// over while there are others: with nothing under way it would otherwise look
// like the least busy of all.
const quarantine = 3 * time.Second

// backend is one dyno. It lives as long as a snapshot names it or a request is
// under way, so that the count of requests goes across snapshots.
type backend struct {
	Backend
	requests atomic.Int64
	draining atomic.Bool  // no snapshot names it any more
	failed   atomic.Int64 // when a connection last failed, Unix nanoseconds
}

// acquire counts a request, unless the backend is draining: then the caller has
// to look at the snapshot again. Whoever sees draining and no requests can be
// sure that none will come.
func (b *backend) acquire() bool {
	b.requests.Add(1)
	if b.draining.Load() {
		b.requests.Add(-1)
		return false
	}
	return true
}

func (b *backend) release() { b.requests.Add(-1) }

func (b *backend) quarantined(now time.Time) bool {
	return now.UnixNano()-b.failed.Load() < int64(quarantine)
}

// pick returns the less busy of two random backends, passing over tried, and
// over quarantined ones while there are others. It returns nil if only tried is
// left.
func pick(backends []*backend, tried *backend, now time.Time) *backend {
	n := len(backends)
	if n == 0 {
		return nil
	}
	first := rand.IntN(n)
	a := backends[first]
	b := a
	if n > 1 {
		b = backends[(first+1+rand.IntN(n-1))%n]
	}
	if b.requests.Load() < a.requests.Load() {
		a, b = b, a
	}
	for _, candidate := range []*backend{a, b} {
		if candidate != tried && !candidate.quarantined(now) {
			return candidate
		}
	}
	return search(backends, first, tried, now)
}

// search is pick when both random choices were bad.
func search(backends []*backend, start int, tried *backend, now time.Time) *backend {
	var last *backend
	for i := range backends {
		candidate := backends[(start+i)%len(backends)]
		switch {
		case candidate == tried:
		case !candidate.quarantined(now):
			return candidate
		default:
			last = candidate
		}
	}
	return last
}

// registry holds the backends of the snapshot in force and those draining.
type registry struct {
	mu    sync.Mutex
	known map[Backend]*backend
}

// prepare returns the backends for a new snapshot without changing anything:
// those already known, and new ones.
func (r *registry) prepare(snapshot Snapshot) map[Backend]*backend {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := make(map[Backend]*backend)
	for _, host := range snapshot.Hosts {
		for _, b := range host.Backends {
			if next[b] != nil {
				continue
			}
			if next[b] = r.known[b]; next[b] == nil {
				next[b] = &backend{Backend: b}
			}
		}
	}
	return next
}

// replace makes next the backends in force and the others draining. install
// puts the snapshot into force in between: a backend that comes back is ready
// before a request can find it, and a request that meets one that left finds
// the new snapshot when it looks again.
func (r *registry) replace(next map[Backend]*backend, install func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range next {
		b.draining.Store(false)
	}
	install()
	for key, b := range r.known {
		if next[key] != nil {
			continue
		}
		b.draining.Store(true)
		if b.requests.Load() > 0 {
			next[key] = b
		}
	}
	r.known = next
}

// status reports all, and forgets those that have drained.
func (r *registry) status() []BackendStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]BackendStatus, 0, len(r.known))
	for key, b := range r.known {
		status := BackendStatus{
			Address: b.Address, Dyno: b.Dyno,
			Requests: b.requests.Load(), Draining: b.draining.Load(),
		}
		if status.Draining && status.Requests == 0 {
			delete(r.known, key)
			continue
		}
		list = append(list, status)
	}
	return list
}
