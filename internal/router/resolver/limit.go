package resolver

import (
	"net"
	"net/netip"
	"sync"

	"golang.org/x/time/rate"
)

// Bounds of one client's questions: what is above them is not answered.
const (
	perSecond  = 500
	atOnce     = 1000
	maxClients = 4096 // as many as a space has addresses
)

// limits bounds the questions of each client. The zero value is ready.
type limits struct {
	mu sync.Mutex
	of map[netip.Addr]*rate.Limiter
}

func (l *limits) allow(client netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter := l.of[client]
	if limiter == nil {
		if l.of == nil || len(l.of) >= maxClients {
			l.of = map[netip.Addr]*rate.Limiter{} // addresses of dynos that are gone
		}
		limiter = rate.NewLimiter(perSecond, atOnce)
		l.of[client] = limiter
	}
	return limiter.Allow()
}

// address is a client's without its port.
func address(a net.Addr) netip.Addr {
	p, _ := netip.ParseAddrPort(a.String())
	return p.Addr().Unmap()
}
