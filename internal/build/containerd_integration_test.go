//go:build integration

package build

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
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
		{"head -c 2G /dev/zero > big", "it filled its disk of 1024 MiB", nil},
		{"while :; do :; done", "did not end within 10s", func(c *Config) { c.Timeout = 10 * time.Second }},
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
