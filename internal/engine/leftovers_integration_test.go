//go:build integration

package engine

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/driver/containerd/volume"
	"github.com/strongroom/strongroom/internal/fault"
)

// ended is an installation whose processes are gone and whose mounts are not: a
// volume, an overlay that writes to it, a network namespace's file.
func ended(t *testing.T) Config {
	t.Helper()
	dir := t.TempDir()
	cfg := Config{Data: filepath.Join(dir, "data"), Run: filepath.Join(dir, "run"), Name: fmt.Sprintf("l%d", os.Getpid()%1_000_000)}
	must(t, cfg.complete())
	must(t, prepare(&cfg))
	t.Cleanup(func() { // if the test fails
		left, _ := mountedBelow(dir)
		for _, path := range left {
			unix.Unmount(path, 0)
		}
	})
	volumes, err := volume.Open(volume.Config{Dir: cfg.volumes()}, slog.New(slog.DiscardHandler))
	must(t, err)
	data, err := volumes.Ensure(t.Context(), "scratch", bytes.Repeat([]byte{7}, volume.KeySize), 32<<20, 0, 0)
	must(t, err)
	must(t, volumes.Close())
	lower, rootfs := filepath.Join(cfg.secretRun(), "layers/0"), filepath.Join(cfg.secretRun(), "containerd/rootfs")
	upper, work := filepath.Join(data, "upper"), filepath.Join(data, "work")
	for _, d := range []string{lower, rootfs, upper, work} {
		must(t, os.MkdirAll(d, 0o700))
	}
	must(t, unix.Mount("tmpfs", lower, "tmpfs", 0, ""))
	must(t, unix.Mount("overlay", rootfs, "overlay", 0, "lowerdir="+lower+",upperdir="+upper+",workdir="+work))
	return cfg
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func stopNothing(context.Context) error { return nil }

func TestTearDownAfterEnd(t *testing.T) {
	cfg := ended(t)
	// Not the installation's own, however alike the name is.
	other := cfg.Run + "-other"
	must(t, os.Mkdir(other, 0o700))
	must(t, unix.Mount("tmpfs", other, "tmpfs", 0, ""))
	t.Cleanup(func() { must(t, unix.Unmount(other, 0)) })

	var said bytes.Buffer
	must(t, TearDown(t.Context(), cfg, stopNothing, slog.New(slog.NewTextHandler(&said, nil))))

	mounts, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	for _, dir := range []string{cfg.Run, cfg.Data} {
		if strings.Contains(string(mounts), " "+dir+"/") {
			t.Errorf("left mounted below %s:\n%s", dir, mounts)
		}
	}
	if !strings.Contains(string(mounts), " "+other+" ") {
		t.Error("a mount beside the runtime directory was taken away")
	}
	for _, path := range []string{"layers/0", "containerd/rootfs"} {
		if !strings.Contains(said.String(), filepath.Join(cfg.secretRun(), path)) {
			t.Errorf("nothing was said of %s:\n%s", path, said.String())
		}
	}
	if !strings.Contains(said.String(), "volume=scratch") {
		t.Errorf("nothing was said of the volume:\n%s", said.String())
	}
}

// TestTearDownUnderContainers has containers that no engine answers for: their
// mounts stay, so that nobody takes them for stopped.
func TestTearDownUnderContainers(t *testing.T) {
	cfg := ended(t)
	group := freezer(t, cfg.dynos())
	sleep := exec.Command("sleep", "60")
	must(t, sleep.Start())
	stop := func() { sleep.Process.Kill(); sleep.Wait() }
	defer stop()
	must(t, os.WriteFile(filepath.Join(group, "cgroup.procs"), fmt.Append(nil, sleep.Process.Pid), 0))

	err := TearDown(t.Context(), cfg, stopNothing, slog.New(slog.DiscardHandler))
	if fault.Of(err) != fault.Conflict {
		t.Errorf("got %v, want a conflict", err)
	}
	left, err := mountedBelow(cfg.secretRun())
	must(t, err)
	if len(left) != 2 {
		t.Errorf("mounted: %v", left)
	}
	stop()
	must(t, TearDown(t.Context(), cfg, stopNothing, slog.New(slog.DiscardHandler)))
}

// freezer makes a cgroup in a hierarchy that the host has.
func freezer(t *testing.T, path string) string {
	t.Helper()
	group := filepath.Join("/sys/fs/cgroup/freezer", path)
	if _, err := os.Stat(filepath.Dir(group)); err != nil {
		group = filepath.Join("/sys/fs/cgroup", path)
	}
	must(t, os.Mkdir(group, 0o755))
	t.Cleanup(func() { must(t, syscall.Rmdir(group)) })
	return group
}
