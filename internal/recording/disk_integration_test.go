//go:build integration

package recording

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/fault"
)

// tmpfs mounts a file system of its own, of this size.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	do(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size="+size))
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// Where there is no room for a whole recording, the session does not begin.
func TestNoRoomToBegin(t *testing.T) {
	l := labIn(t, filepath.Join(tmpfs(t, "1m"), "running"), t.TempDir(), 4<<20)
	if _, err := l.Open(t.Context(), meta(sessionA)); fault.Of(err) != fault.Unavailable {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(l.dir); len(entries) != 0 {
		t.Fatalf("left %v", entries)
	}
}

// If the disk is full all the same (here somebody takes the reserved space
// away), the recording fails, keeps what it had, and is sealed.
func TestDiskFull(t *testing.T) {
	disk := tmpfs(t, "4m")
	l := labIn(t, filepath.Join(disk, "running"), t.TempDir(), 1<<20)
	rec := l.open(t, sessionA)
	do(t, rec.Input([]byte("before")))
	do(t, unix.Fallocate(int(rec.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 4096, 1<<20-4096))
	fill(t, filepath.Join(disk, "filler"))
	var err error
	accepted := 0
	for ; err == nil && accepted < 100; accepted++ {
		err = rec.Input([]byte(strings.Repeat("x", 1000)))
	}
	accepted--
	if fault.Of(err) != fault.Unavailable {
		t.Fatalf("after %d: %v", accepted, err)
	}
	s, err := rec.Seal(t.Context(), End{Reason: "recording"})
	do(t, err)
	if s.In != int64(6+accepted*1000) || s.Damaged {
		t.Errorf("%+v after %d", s, accepted)
	}
}

func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	do(t, err)
	defer f.Close()
	for {
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return
		}
	}
}
