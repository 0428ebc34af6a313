package router

import (
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// Stranger counts the connections to one host that ended in the handshake because
// their client showed no certificate, or none that is vouched for.
type Stranger struct {
	Host  string    `json:"host"`
	Count uint64    `json:"count"` // since the router began
	Last  time.Time `json:"last"`
	From  string    `json:"from"` // address of the last one
}

// strangers counts by host. Only names of snapshots are counted, so it is bounded
// by them.
type strangers struct {
	mu   sync.Mutex
	seen map[string]*Stranger
}

func (s *strangers) count(host string, from net.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[string]*Stranger{}
	}
	one := s.seen[host]
	if one == nil {
		one = &Stranger{Host: host}
		s.seen[host] = one
	}
	one.Count++
	one.Last = time.Now().UTC()
	if one.From = from.String(); strings.Contains(one.From, ":") {
		one.From, _, _ = net.SplitHostPort(one.From)
	}
}

// list gives them by host, and forgets those that are not served any more.
func (s *strangers) list(served func(host string) bool) []Stranger {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Stranger{}
	for name, one := range s.seen {
		if !served(name) {
			delete(s.seen, name)
			continue
		}
		list = append(list, *one)
	}
	slices.SortFunc(list, func(a, b Stranger) int { return strings.Compare(a.Host, b.Host) })
	return list
}
