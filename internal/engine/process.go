package engine

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/strongroom/strongroom/internal/edge"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/router"
	"github.com/strongroom/strongroom/internal/spool"
	"github.com/strongroom/strongroom/internal/supervise"
)

// firstFile is the number of the first inherited file.
const firstFile = 3

// inherited returns the nth file that the supervisor passed.
func inherited(n int) *os.File {
	return os.NewFile(uintptr(firstFile+n), fmt.Sprintf("inherited-%d", n))
}

// parse reads a child's arguments.
func parse(f *flag.FlagSet, args []string) error {
	f.SetOutput(io.Discard)
	if err := f.Parse(args); err != nil || f.NArg() > 0 {
		return fault.New(fault.Invalid, "strongroom %s is started by the engine, with arguments of its own.", f.Name())
	}
	return nil
}

// Spool is the process `strongroom spool`.
func Spool(ctx context.Context, args []string, log *slog.Logger) error {
	var a spoolArgs
	f := flag.NewFlagSet("spool", flag.ContinueOnError)
	f.StringVar(&a.Dir, "dir", "", "log segments")
	f.StringVar(&a.Run, "run", "", "registrations")
	f.StringVar(&a.Control, "control", "", "supervision socket")
	if err := parse(f, args); err != nil {
		return err
	}
	build, err := supervise.BuildID()
	if err != nil {
		return err
	}
	file := inherited(0)
	l, err := net.FileListener(file)
	if err != nil {
		return fmt.Errorf("inherit the socket: %w", err)
	}
	file.Close()
	return spool.Run(ctx, spool.Config{Dir: a.Dir, Run: a.Run, Listener: l, Control: a.Control, Build: build}, log)
}

// Edge is the process `strongroom edge`.
func Edge(ctx context.Context, args []string, log *slog.Logger) error {
	var a edgeArgs
	f := flag.NewFlagSet("edge", flag.ContinueOnError)
	f.StringVar(&a.Table, "table", "", "file of the last table")
	f.StringVar(&a.Control, "control", "", "supervision socket")
	f.BoolVar(&a.Redirect, "redirect", false, "redirect HTTP")
	if err := parse(f, args); err != nil {
		return err
	}
	cfg := edge.Config{
		Control: edge.Endpoint{File: inherited(0)}, HTTPS: edge.Endpoint{File: inherited(1)}, TableFile: a.Table,
	}
	if a.Redirect {
		cfg.HTTP = edge.Endpoint{File: inherited(2)}
	}
	return supervised(ctx, "edge", a.Control, func(ctx context.Context) error { return edge.Run(ctx, cfg, log) })
}

// Router is the process `strongroom router`. It is started in the network of
// its space.
func Router(ctx context.Context, args []string, log *slog.Logger) error {
	var a routerArgs
	f := flag.NewFlagSet("router", flag.ContinueOnError)
	f.StringVar(&a.Space, "space", "", "space id")
	f.IntVar(&a.Edge, "edge-uid", 0, "user id of the edge")
	f.StringVar(&a.Control, "control", "", "supervision socket")
	if err := parse(f, args); err != nil {
		return err
	}
	cfg := router.Config{
		Space: a.Space, Edge: a.Edge, AccessLog: inherited(0), Handover: inherited(1), Control: inherited(2),
		Drain: routerGrace - 5*time.Second,
	}
	var err error
	if cfg.DNSPacket, cfg.DNSStream, err = listenDNS(ctx); err != nil {
		return fmt.Errorf("open the resolver's port: %w", err)
	}
	return supervised(ctx, routerName(a.Space), a.Control, func(ctx context.Context) error { return router.Run(ctx, cfg, log) })
}

// resolverAddress is the gateway's in every space.
const resolverAddress = "169.254.1.1:53"

func listenDNS(ctx context.Context) (packet, stream *os.File, err error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	p, err := config.ListenPacket(ctx, "udp4", resolverAddress)
	if err != nil {
		return nil, nil, err
	}
	defer p.Close()
	s, err := config.Listen(ctx, "tcp4", resolverAddress)
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	if packet, err = p.(*net.UDPConn).File(); err != nil {
		return nil, nil, err
	}
	stream, err = s.(*net.TCPListener).File()
	return packet, stream, err
}

// supervised runs a process that can open no socket once it serves: it answers
// its supervisor before. What it is to serve waits in inherited sockets.
func supervised(ctx context.Context, name, control string, run func(context.Context) error) error {
	build, err := supervise.BuildID()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	answering := make(chan error, 1)
	answerCtx, stop := context.WithCancel(context.WithoutCancel(ctx)) // until the last request has ended
	go func() {
		err := supervise.Serve(answerCtx, control, name, build)
		cancel(fmt.Errorf("answer the supervisor: %w", err))
		answering <- err
	}()
	if err := awaitSocket(ctx, control); err != nil {
		stop()
		return errors.Join(err, <-answering)
	}
	err = run(ctx)
	stop()
	return errors.Join(err, <-answering)
}

// awaitSocket waits until somebody listens on the socket.
func awaitSocket(ctx context.Context, path string) error {
	for {
		c, err := new(net.Dialer).DialContext(ctx, "unix", path)
		if err == nil {
			return c.Close()
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
