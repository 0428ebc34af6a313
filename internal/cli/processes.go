package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/engine"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/server"
	"github.com/strongroom/strongroom/internal/supervise"
)

func newSupervise(s streams) *cobra.Command {
	var config string
	c := &cobra.Command{
		Use: "supervise", GroupID: "run",
		Short: "Keep the engine and the server up",
		Long: `Starts the engine (root) and the server (its own uid) and keeps them up. The
engine starts the rest: containerd, spool, edge and a router for each space.
Ended, it leaves everything running, and takes it over when it is started again;
'strongroom down' ends all.`,
		Example: `  strongroom supervise --config /etc/strongroom/strongroom.json`,
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			return runSupervise(c.Context(), config, newLog(s.err))
		},
	}
	c.Flags().StringVar(&config, "config", DefaultConfig, "the settings file")
	return c
}

func runSupervise(ctx context.Context, config string, log *slog.Logger) error {
	if os.Geteuid() != 0 {
		return fault.New(fault.Forbidden, "supervise must be started by root: it starts the engine, and the server as a user of its own.")
	}
	cfg, err := readSettings(config, log)
	if err != nil {
		return err
	}
	passphrase, err := passphrase(cfg)
	if err != nil {
		return err
	}
	specs, err := platform(cfg, config, passphrase)
	if err != nil {
		return err
	}
	sup := supervise.New(supervise.Config{Cgroup: rootCgroup(cfg)}, log)
	for _, spec := range specs {
		if err := sup.Ensure(spec); err != nil {
			return err
		}
	}
	return sup.Run(ctx)
}

// passphrase keeps the passphrase of the master key, if there is one, in a file
// that exists in memory only: the server inherits it whenever it is started.
func passphrase(cfg settings) ([]*os.File, error) {
	if cfg.Server.MasterKeyFrom != server.FromPassphrase {
		return nil, nil
	}
	v, err := server.ReadPassphrase(cfg.Server.PassphraseFile)
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("passphrase", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("keep the passphrase: %w", err)
	}
	f := os.NewFile(uintptr(fd), "passphrase")
	if _, err := f.Write(v.Reveal()); err != nil {
		return nil, errors.Join(fmt.Errorf("keep the passphrase: %w", err), f.Close())
	}
	return []*os.File{f}, nil
}

// rootCgroup is the parent of what supervise starts.
func rootCgroup(cfg settings) string { return cmp.Or(cfg.Engine.Name, "sr") + "-root" }

func newDown(s streams) *cobra.Command {
	var config, confirm string
	c := &cobra.Command{
		Use: "down", GroupID: "run",
		Short: "Stop everything that runs on this host",
		Long: `Stops the server, all apps and databases, and every process of the platform, and
takes its network rules off the host. Data stays: databases lie locked on their
encrypted volumes. End 'strongroom supervise' before; start it to go on.`,
		Example: `  strongroom down --confirm /var/lib/strongroom`,
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := readSettings(config, newLog(s.err))
			if err != nil {
				return err
			}
			if confirm != cfg.Data {
				return usage("this stops all apps and databases of the installation in %s. Repeat the directory: --confirm %s", cfg.Data, cfg.Data)
			}
			defer meanwhile(s.err, still("stopping"))()
			log := newLog(s.err)
			sup := supervise.New(supervise.Config{Cgroup: rootCgroup(cfg)}, log)
			if err := sup.Stop(c.Context(), "server"); err != nil {
				return err
			}
			return engine.TearDown(c.Context(), cfg.engine(), func(ctx context.Context) error { return sup.Stop(ctx, "engine") }, log)
		},
	}
	c.Flags().StringVar(&config, "config", DefaultConfig, "the settings file")
	c.Flags().StringVar(&confirm, "confirm", "", "the data directory once more")
	return c
}

// platform are the two processes that supervise starts. The server inherits the
// passphrase of the master key, if there is one.
func platform(cfg settings, config string, passphrase []*os.File) ([]supervise.Spec, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	build, err := supervise.BuildID()
	if err != nil {
		return nil, err
	}
	if config, err = filepath.Abs(config); err != nil {
		return nil, err
	}
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/nonexistent", "LANG=C.UTF-8",
		"GOGC=50", // at rest they hold little, and what is left to collect would be most of their memory
	}
	if v := os.Getenv("GODEBUG"); v != "" {
		env = append(env, "GODEBUG="+v)
	}
	forServer := slices.Clone(env)
	if len(passphrase) > 0 {
		forServer = append(forServer, server.PassphraseFD+"=3") // the first that a child inherits
	}
	control := func(name string) string { return filepath.Join(cfg.Run, name, "control.sock") }
	return []supervise.Spec{
		{
			Name: "engine", Args: []string{program, "engine", "--config", config}, Env: env,
			Output: filepath.Join(cfg.Data, "engine.log"), Control: control("supervise-engine"), Build: build,
			KeepDescendants: true, Grace: 20 * time.Second,
		},
		{
			Name: "server", Args: []string{program, "server", "--config", config}, Env: forServer, Files: passphrase,
			UID: engine.ServerUID, GID: engine.ServerUID, NoNewPrivs: true,
			// For the bastion's port 22, where the heroku CLI looks for it.
			AmbientCaps: []uintptr{unix.CAP_NET_BIND_SERVICE},
			Output:      filepath.Join(cfg.Data, "server.log"), Control: control("server"), Build: build,
			Grace: 20 * time.Second,
		},
	}, nil
}

func newEngine(s streams) *cobra.Command {
	var config string
	c := &cobra.Command{
		Use: "engine", GroupID: "run",
		Short: "Run the engine: containers, networks, volumes",
		Long: `Runs the engine, as root. It listens on a unix socket only, for the server.
Its containers, routers, edge and spool go on when it ends.`,
		Example: `  strongroom engine --config /etc/strongroom/strongroom.json`,
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := readSettings(config, newLog(s.err))
			if err != nil {
				return err
			}
			// The engine shares directories with processes of other users and
			// gives each the mode that it means.
			unix.Umask(0o022)
			e := cfg.engine()
			e.Control = filepath.Join(cfg.Run, "supervise-engine", "control.sock")
			return engine.Run(c.Context(), e, newLog(s.err))
		},
	}
	c.Flags().StringVar(&config, "config", DefaultConfig, "the settings file")
	return c
}

// newChild is a process that the engine starts, with arguments of its own.
func newChild(s streams, name string, run func(context.Context, []string, *slog.Logger) error) *cobra.Command {
	return &cobra.Command{
		Use: name, Hidden: true, DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error { return run(c.Context(), args, newLog(s.err)) },
	}
}
