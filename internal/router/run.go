package router

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/edge/confine"
	"github.com/strongroom/strongroom/internal/edge/control"
	"github.com/strongroom/strongroom/internal/edge/handover"
	"github.com/strongroom/strongroom/internal/router/resolver"
)

// Limits on what a client can send before an app sees it, as on Heroku or more
// generous.
const (
	maxHeader   = 64 << 10
	idleClient  = 90 * time.Second // between requests
	maxStreams  = 128              // of one HTTP/2 connection
	pingTime    = 30 * time.Second // of silence, until an HTTP/2 client is asked whether it lives
	pingTimeout = 15 * time.Second
)

// router is the running process.
type router struct {
	cfg      Config
	log      *slog.Logger
	hosts    atomic.Pointer[hosts] // never nil
	push     sync.Mutex            // held while a snapshot is replaced
	ready    chan struct{}         // closed by the first snapshot
	once     sync.Once             // closes it
	backends registry
	handover *handover.Listener
	clients  *clients
	control  *net.UnixListener
	packet   net.PacketConn // nil without a resolver
	stream   net.Listener   // nil without a resolver
	resolver *resolver.Resolver
	access   *accessLog
	proxy    *proxy

	strangers strangers
}

// Run serves until ctx ends, then lets open requests finish for cfg.Drain. It
// takes over the files in cfg and confines the whole process before it serves:
// from then on nothing in it can bind, listen, execute, or make a socket that is
// not for the internet protocols. What else the process wants to listen on (its
// supervision socket) must be open before the call.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	r, err := open(cfg, log)
	if err != nil {
		return err
	}
	defer r.close()
	if err := confine.Enter(unix.AF_INET, unix.AF_INET6); err != nil {
		return fmt.Errorf("confine the router: %w", err)
	}
	return r.serve(ctx)
}

// open takes over the inherited files.
func open(cfg Config, log *slog.Logger) (_ *router, err error) {
	cfg.PublicPort = cmp.Or(cfg.PublicPort, 443)
	cfg.MaxConnections = cmp.Or(cfg.MaxConnections, 8192)
	cfg.Head = cmp.Or(cfg.Head, 20*time.Second)
	cfg.FirstByte = cmp.Or(cfg.FirstByte, 30*time.Second)
	cfg.Idle = cmp.Or(cfg.Idle, 55*time.Second)
	cfg.Connect = cmp.Or(cfg.Connect, 5*time.Second)
	cfg.Drain = cmp.Or(cfg.Drain, 30*time.Second)
	r := &router{cfg: cfg, log: log, resolver: resolver.New(log), ready: make(chan struct{})}
	r.hosts.Store(&hosts{})
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if cfg.Handover == nil || cfg.Control == nil {
		return nil, errors.New("the router needs its hand-over and control sockets")
	}
	if r.handover, err = handover.Listen(cfg.Handover, []int{0, cfg.Edge}, log); err != nil {
		return nil, err
	}
	cfg.Handover.Close()
	trusts := func(client net.Addr) bool { return r.hosts.Load().trusts(client) }
	r.clients = newClients(r.handover, cfg.MaxConnections, r.ready, trusts)
	if r.control, err = inheritUnix(cfg.Control); err != nil {
		return nil, fmt.Errorf("open the control socket: %w", err)
	}
	if err = r.openResolver(); err != nil {
		return nil, fmt.Errorf("open the resolver's sockets: %w", err)
	}
	if cfg.AccessLog != nil {
		if r.access, err = newAccessLog(cfg.AccessLog); err != nil {
			return nil, err
		}
		cfg.AccessLog.Close()
	}
	r.proxy = newProxy(cfg, r.hosts.Load, r.access, log)
	return r, nil
}

func (r *router) openResolver() (err error) {
	if file := r.cfg.DNSPacket; file != nil {
		defer file.Close()
		if r.packet, err = net.FilePacketConn(file); err != nil {
			return err
		}
	}
	if file := r.cfg.DNSStream; file != nil {
		defer file.Close()
		if r.stream, err = net.FileListener(file); err != nil {
			return err
		}
	}
	return nil
}

func inheritUnix(file *os.File) (*net.UnixListener, error) {
	defer file.Close()
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	socket, ok := listener.(*net.UnixListener)
	if !ok {
		listener.Close()
		return nil, errors.New("not a unix listener")
	}
	return socket, nil
}

// serve runs everything until ctx ends or a part of it fails. The resolver and
// the control socket answer until the last request has ended.
func (r *router) serve(ctx context.Context) error {
	rest, stop := context.WithCancel(context.WithoutCancel(ctx))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer stop()
		return r.serveHTTP(ctx)
	})
	group.Go(func() error { return control.Serve(rest, r.control, r.cfg.Controller, r.controls(), r.log) })
	if r.packet != nil {
		group.Go(func() error { return r.resolver.ServePacket(rest, r.packet) })
	}
	if r.stream != nil {
		group.Go(func() error { return r.resolver.ServeStream(rest, r.stream) })
	}
	return group.Wait()
}

func (r *router) serveHTTP(ctx context.Context) error {
	server := &http.Server{
		Handler:           r.proxy,
		TLSConfig:         r.serverTLS(),
		ReadHeaderTimeout: r.cfg.Head,
		IdleTimeout:       idleClient,
		MaxHeaderBytes:    maxHeader,
		ConnContext:       withClient,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams, SendPingTimeout: pingTime, PingTimeout: pingTimeout},
		ErrorLog:          r.proxy.quiet,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.ServeTLS(r.clients, "", "") }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve HTTP: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.Drain)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		r.log.Warn("requests were cut off at the end", "err", err)
		return server.Close()
	}
	return nil
}

// close closes what open opened; closing twice is harmless.
func (r *router) close() {
	if r.handover != nil {
		r.handover.Close()
	}
	if r.control != nil {
		r.control.Close()
	}
	if r.packet != nil {
		r.packet.Close()
	}
	if r.stream != nil {
		r.stream.Close()
	}
	r.access.close()
	if r.proxy != nil {
		r.proxy.transport.CloseIdleConnections()
	}
}
