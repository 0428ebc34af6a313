package memory

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/strongroom/strongroom/internal/driver"
)

var errRefused = errors.New("connection refused")

// listener hands over one half of a net.Pipe for each connection.
type listener struct {
	conns chan net.Conn
	once  sync.Once
	gone  chan struct{}
}

func (l *listener) shut() { l.once.Do(func() { close(l.gone) }) }

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.gone:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error   { l.shut(); return nil }
func (l *listener) Addr() net.Addr { return &net.TCPAddr{} }

// Address implements script.System.
func (m *machine) Address() (string, error) { return m.address, nil }

// Listen implements script.System. An instance that listens on its Port is up.
func (m *machine) Listen(port int) (net.Listener, error) {
	m.driver.mu.Lock()
	defer m.driver.mu.Unlock()
	if m.listens[port] != nil {
		return nil, errors.New("address already in use")
	}
	l := &listener{conns: make(chan net.Conn), gone: make(chan struct{})}
	m.listens[port] = l
	if port == m.spec.Port && m.state == driver.Starting {
		m.enter(driver.Up)
		m.driver.kick()
	}
	return l, nil
}

// Dial implements script.System: from inside the process's space, by address
// or by a formation's name, where policy allows.
func (m *machine) Dial(ctx context.Context, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	d := m.driver
	d.mu.Lock()
	d.refuse(m.process, host, port)
	l := d.find(m.space, host, port, func(target *process) bool {
		f, kept := d.formations[target.formation]
		if target.formation == "" {
			return !target.private || target == m.process
		}
		return kept && (!f.Private || slices.Contains(m.peers, f.ID))
	})
	d.mu.Unlock()
	return l.dial(ctx)
}

// refuse remembers an attempt to reach an address outside: here there is no
// outside. d.mu is held.
func (d *Driver) refuse(p *process, host, port string) {
	to, err := netip.ParseAddr(host)
	n, err2 := strconv.Atoi(port)
	s := d.spaces[p.space]
	if err != nil || err2 != nil || s == nil || strings.HasPrefix(host, "10.") {
		return
	}
	x := driver.Refusal{App: p.labels.App, Dyno: p.dyno, To: to.String(), Protocol: "tcp", Port: n}
	i := slices.IndexFunc(s.refused, func(o driver.Refusal) bool {
		o.Packets = 0
		return o == x
	})
	if i < 0 {
		i, s.refused = len(s.refused), append(s.refused, x)
	}
	s.refused[i].Packets++
}

// find returns who listens at host and port of a space, or nil.
func (d *Driver) find(space, host, port string, allowed func(*process) bool) *listener {
	n, err := strconv.Atoi(port)
	if err != nil {
		return nil
	}
	name, named := strings.CutSuffix(host, ".localspace")
	for _, p := range d.processes {
		here := p.address == host || named && p.state == driver.Up && d.formations[p.formation].Name == name
		if p.space == space && here && p.listens[n] != nil && allowed(p) {
			return p.listens[n]
		}
	}
	return nil
}

func (l *listener) dial(ctx context.Context) (net.Conn, error) {
	if l == nil {
		return nil, errRefused
	}
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.gone:
		return nil, errRefused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
