package edge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/edge/confine"
	"github.com/strongroom/strongroom/internal/edge/control"
)

// Run serves until ctx ends. It confines the whole process before it serves:
// from then on nothing in it can bind, listen, execute, or make a socket other
// than a unix one. What else the process wants to listen on (its supervision
// socket) must be open before the call.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	listeners, err := open(ctx, cfg)
	if err != nil {
		return err
	}
	defer listeners.close()
	if err := confine.Enter(unix.AF_UNIX); err != nil {
		return fmt.Errorf("confine the edge: %w", err)
	}
	return serve(ctx, cfg, listeners, log)
}

// listeners are the open sockets; http may be nil.
type listeners struct {
	https, http *net.TCPListener
	control     *net.UnixListener
}

func (l *listeners) close() {
	if l.https != nil {
		l.https.Close()
	}
	if l.http != nil {
		l.http.Close()
	}
	if l.control != nil {
		l.control.Close()
	}
}

func open(ctx context.Context, cfg Config) (_ *listeners, err error) {
	l := &listeners{}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if l.https, err = cfg.HTTPS.tcp(ctx); err != nil {
		return nil, fmt.Errorf("open the HTTPS port: %w", err)
	}
	if cfg.HTTP != (Endpoint{}) {
		if l.http, err = cfg.HTTP.tcp(ctx); err != nil {
			return nil, fmt.Errorf("open the HTTP port: %w", err)
		}
	}
	if l.control, err = cfg.Control.unix(); err != nil {
		return nil, fmt.Errorf("open the control socket: %w", err)
	}
	return l, nil
}

func serve(ctx context.Context, cfg Config, l *listeners, log *slog.Logger) error {
	cfg.PublicPort = cmp.Or(cfg.PublicPort, 443)
	cfg.HelloTimeout = cmp.Or(cfg.HelloTimeout, 5*time.Second)
	cfg.MaxHandshakes = cmp.Or(cfg.MaxHandshakes, 4096)
	cfg.MaxPerSource = cmp.Or(cfg.MaxPerSource, 128)
	e := newEdge(cfg, log)
	e.recall()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return control.Serve(ctx, l.control, cfg.Controller, e.controls(), log) })
	group.Go(func() error { return e.accept(ctx, l.https, e.pass) })
	if l.http != nil {
		group.Go(func() error { return e.accept(ctx, l.http, e.redirect) })
	}
	stop := context.AfterFunc(ctx, l.close)
	defer stop()
	return group.Wait()
}

// Listen opens a TCP listener whose connections can be passed on: a plain one,
// as a multipath connection may go on from addresses nobody has checked.
func Listen(ctx context.Context, address string) (*net.TCPListener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return listener.(*net.TCPListener), nil
}

func (e Endpoint) tcp(ctx context.Context) (*net.TCPListener, error) {
	if e.File == nil {
		return Listen(ctx, e.Address)
	}
	listener, err := inherit(e.File)
	if err != nil {
		return nil, err
	}
	tcp, ok := listener.(*net.TCPListener)
	if !ok {
		listener.Close()
		return nil, errors.New("the inherited socket is not a TCP listener")
	}
	if err := checkPlain(tcp); err != nil {
		tcp.Close()
		return nil, err
	}
	return tcp, nil
}

func (e Endpoint) unix() (*net.UnixListener, error) {
	if e.File == nil {
		return net.ListenUnix("unix", &net.UnixAddr{Name: e.Address, Net: "unix"})
	}
	listener, err := inherit(e.File)
	if err != nil {
		return nil, err
	}
	socket, ok := listener.(*net.UnixListener)
	if !ok {
		listener.Close()
		return nil, errors.New("the inherited socket is not a unix listener")
	}
	return socket, nil
}

// inherit takes over the socket in file and closes the file.
func inherit(file *os.File) (net.Listener, error) {
	defer file.Close()
	return net.FileListener(file)
}

// checkPlain refuses a multipath listener; see Listen.
func checkPlain(listener *net.TCPListener) error {
	raw, err := listener.SyscallConn()
	if err != nil {
		return err
	}
	var protocol int
	var got error
	err = raw.Control(func(fd uintptr) {
		protocol, got = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PROTOCOL)
	})
	if err := errors.Join(err, got); err != nil {
		return err
	}
	if protocol != unix.IPPROTO_TCP {
		return errors.New("the inherited socket is a multipath TCP listener: open it with SetMultipathTCP(false)")
	}
	return nil
}
