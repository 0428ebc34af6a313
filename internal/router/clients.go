package router

import (
	"net"
	"sync"
	"sync/atomic"

	"github.com/strongroom/strongroom/internal/edge/handover"
)

// clients is the listener of the HTTP server: it takes connections from the
// edge, up to a limit.
type clients struct {
	net.Listener
	limit   int64
	now     atomic.Int64
	taken   atomic.Uint64
	refused atomic.Uint64
}

// Accept returns the next connection. Those above the limit are reset.
func (c *clients) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c.now.Add(1) <= c.limit {
			c.taken.Add(1)
			return &client{Conn: conn, all: c}, nil
		}
		c.now.Add(-1)
		c.refused.Add(1)
		reset(conn)
	}
}

func (c *clients) open() int { return int(c.now.Load()) }

// reset closes a connection without an answer. An error means that it is gone.
func reset(conn net.Conn) {
	if passed, ok := conn.(*handover.Conn); ok {
		_ = passed.Reset()
		return
	}
	_ = conn.Close()
}

// client is a connection that counts towards the limit until it is closed.
type client struct {
	net.Conn
	all  *clients
	once sync.Once
}

func (c *client) Close() error {
	c.once.Do(func() { c.all.now.Add(-1) })
	return c.Conn.Close()
}
