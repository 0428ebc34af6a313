package containerd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/containerd/v2/client"
)

// Daemon is the private containerd: no other program uses its socket,
// directories or namespace.
type Daemon struct {
	Program string // absolute path of containerd
	Config  string // file to write its configuration to
	Root    string // directory on disk: images and layers
	State   string // directory on a tmpfs: bundles, with environments
	Socket  string // absolute path
}

// A container's bundle lies below State, and its specification holds secrets:
// directories up to it can be searched but not listed by the container's ids.
const daemonConfig = `version = 2
root = %q
state = %q
disabled_plugins = [
  "io.containerd.grpc.v1.cri",
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.restart",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = %q

[debug]
  level = "warn"
`

// Prepare writes the configuration and returns the command line. The process
// must outlive this one, and its children (the shims) must outlive it.
func (d Daemon) Prepare() ([]string, error) {
	for _, dir := range []string{d.Root, d.State, filepath.Dir(d.Socket), filepath.Dir(d.Config)} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return nil, fmt.Errorf("prepare containerd: %w", err)
		}
	}
	text := fmt.Sprintf(daemonConfig, d.Root, d.State, d.Socket)
	if err := os.WriteFile(d.Config, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("prepare containerd: %w", err)
	}
	return []string{d.Program, "--config", d.Config}, nil
}

// Connect waits until containerd answers. The client connects anew by itself
// when containerd is started again.
func (d Daemon) Connect(ctx context.Context) (*client.Client, error) {
	for {
		c, err := client.New(d.Socket, client.WithTimeout(time.Second))
		if err == nil {
			if _, err = c.Version(ctx); err == nil {
				return c, nil
			}
			c.Close()
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("connect to containerd: %w", err)
		}
	}
}
