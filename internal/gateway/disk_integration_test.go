//go:build integration

package gateway

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/recording"
)

// TestDiskFull fills the disk under a running session: it ends, the client is
// told, and the process gets no key that is not recorded.
func TestDiskFull(t *testing.T) {
	disk := t.TempDir()
	must(t, unix.Mount("tmpfs", disk, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=4m"))
	t.Cleanup(func() { must(t, unix.Unmount(disk, unix.MNT_DETACH)) })
	l := newLab(t, func(_ *RendezvousConfig, r *recording.Config) { r.Dir, r.Max = disk, 1<<20 })
	var (
		mu  sync.Mutex
		got strings.Builder
	)
	p := l.promise(t, spySession{startProcess(t, true, "cat"), func(b []byte) {
		mu.Lock()
		defer mu.Unlock()
		got.Write(b)
	}}, true)
	c := l.join(t, p)
	send(t, c, "before")
	readUntil(t, c, "before")
	takeSpace(t, disk, p.id)
	for range 100 { // what is left of a page may still be written
		if _, err := c.Write([]byte(strings.Repeat("secret-keys", 40))); err != nil {
			break
		}
	}
	readUntil(t, c, "cannot be recorded, so it cannot go on")
	end := p.end(t)
	typed, _ := l.cast(t, end)
	mu.Lock()
	defer mu.Unlock()
	if end.Reason != EndedRecording || got.String() != typed || !strings.HasPrefix(typed, "before") {
		t.Errorf("%+v: the process got %d bytes, %d are recorded", end, got.Len(), len(typed))
	}
	// Another session does not begin at all.
	if _, err := l.recorder.Open(t.Context(), recording.Meta{ID: "0198f2a1-0000-7000-8000-000000000001"}); fault.Of(err) != fault.Unavailable {
		t.Errorf("a session was begun on a full disk: %v", err)
	}
}

// takeSpace gives the space that was reserved for a recording to another file.
func takeSpace(t *testing.T, dir, id string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, id+".recording"), os.O_RDWR, 0)
	must(t, err, unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 4096, 1<<20-4096), f.Close())
	filler, err := os.Create(filepath.Join(dir, "filler"))
	must(t, err)
	defer filler.Close()
	for err == nil {
		_, err = filler.Write(make([]byte, 4096))
	}
}
