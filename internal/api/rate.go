package api

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// rates keeps token buckets by key. Those that are full again are forgotten.
type rates struct {
	every time.Duration // between two requests, in the long run
	burst int

	mu      sync.Mutex
	buckets map[string]*rate.Limiter
	swept   time.Time
}

func newRates(every time.Duration, burst int) *rates {
	return &rates{every: every, burst: burst, buckets: map[string]*rate.Limiter{}}
}

// take uses one token and tells how many are left.
func (l *rates) take(key string, now time.Time) (left int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	b := l.buckets[key]
	if b == nil {
		b = rate.NewLimiter(rate.Every(l.every), l.burst)
		l.buckets[key] = b
	}
	ok = b.AllowN(now, 1)
	return int(b.TokensAt(now)), ok
}

// left tells how many tokens there are without using one.
func (l *rates) left(key string, now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.buckets[key]; b != nil {
		return int(b.TokensAt(now))
	}
	return l.burst
}

func (l *rates) sweep(now time.Time) {
	if now.Sub(l.swept) < time.Minute {
		return
	}
	l.swept = now
	for key, b := range l.buckets {
		if b.TokensAt(now) >= float64(l.burst) {
			delete(l.buckets, key)
		}
	}
}

// network is the source's /24 or /64: what one guesser is likely to have.
func network(a netip.Addr) string {
	bits := 64
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return "unknown"
	}
	return p.String()
}
