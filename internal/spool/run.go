package spool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/supervise"
)

const (
	// lockTime is how long a new spool waits for a former one to end.
	lockTime = time.Second
	// closeTime is how long the last lines may take to be written.
	closeTime = 10 * time.Second
)

// Run serves until ctx ends; then it writes what it holds, notes the lines that
// have begun for the next spool, and returns nil. Only one spool runs on a Run
// directory: another waits a moment, then fails with Unavailable.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	cfg, err := cfg.normal()
	if err != nil {
		return err
	}
	for _, dir := range []string{cfg.Dir, cfg.Run} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	lock, err := acquire(ctx, filepath.Join(cfg.Run, "lock"))
	if err != nil {
		return err
	}
	defer lock.Close()
	store := newStore(cfg, log)
	registry, err := newRegistry(filepath.Join(cfg.Run, "streams"), store, log)
	if err != nil {
		return err
	}
	// First of all: dynos may be waiting for their output to be read.
	if err := registry.load(); err != nil {
		return err
	}
	err = serve(ctx, cfg, newServer(store, registry, log))
	registry.shutdown()
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	store.close(closing)
	return err
}

// serve answers callers and the supervisor until ctx ends.
func serve(ctx context.Context, cfg Config, s *server) error {
	listener := cfg.Listener
	if listener == nil {
		var err error
		if listener, err = supervise.ListenUnix(cfg.Socket, 0o660); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	api := &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
		// Queries that follow end with ctx.
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	group.Go(func() error {
		err := api.Serve(&peerListener{Listener: listener, uids: cfg.UIDs, log: s.log})
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	})
	group.Go(func() error {
		<-ctx.Done()
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		if err := api.Shutdown(closing); err != nil {
			return api.Close()
		}
		return nil
	})
	group.Go(func() error { s.store.tend(ctx); return nil })
	if cfg.Control != "" {
		group.Go(func() error { return supervise.Serve(ctx, cfg.Control, "spool", cfg.Build) })
	}
	return group.Wait()
}

// normal fills in the defaults and says what is missing.
func (c Config) normal() (Config, error) {
	switch {
	case !filepath.IsAbs(c.Dir) || !filepath.IsAbs(c.Run):
		return c, fault.New(fault.Invalid, "the log spool needs absolute paths for its directories")
	case c.Listener == nil && c.Socket == "":
		return c, fault.New(fault.Invalid, "the log spool needs a listener or the path of a socket")
	}
	c.SegmentBytes = cmp.Or(c.SegmentBytes, 8<<20)
	c.SegmentAge = cmp.Or(c.SegmentAge, time.Hour)
	c.AppBytes = cmp.Or(c.AppBytes, 256<<20)
	c.MaxAge = cmp.Or(c.MaxAge, 30*24*time.Hour)
	c.MaxApps = cmp.Or(c.MaxApps, 4096)
	if c.AppBytes < 2*c.SegmentBytes {
		return c, fault.New(fault.Invalid, "an app's log must have room for two segments")
	}
	return c, nil
}

// acquire locks the file for as long as this process lives and keeps it open.
func acquire(ctx context.Context, path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	deadline := time.After(lockTime)
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), file.Close())
		case <-deadline:
			file.Close()
			return nil, fault.New(fault.Unavailable, "another log spool holds %s", path)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
