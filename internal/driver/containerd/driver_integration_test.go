//go:build integration

package containerd

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/drivertest"
	"golang.org/x/sys/unix"
)

func TestDriver(t *testing.T) {
	h := newHost(t)
	drivertest.Run(t, func(*testing.T) driver.Driver { return h.driver }, drivertest.Options{
		Image: buildImage(t), Program: drivertest.Program, UID: 1007, Patience: 30 * time.Second, Settle: time.Second,
		Intrude: h.intrude,
	})
	h.wantNothingLeft()
}

// intrude does one thing by hand in each area but that of rules, which tells of
// it for a while after it was put right.
func (h *host) intrude(t *testing.T, area, space string) (mend func()) {
	nets := filepath.Join(h.run(), "net", "spaces", space)
	switch area {
	case driver.AreaContainers:
		containers, err := filepath.Glob(filepath.Join(nets, "endpoints", "*"))
		if err != nil || len(containers) == 0 {
			t.Fatal(containers, err)
		}
		_, end := h.begin("nsenter", "--net="+containers[0], "sleep", "600")
		return end
	case driver.AreaNetwork:
		link := func(args ...string) {
			args = append([]string{"--net=" + filepath.Join(nets, "net"), "ip", "link"}, args...)
			if out, err := exec.Command("nsenter", args...).CombinedOutput(); err != nil {
				t.Fatalf("nsenter %v: %v: %s", args, err, out)
			}
		}
		link("add", "byhand", "type", "veth", "peer", "name", "byhandp")
		return func() { link("delete", "byhand") }
	case driver.AreaMounts:
		at := t.TempDir()
		for id, owner := range h.driver.volumesKnown() {
			if path, err := h.volumes.Path(id); owner == space && err == nil {
				h.must(unix.Mount(path, at, "", unix.MS_BIND, ""))
				return func() { h.must(unmount(at)) }
			}
		}
		t.Fatal("the space has no volume")
	}
	return nil
}
