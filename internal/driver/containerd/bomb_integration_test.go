//go:build integration

package containerd

import (
	"bytes"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/strongroom/strongroom/internal/driver/drivertest"
	"github.com/strongroom/strongroom/internal/fault"
)

// A layer of some hundred kilobytes that unpacks to half a gigabyte is refused
// before it is unpacked, and leaves nothing.
func TestLayerBomb(t *testing.T) {
	h := newHost(t)
	h.driver.cfg.MaxUnpackedBytes = 64 << 20
	bomb := drivertest.Layout(t, make([]byte, 512<<20))
	if len(bomb) > 4<<20 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	before := h.stored()
	if _, err := h.driver.ImportImage(t.Context(), bytes.NewReader(bomb)); fault.Of(err) != fault.TooLarge {
		t.Errorf("got %v", err)
	}
	if after := h.stored(); after > before+1<<20 {
		t.Errorf("containerd keeps %d bytes, %d before", after, before)
	}
	o, err := h.driver.Observe(t.Context())
	h.must(err)
	if len(o.Images) != 0 {
		t.Errorf("images %v", o.Images)
	}
	if _, err := h.driver.ImportImage(t.Context(), bytes.NewReader(drivertest.Layout(t, []byte("small")))); err != nil {
		t.Errorf("the next image: %v", err)
	}
}

// stored is what containerd has on disk in blobs and snapshots.
func (h *host) stored() (total int64) {
	h.Helper()
	h.check(filepath.WalkDir(filepath.Join(h.dir, "containerd"), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	}))
	return total
}
