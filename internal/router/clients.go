package router

import (
	"net"
	"sync"
	"sync/atomic"

	"github.com/strongroom/strongroom/internal/edge/handover"
)

// clients is the listener of the HTTP server: it takes connections from the
// edge, up to a limit. Before the first snapshot it takes none: what the edge
// passes to a router that was restarted waits, instead of being told that its
// name is unknown.
type clients struct {
	net.Listener
	ready   <-chan struct{}
	closed  chan struct{}
	once    sync.Once
	limit   int
	trusts  func(net.Addr) bool // by the snapshot in force
	taken   atomic.Uint64
	refused atomic.Uint64 // too many
	strange atomic.Uint64 // not trusted

	mu  sync.Mutex
	all map[*client]struct{}
}

func newClients(passed net.Listener, limit int, ready <-chan struct{}, trusts func(net.Addr) bool) *clients {
	return &clients{
		Listener: passed, ready: ready, closed: make(chan struct{}), limit: limit, trusts: trusts,
		all: make(map[*client]struct{}),
	}
}

// Accept returns the next connection. Those above the limit, and those whose
// network is not trusted any more, are reset.
func (c *clients) Accept() (net.Conn, error) {
	select {
	case <-c.ready:
	case <-c.closed:
		return nil, net.ErrClosed
	}
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		accepted := &client{Conn: conn, clients: c}
		switch {
		case c.add(accepted):
			c.taken.Add(1)
			return accepted, nil
		case c.trusts(conn.RemoteAddr()):
			c.refused.Add(1)
		default:
			c.strange.Add(1)
		}
		reset(conn)
	}
}

// add looks at trust under the lock: a connection is either seen by cut, or sees
// the snapshot that cut is about.
func (c *clients) add(accepted *client) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.all) >= c.limit || !c.trusts(accepted.RemoteAddr()) {
		return false
	}
	c.all[accepted] = struct{}{}
	return true
}

// cut resets all connections that are not trusted any more, whatever they are
// doing.
func (c *clients) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for open := range c.all {
		if !c.trusts(open.RemoteAddr()) {
			reset(open.Conn)
		}
	}
}

// Close ends Accept.
func (c *clients) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Listener.Close()
}

func (c *clients) open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all)
}

// reset closes a connection without an answer. An error means that it is gone.
func reset(conn net.Conn) {
	if passed, ok := conn.(*handover.Conn); ok {
		_ = passed.Reset()
		return
	}
	_ = conn.Close()
}

// client is a connection that is known until it is closed.
type client struct {
	net.Conn
	clients *clients
	proof   atomic.Pointer[vouched] // of who it is; nil: none was asked for
}

func (c *client) Close() error {
	c.clients.mu.Lock()
	delete(c.clients.all, c)
	c.clients.mu.Unlock()
	return c.Conn.Close()
}
