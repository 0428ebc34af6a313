package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/containerd/v2/client"
	"golang.org/x/sync/errgroup"

	"github.com/strongroom/strongroom/internal/driver/containerd"
	"github.com/strongroom/strongroom/internal/driver/containerd/network"
	"github.com/strongroom/strongroom/internal/driver/containerd/volume"
	"github.com/strongroom/strongroom/internal/driver/remote"
	"github.com/strongroom/strongroom/internal/engine/premises"
	"github.com/strongroom/strongroom/internal/spool"
	"github.com/strongroom/strongroom/internal/supervise"
)

// startPatience is how long containerd and spool may take to answer.
const startPatience = time.Minute

// Run is the engine until ctx ends.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	if err := cfg.complete(); err != nil {
		return err
	}
	if err := prepare(&cfg); err != nil {
		return fmt.Errorf("prepare directories: %w", err)
	}
	build, err := supervise.BuildID()
	if err != nil {
		return err
	}
	// First of all the network: it loads the rule that binds the edge.
	networks, err := network.Open(network.Config{
		Dir: filepath.Join(cfg.secretRun(), "net"), Name: cfg.Name, EdgeUID: cfg.EdgeUID,
	}, log.With("part", "network"))
	if err != nil {
		return fmt.Errorf("open the network: %w", err)
	}
	defer networks.Close()
	volumes, err := volume.Open(volume.Config{Dir: cfg.volumes()}, log.With("part", "volume"))
	if err != nil {
		return fmt.Errorf("open the volumes: %w", err)
	}
	defer volumes.Close()

	e := &engine{cfg: cfg, log: log, build: build, networks: networks, volumes: volumes, spool: spool.Dial(cfg.spoolSocket())}
	e.children = supervise.New(supervise.Config{Cgroup: cfg.platform(), StopChildren: cfg.StopChildren}, log.With("part", "supervise"))
	group, groupCtx := errgroup.WithContext(ctx)
	// The children outlive the driver's last words to them.
	childCtx, endChildren := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error { return e.children.Run(childCtx) })
	group.Go(func() error {
		defer endChildren()
		return e.run(groupCtx)
	})
	return group.Wait()
}

// engine is the running process.
type engine struct {
	cfg      Config
	log      *slog.Logger
	build    string
	networks *network.Network
	volumes  *volume.Pool
	spool    *spool.Client
	children *supervise.Supervisor
}

func (e *engine) run(ctx context.Context) error {
	runtime, err := e.startChildren(ctx)
	if err != nil {
		return err
	}
	defer runtime.Close()
	in := newIngress(e)
	defer in.stopNames()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return in.keep(ctx) })
	group.Go(func() error {
		d, err := containerd.Open(ctx, e.driverConfig(runtime, in), e.log.With("part", "driver"))
		if err != nil {
			return fmt.Errorf("open the driver: %w", err)
		}
		defer d.Close()
		in.takenOver()
		return e.serve(ctx, d)
	})
	return group.Wait()
}

func (e *engine) driverConfig(runtime *client.Client, in *ingress) containerd.Config {
	return containerd.Config{
		Client: runtime, Data: filepath.Join(e.cfg.engineData(), "state"), Run: e.cfg.secretRun(),
		Network: e.networks, Volumes: e.volumes, Logs: e.spool, SpoolUID: e.cfg.SpoolUID, Ingress: in,
		Cgroup: e.cfg.dynos(), Init: e.cfg.Init,
		ScratchBytes: e.cfg.ScratchBytes,
		Looks: premises.New(premises.Config{
			Data: e.cfg.Data, Program: e.cfg.Program, Cgroup: "/" + e.cfg.platform(), ServerUID: e.cfg.ServerUID, SpoolUID: e.cfg.SpoolUID,
		}).Looks(),
	}
}

// startChildren starts or takes over containerd, spool and the edge, and waits
// for the two that the driver needs.
func (e *engine) startChildren(ctx context.Context) (*client.Client, error) {
	daemon := containerd.Daemon{
		Program: e.cfg.Containerd,
		Config:  filepath.Join(e.cfg.engineData(), "containerd.toml"),
		Root:    filepath.Join(e.cfg.engineData(), "containerd"),
		State:   filepath.Join(e.cfg.secretRun(), "containerd"),
		Socket:  filepath.Join(e.cfg.secretRun(), "containerd.sock"),
	}
	args, err := daemon.Prepare()
	if err != nil {
		return nil, err
	}
	for _, spec := range []supervise.Spec{e.containerdSpec(daemon, args), e.spoolSpec(), e.edgeSpec()} {
		if spec.Name == "" {
			continue
		}
		if err := e.children.Ensure(spec); err != nil {
			return nil, err
		}
	}
	ready, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for _, name := range []string{"containerd", "spool"} {
		if err := e.children.Ready(ready, name); err != nil {
			return nil, err
		}
	}
	return daemon.Connect(ready)
}

// serve gives the driver to the server until ctx ends.
func (e *engine) serve(ctx context.Context, d *containerd.Driver) error {
	l, err := supervise.ListenUnix(e.cfg.engineSocket(), 0o600)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := os.Lchown(e.cfg.engineSocket(), e.cfg.ServerUID, e.cfg.ServerUID); err != nil {
		return err
	}
	socket, ok := l.(*net.UnixListener)
	if !ok {
		return errors.New("not a unix socket")
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return remote.Serve(ctx, socket, d, []int{0, e.cfg.ServerUID}, e.log.With("part", "remote"))
	})
	if e.cfg.Control != "" {
		group.Go(func() error { return supervise.Serve(ctx, e.cfg.Control, "engine", e.build) })
	}
	e.log.Info("engine is up", "socket", e.cfg.engineSocket())
	return group.Wait()
}
