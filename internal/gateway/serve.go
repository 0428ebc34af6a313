package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// handler serves one connection. It calls leave when the connection has become a
// session; it closes the connection.
type handler func(ctx context.Context, conn net.Conn, remote netip.Addr, leave func())

// serve accepts connections until ctx ends and returns when all handlers have.
func serve(ctx context.Context, ln net.Listener, src *sources, log *slog.Logger, handle handler) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer ln.Close()
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	for {
		conn, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil: // too many open files, or a client that was gone at once
			log.Warn("cannot accept connections", "error", err)
			sleep(ctx, 100*time.Millisecond)
			continue
		}
		remote := remoteAddr(conn)
		leave, ok := src.admit(remote)
		if !ok {
			conn.Close()
			continue
		}
		wg.Go(func() {
			defer leave()
			defer conn.Close()
			handle(ctx, conn, remote, leave)
		})
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
