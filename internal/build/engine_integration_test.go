//go:build integration

package build

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/images"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/containerd"
	"github.com/strongroom/strongroom/internal/driver/containerd/network"
	"github.com/strongroom/strongroom/internal/driver/containerd/volume"
	"github.com/strongroom/strongroom/internal/image"
	"github.com/strongroom/strongroom/internal/spool"
)

// engine is a containerd driver of the test's own.
type engine struct {
	*testing.T
	driver  driver.Driver
	network *network.Network
}

func newEngine(t *testing.T) *engine {
	t.Helper()
	dir, err := os.MkdirTemp("", "srb")
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{T: t}
	e.must(os.Chmod(dir, 0o711))
	run := filepath.Join(dir, "run")
	e.must(os.Mkdir(run, 0o711))
	e.must(unix.Mount("tmpfs", run, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=711"))
	t.Cleanup(func() {
		e.must(unix.Unmount(run, 0))
		e.must(os.RemoveAll(dir))
	})
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	logs := e.startSpool(dir, run, log)
	name := fmt.Sprintf("b%d", os.Getpid()%1_000_000)
	e.network, err = network.Open(network.Config{Dir: filepath.Join(run, "net"), Name: name, EdgeUID: 64002}, log)
	e.must(err)
	t.Cleanup(func() { e.must(e.network.Uninstall(context.Background())) })
	volumes, err := volume.Open(volume.Config{Dir: filepath.Join(dir, "volumes")}, log)
	e.must(err)
	t.Cleanup(func() { e.must(volumes.Close()) })
	daemon := e.startContainerd(dir, run)
	client, err := daemon.Connect(t.Context())
	e.must(err)
	t.Cleanup(func() { client.Close() })
	init, err := exec.LookPath("tini-static")
	e.must(err)
	d, err := containerd.Open(t.Context(), containerd.Config{
		Client: client, Data: filepath.Join(dir, "data"), Run: run, Network: e.network, Volumes: volumes,
		Logs: logs, Cgroup: "/strongroom-" + name, Init: init, ScratchBytes: 256 << 20,
	}, log)
	e.must(err)
	t.Cleanup(func() { d.Close() })
	e.driver = d
	return e
}

func (e *engine) must(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

func (e *engine) startSpool(dir, run string, log *slog.Logger) *spool.Client {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	socket := filepath.Join(run, "spool.sock")
	go func() {
		done <- spool.Run(ctx, spool.Config{Dir: filepath.Join(dir, "logs"), Run: filepath.Join(run, "spool"), Socket: socket}, log)
	}()
	e.Cleanup(func() {
		cancel()
		e.must(<-done)
	})
	c := spool.Dial(socket)
	for range 500 {
		if _, err := c.Streams(e.Context()); err == nil {
			return c
		}
		time.Sleep(10 * time.Millisecond)
	}
	e.Fatal("spool does not start")
	return nil
}

func (e *engine) startContainerd(dir, run string) containerd.Daemon {
	program, err := exec.LookPath("containerd")
	e.must(err)
	daemon := containerd.Daemon{
		Program: program, Config: filepath.Join(dir, "containerd.toml"), Root: filepath.Join(dir, "containerd"),
		State: filepath.Join(run, "containerd"), Socket: filepath.Join(run, "containerd.sock"),
	}
	args, err := daemon.Prepare()
	e.must(err)
	out, err := os.Create(filepath.Join(dir, "containerd.log"))
	e.must(err)
	defer out.Close()
	process := exec.Command(args[0], args[1:]...)
	process.Stdout, process.Stderr = out, out
	process.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	e.must(process.Start())
	e.Cleanup(func() {
		process.Process.Signal(unix.SIGTERM)
		process.Wait()
	})
	return daemon
}

// archive builds the image of a recipe once and keeps it for later runs.
func (e *engine) archive(recipe string) string {
	e.Helper()
	dir := os.Getenv("STRONGROOM_IMAGES")
	if dir == "" {
		cache, err := os.UserCacheDir()
		e.must(err)
		dir = filepath.Join(cache, "strongroom", "images")
	}
	e.must(os.MkdirAll(dir, 0o755))
	out := filepath.Join(dir, recipe+".tar")
	_, err := image.Build(e.Context(), images.Recipes, recipe, out, image.Options{}, e.Output())
	e.must(err)
	return out
}

func (e *engine) load(archive string) string {
	e.Helper()
	f, err := os.Open(archive)
	e.must(err)
	defer f.Close()
	digest, err := e.driver.ImportImage(e.Context(), f)
	e.must(err)
	return digest
}

// serveNames forwards the space's DNS questions to the host's own server, in
// place of the space's resolver.
func (e *engine) serveNames(space string) {
	raw, err := os.ReadFile("/etc/resolv.conf")
	e.must(err)
	_, server, ok := strings.Cut(string(raw), "nameserver ")
	if !ok {
		e.Fatal("this host has no name server")
	}
	server = strings.Fields(server)[0]
	socket, err := e.network.ListenPacket(e.Context(), space, "udp", "169.254.1.1:53")
	e.must(err)
	e.Cleanup(func() { socket.Close() })
	go func() {
		question := make([]byte, 4096)
		for {
			n, from, err := socket.ReadFrom(question)
			if err != nil {
				return
			}
			go forward(socket, from, server, bytes.Clone(question[:n]))
		}
	}()
}

func forward(socket net.PacketConn, from net.Addr, server string, question []byte) {
	up, err := net.Dial("udp", net.JoinHostPort(server, "53"))
	if err != nil {
		return
	}
	defer up.Close()
	up.SetDeadline(time.Now().Add(5 * time.Second))
	up.Write(question)
	answer := make([]byte, 4096)
	if n, err := up.Read(answer); err == nil {
		socket.WriteTo(answer[:n], from)
	}
}

// run runs a command in a one-off dyno and returns what it says.
func (e *engine) run(space, image, command string) string {
	e.Helper()
	session, err := e.driver.StartTask(e.Context(), driver.Task{
		ID: uuid.NewString(), Space: space, Labels: driver.Labels{Type: "run", Source: "app"}, Name: "run.1", Attach: true, Timeout: time.Minute,
		Process: driver.Process{Image: image, Args: Launch(command), UID: UID, Dir: "/app", ReadOnly: true},
	})
	e.must(err)
	defer session.Close()
	e.must(session.CloseWrite())
	out, err := io.ReadAll(session)
	e.must(err)
	if _, err := session.Wait(e.Context()); err != nil {
		e.Error(err)
	}
	return string(out)
}
