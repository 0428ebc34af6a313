package gateway

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits bounds what clients can do before they have shown a valid secret or
// key. A source is an IPv4 address or an IPv6 /64.
type Limits struct {
	Waiting   int           // connections without a session, in all; 0 means 512
	PerSource int           // of these, from one source; 0 means 16
	Failures  int           // wrong secrets or keys from one source at once; 0 means 10
	Recovery  time.Duration // until one more failure is allowed; 0 means 6 s
}

// Stats counts connections since the start of a server.
type Stats struct {
	Accepted int64 // all
	Refused  int64 // showed no valid secret or key
	Limited  int64 // closed unheard, by Limits
	Opened   int64 // became sessions
}

// maxSources bounds the memory that failures take. With more sources than that
// failing at once, some are forgotten.
const maxSources = 10_000

// sources enforces Limits and counts.
type sources struct {
	limits Limits

	mu      sync.Mutex
	waiting int
	by      map[netip.Prefix]*source
	count   Stats
}

type source struct {
	waiting  int
	failures *rate.Limiter
}

func newSources(l Limits) *sources {
	if l.Waiting == 0 {
		l.Waiting = 512
	}
	if l.PerSource == 0 {
		l.PerSource = 16
	}
	if l.Failures == 0 {
		l.Failures = 10
	}
	setDefault(&l.Recovery, 6*time.Second)
	return &sources{limits: l, by: map[netip.Prefix]*source{}}
}

// admit tells whether a connection from addr may be heard. If so, the caller
// calls leave when it has become a session or has ended.
func (s *sources) admit(addr netip.Addr) (leave func(), ok bool) {
	key := sourceOf(addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count.Accepted++
	src := s.by[key]
	if src == nil {
		src = &source{failures: rate.NewLimiter(rate.Every(s.limits.Recovery), s.limits.Failures)}
	}
	if s.waiting >= s.limits.Waiting || src.waiting >= s.limits.PerSource || src.failures.Tokens() < 1 {
		s.count.Limited++
		return nil, false
	}
	s.by[key] = src
	s.waiting++
	src.waiting++
	return sync.OnceFunc(func() { s.leave(key) }), true
}

func (s *sources) leave(key netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting--
	src := s.by[key]
	src.waiting--
	if src.waiting == 0 && src.recovered(s.limits) {
		delete(s.by, key)
	}
	s.forget()
}

// forget keeps the map bounded. Called with mu held.
func (s *sources) forget() {
	for pass := 0; len(s.by) > maxSources && pass < 2; pass++ {
		for key, src := range s.by {
			if src.waiting == 0 && (pass > 0 || src.recovered(s.limits)) {
				delete(s.by, key)
			}
			if len(s.by) <= maxSources {
				return
			}
		}
	}
}

func (src *source) recovered(l Limits) bool {
	return src.failures.Tokens() >= float64(l.Failures)
}

// refused notes that a client showed nothing valid, and whether that may have
// been a guess. It is called before leave.
func (s *sources) refused(addr netip.Addr, guess bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count.Refused++
	if src := s.by[sourceOf(addr)]; src != nil && guess {
		src.failures.Allow()
	}
}

func (s *sources) opened() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count.Opened++
}

func (s *sources) stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

func sourceOf(addr netip.Addr) netip.Prefix {
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // an address that is not known: all of these are one source
	}
	return p
}

// remoteAddr is where a connection comes from.
func remoteAddr(c net.Conn) netip.Addr {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}
