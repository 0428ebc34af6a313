//go:build integration

package containerd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/strongroom/strongroom/internal/driver/containerd/network"
	"github.com/strongroom/strongroom/internal/driver/containerd/volume"
	"github.com/strongroom/strongroom/internal/driver/drivertest"
	"github.com/strongroom/strongroom/internal/driver/formation"
	"github.com/strongroom/strongroom/internal/spool"
	"golang.org/x/sys/unix"
)

// host is all that a driver needs, for real: a private containerd, network,
// volumes and spool below one directory.
type host struct {
	*testing.T
	dir     string
	name    string
	log     *slog.Logger
	daemon  Daemon
	process *exec.Cmd
	client  *client.Client
	network *network.Network
	volumes *volume.Pool
	spool   *spool.Client
	driver  *Driver
}

func newHost(t *testing.T) *host {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test needs root")
	}
	dir, err := os.MkdirTemp("", "sr")
	if err != nil {
		t.Fatal(err)
	}
	h := &host{T: t, dir: dir, name: fmt.Sprintf("t%d", os.Getpid()%1_000_000)}
	level := slog.LevelInfo
	if testing.Verbose() {
		level = slog.LevelDebug
	}
	h.log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: level}))
	h.must(os.Chmod(dir, 0o711))
	h.must(os.Mkdir(h.run(), 0o711))
	h.must(unix.Mount("tmpfs", h.run(), "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=711"))
	t.Cleanup(func() {
		h.check(unmount(h.run()))
		h.check(os.RemoveAll(dir))
	})
	h.startSpool()
	h.openNetwork()
	h.openVolumes()
	program, err := exec.LookPath("containerd")
	h.must(err)
	h.daemon = Daemon{
		Program: program, Config: filepath.Join(dir, "containerd.toml"), Root: filepath.Join(dir, "containerd"),
		State: filepath.Join(h.run(), "containerd"), Socket: filepath.Join(h.run(), "containerd.sock"),
	}
	t.Cleanup(h.wantNoCgroups)
	t.Cleanup(h.wantNoProcesses) // a shim that is ending keeps the directories busy
	h.startContainerd()
	t.Cleanup(h.stopContainerd)
	h.client, err = h.daemon.Connect(t.Context())
	h.must(err)
	t.Cleanup(func() { h.client.Close() })
	h.open()
	t.Cleanup(func() { h.driver.Close() })
	return h
}

func (h *host) run() string { return filepath.Join(h.dir, "run") }

func (h *host) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *host) check(err error) {
	h.Helper()
	if err != nil {
		h.Error(err)
	}
}

func (h *host) startSpool() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	socket := filepath.Join(h.run(), "spool.sock")
	go func() {
		done <- spool.Run(ctx, spool.Config{Dir: filepath.Join(h.dir, "logs"), Run: filepath.Join(h.run(), "spool"), Socket: socket}, h.log)
	}()
	h.Cleanup(func() {
		cancel()
		h.check(<-done)
	})
	h.spool = spool.Dial(socket)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := h.spool.Streams(h.Context()); err == nil {
			return
		} else if time.Now().After(deadline) {
			h.Fatal(err)
		}
	}
}

func (h *host) openNetwork() {
	var err error
	h.network, err = network.Open(network.Config{Dir: filepath.Join(h.run(), "net"), Name: h.name, EdgeUID: 64002}, h.log)
	h.must(err)
	h.Cleanup(func() { h.check(h.network.Uninstall(context.Background())) })
}

func (h *host) openVolumes() {
	var err error
	h.volumes, err = volume.Open(volume.Config{Dir: filepath.Join(h.dir, "volumes")}, h.log)
	h.must(err)
	h.Cleanup(func() { h.check(h.volumes.Close()) })
}

func (h *host) startContainerd() {
	h.Helper()
	args, err := h.daemon.Prepare()
	h.must(err)
	out, err := os.OpenFile(filepath.Join(h.dir, "containerd.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	h.must(err)
	defer out.Close()
	h.process = exec.Command(args[0], args[1:]...)
	h.process.Stdout, h.process.Stderr = out, out
	h.process.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	h.must(h.process.Start())
}

func (h *host) stopContainerd() {
	h.process.Process.Signal(unix.SIGTERM)
	h.process.Wait()
	if h.Failed() {
		b, _ := os.ReadFile(filepath.Join(h.dir, "containerd.log"))
		h.Logf("containerd:\n%s", b)
	}
}

// open opens the driver, as a restarted engine would.
func (h *host) open() {
	h.Helper()
	init, err := exec.LookPath("tini-static")
	h.must(err)
	h.driver, err = Open(h.Context(), Config{
		Init:   init,
		Client: h.client, Data: filepath.Join(h.dir, "data"), Run: h.run(), Network: h.network, Volumes: h.volumes,
		Logs: h.spool, Cgroup: h.cgroup(), ScratchBytes: 64 << 20,
		Policy: formation.Policy{Base: time.Minute, Max: time.Hour},
	}, h.log)
	h.must(err)
}

func (h *host) cgroup() string { return "/strongroom-" + h.name }

// wantNothingLeft checks that no mount and no process of this host's containers
// is left.
func (h *host) wantNothingLeft() {
	h.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	h.must(err)
	for line := range strings.Lines(string(mounts)) {
		if at := strings.Fields(line)[4]; strings.HasPrefix(at, h.dir+"/") && at != h.run() {
			h.Errorf("left mounted: %s", line)
		}
	}
	h.wantNoProcesses()
}

// wantNoCgroups removes the cgroup of the containers, in which none may be left.
func (h *host) wantNoCgroups() {
	h.Helper()
	pattern := cgroupRoot + "/*" + h.cgroup()
	if unified() {
		pattern = cgroupRoot + h.cgroup()
	}
	groups, err := filepath.Glob(pattern)
	h.must(err)
	for _, group := range groups {
		h.check(filepath.WalkDir(group, func(path string, e os.DirEntry, err error) error {
			if err == nil && e.IsDir() && path != group {
				h.Errorf("left: cgroup %s", path)
			}
			return err
		}))
		if err := os.Remove(group); err != nil && !errors.Is(err, os.ErrNotExist) {
			h.Errorf("cgroup not empty: %v", err)
		}
	}
}

// wantNoProcesses looks for shims of this containerd.
func (h *host) wantNoProcesses() {
	h.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		var found []string
		all, err := filepath.Glob("/proc/[0-9]*/cmdline")
		h.must(err)
		for _, file := range all {
			cmd, _ := os.ReadFile(file)
			if text := strings.ReplaceAll(string(cmd), "\x00", " "); strings.Contains(text, h.daemon.Socket) && strings.Contains(text, "shim") {
				found = append(found, text)
			}
		}
		if len(found) == 0 {
			return
		}
		if time.Now().After(deadline) {
			h.Errorf("left running: %q", found)
			return
		}
	}
}

func buildImage(t *testing.T) []byte {
	t.Helper()
	return drivertest.Layout(t, drivertest.Build(t))
}
