//go:build integration

package build

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
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
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/image"
	"github.com/strongroom/strongroom/internal/spool"
)

// The whole path with nothing replaced: images by mmdebstrap, a private
// containerd, an encrypted scratch volume, the space's own network, the npm
// registry through it, and the built image run as a dyno would.
func TestBuildInContainerd(t *testing.T) {
	e := newEngine(t)
	space := driver.Space{ID: uuid.NewString(), Name: "builds", Outbound: []driver.Outbound{{CIDR: "0.0.0.0/0", Protocol: "tcp", FromPort: 443, ToPort: 443}}}
	e.must(e.driver.EnsureSpace(t.Context(), space))
	t.Cleanup(func() { e.must(e.driver.RemoveSpace(context.Background(), space.ID)) })
	e.serveNames(space.ID)

	base, tools := e.archive("base"), e.archive("build")
	_, key, err := ed25519.GenerateKey(rand.Reader)
	e.must(err)
	config := Config{
		WorkDir: t.TempDir(), BaseArchive: base, BuildImage: e.load(tools), BuildpackDir: t.TempDir(), Key: key,
		BuilderID: "https://strongroom.example/builder", Registry: Registry{CA: hostAuthorities(t)}, ScratchBytes: 1 << 30,
	}
	writeFiles(t, filepath.Join(config.BuildpackDir, "shell"), map[string]string{
		"bin/detect": "#!/bin/bash\necho Shell\n", "bin/compile": "#!/bin/bash\ncd $1 && ENV=$3 bash ./build.sh\n",
	})
	b, err := New(e.driver, config)
	e.must(err)
	cache := driver.Volume{ID: uuid.NewString(), Space: space.ID, Bytes: 512 << 20, Key: make([]byte, 64)}
	rand.Read(cache.Key)
	e.must(e.driver.EnsureVolume(t.Context(), cache))
	t.Cleanup(func() {
		_, err := e.driver.DestroyVolume(context.Background(), cache.ID)
		e.must(err)
	})

	var images []string
	for range 2 {
		in := input(source(t, exampleSource(t, "intake")))
		in.Space, in.Buildpacks, in.CacheVolume = space.ID, nil, cache.ID
		in.Env = []driver.EnvVar{{Name: "TOKEN", Value: secret}}
		var log bytes.Buffer
		r, err := b.Build(t.Context(), in, &log)
		t.Logf("%v\n%s", r.Finished.Sub(r.Started), &log)
		e.must(err)
		images = append(images, r.Image)
		if !bytes.Contains(r.SBOM, []byte("pkg:deb/debian/libc6@")) || !bytes.Contains(r.SBOM, []byte("pkg:npm/fastify@")) {
			t.Error("the bill of materials lacks the base's packages or the app's")
		}
	}
	if images[0] != images[1] {
		t.Errorf("the same source gave %v", images)
	}

	out := e.run(space.ID, images[0], `id -u; node --version; node -e 'import("fastify").then(() => console.log("loads"))'; touch /app/x || echo "read-only"; echo $HOME`)
	for _, want := range []string{"1000\n", "v24.", "loads", "read-only", "/app\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in what the dyno says:\n%s", want, out)
		}
	}

	e.wantConfined(b, space.ID)
	e.wantBounded(b, space.ID)
	seen, err := e.driver.Observe(t.Context())
	e.must(err)
	if len(seen.Volumes) != 1 {
		t.Errorf("volumes left: %+v", seen.Volumes)
	}
}

// wantConfined tries from inside a build what must not work.
func (e *engine) wantConfined(b *Builder, space string) {
	e.Helper()
	in := input(source(e.T, map[string]string{"Procfile": "web: x\n", "build.sh": `
id -u
touch /usr/x || echo "root is read-only"
touch /build/x || echo "input is read-only"
cat /proc/self/status | grep -E 'CapEff|NoNewPrivs|Seccomp:'
cat $ENV/TOKEN >/dev/null && echo "reads its config var"
timeout 3 bash -c 'echo > /dev/tcp/169.254.169.254/80' || echo "no metadata service"
timeout 3 bash -c 'echo > /dev/tcp/192.0.2.2/22' || echo "no host"
ls -d /proc/[0-9]* | wc -l
`}))
	in.Space = space
	in.Env = []driver.EnvVar{{Name: "TOKEN", Value: secret}}
	var log bytes.Buffer
	_, err := b.Build(e.Context(), in, &log)
	e.must(err)
	for _, want := range []string{"1000\n", "root is read-only", "input is read-only", "CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2", "reads its config var", "no metadata service", "no host"} {
		if !strings.Contains(log.String(), want) {
			e.Errorf("no %q in:\n%s", want, &log)
		}
	}
}

// wantBounded tries what would hurt the host.
func (e *engine) wantBounded(b *Builder, space string) {
	e.Helper()
	cases := []struct {
		script, says string
		change       func(*Config)
	}{
		{"sleep 600", "did not end within 5s", func(c *Config) { c.Timeout = 5 * time.Second }},
		{"head -c 1G /dev/zero | tail", "used more memory", func(c *Config) { c.Limits.MemoryBytes = 128 << 20 }},
		{"head -c 2G /dev/zero > big", "The build failed", nil}, // the volume is full before
		{":(){ :|:& };:; sleep 5; exit 1", "The build failed", func(c *Config) { c.Limits.PIDs = 64 }},
	}
	for _, c := range cases {
		config := b.config
		if c.change != nil {
			c.change(&config)
		}
		bounded, err := New(e.driver, config)
		e.must(err)
		in := input(source(e.T, map[string]string{"Procfile": "web: x\n", "build.sh": c.script + "\n"}))
		in.Space = space
		var log bytes.Buffer
		if _, err := bounded.Build(e.Context(), in, &log); fault.Of(err) != fault.Invalid || !strings.Contains(fault.Message(err), c.says) {
			e.Errorf("%s: got %v, want %q\n%.2000s", c.script, err, c.says, &log)
		}
	}
}

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
	d, err := containerd.Open(t.Context(), containerd.Config{
		Client: client, Data: filepath.Join(dir, "data"), Run: run, Network: e.network, Volumes: volumes,
		Logs: logs, Cgroup: "/strongroom-" + name, ScratchBytes: 256 << 20,
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
	cache, err := os.UserCacheDir()
	e.must(err)
	dir := filepath.Join(cache, "strongroom", "images")
	e.must(os.MkdirAll(dir, 0o700))
	out := filepath.Join(dir, recipe+".tar")
	_, err = image.Build(e.Context(), images.Recipes, recipe, out, image.Options{}, e.Output())
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
