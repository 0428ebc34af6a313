package edge

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strongroom/strongroom/internal/edge/handover"
)

// acceptPause is how long accepting rests after an error such as running out of
// descriptors, which does not pass by trying at once.
const acceptPause = 20 * time.Millisecond

// edge is the running process.
type edge struct {
	cfg       Config
	log       *slog.Logger
	admission *admission
	count     *counters
	routes    atomic.Pointer[routes] // never nil
	push      sync.Mutex             // held while a table is replaced
}

func newEdge(cfg Config, log *slog.Logger) *edge {
	e := &edge{
		cfg: cfg, log: log, count: newCounters(),
		admission: newAdmission(cfg.MaxHandshakes, cfg.MaxPerSource),
	}
	e.routes.Store(&routes{})
	return e
}

// accept takes connections until the listener is closed, and gives each that may
// go on to serve, which returns the reason if it refused. It never waits for a
// client.
func (e *edge) accept(ctx context.Context, listener *net.TCPListener, serve func(*net.TCPConn, netip.Addr) string) error {
	for {
		conn, err := listener.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			e.log.Error("accept a connection", "err", err)
			select {
			case <-time.After(acceptPause):
			case <-ctx.Done():
			}
			continue
		}
		e.admit(conn, serve)
	}
}

// admit refuses what can be refused by its address alone, so that a stranger
// cannot use up the room for unfinished connections. (Whoever adds ACME http-01
// has to let strangers past this on the HTTP port while a challenge is open.)
func (e *edge) admit(conn *net.TCPConn, serve func(*net.TCPConn, netip.Addr) string) {
	e.count.accepted.Add(1)
	source := addressOf(conn)
	if !e.routes.Load().trusted.Contains(source) {
		e.refuse(conn, ReasonUntrusted)
		return
	}
	if reason := e.admission.enter(source); reason != "" {
		e.refuse(conn, reason)
		return
	}
	go func() {
		defer e.admission.leave(source)
		if err := conn.SetDeadline(time.Now().Add(e.cfg.HelloTimeout)); err != nil {
			e.refuse(conn, ReasonClosed)
			return
		}
		if reason := serve(conn, source); reason != "" {
			e.refuse(conn, reason)
			return
		}
		conn.Close() // what was passed on stays open in the router
	}()
}

// pass finds the router of a connection on the HTTPS port and passes it on.
func (e *edge) pass(conn *net.TCPConn, source netip.Addr) (reason string) {
	input := &bounded{Conn: conn}
	name, reason := readHello(input)
	if reason != "" {
		return reason
	}
	space := e.routes.Load().find(name)
	if space == nil {
		return ReasonUnknownName
	}
	if reason := space.take(conn, source, input.read); reason != "" {
		space.count.refuse(reason)
		return reason
	}
	space.count.handed.Add(1)
	e.count.handed.Add(1)
	return ""
}

// take passes a connection to the space's router if its source may use it.
func (s *space) take(conn *net.TCPConn, source netip.Addr, read []byte) (reason string) {
	if !s.trusted.Contains(source) {
		return ReasonUntrusted
	}
	err := s.link.Send(conn, read)
	switch {
	case err == nil:
		return ""
	case errors.Is(err, handover.ErrFull):
		return ReasonQueueFull
	default:
		return ReasonRouterDown
	}
}

// refuse counts the reason and resets the connection: the client learns nothing.
func (e *edge) refuse(conn *net.TCPConn, reason string) {
	e.count.refuse(reason)
	// Errors here mean that the connection is gone, which is what is wanted.
	_ = conn.SetLinger(0)
	_ = conn.Close()
}

// addressOf returns the client's address, IPv4 as such.
func addressOf(conn *net.TCPConn) netip.Addr {
	address, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.IPv4Unspecified()
	}
	return address.AddrPort().Addr().Unmap().WithZone("")
}
